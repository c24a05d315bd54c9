"""How the sequences of a minibatch are divided among processes, and into micro-batches that fit in memory.

Nothing here ever changes a result: divisors and selections are computed before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from entrobench.distributed.ranks import Ranks

Rows = list[int]


@dataclass(frozen=True)
class ForwardLimits:
    """How much one forward pass may hold; `ranks` share the work."""

    micro_batch: int  # sequences
    head_chunk: int  # tokens per chunk of the output layer
    tokens: int = 0  # prompts, responses and padding of a micro-batch; 0: no limit
    ranks: Ranks = Ranks()

    def micro_batches(self, lengths: Sequence[int], prompts: Sequence[int]) -> list[list[Rows]]:
        """Row numbers by process and micro-batch; all processes get equally many, some of them empty.

        `lengths` are tokens per sequence, `prompts` the numbers of their prompts. Without a limit on tokens, rows keep
        their order, in which the answers to a prompt stand side by side. With one, prompts are sorted by their longest
        sequence, so that there is little padding, and dealt with their answers to the processes in turn, so that these
        finish together.
        """
        if self.tokens:
            shares = self._dealt(lengths, prompts)
        else:
            everything, count = range(len(lengths)), self.ranks.count
            shares = [list(Ranks(number, count).share(everything)) for number in range(count)]
        parts = [list(self._pack(share, lengths)) for share in shares]
        most = max(map(len, parts))
        return [part + [[]] * (most - len(part)) for part in parts]

    def _dealt(self, lengths: Sequence[int], prompts: Sequence[int]) -> list[Rows]:
        """The rows of each process, those of a prompt together, or dealt singly where prompts are too few for that."""
        longest: dict[int, int] = {}
        for length, prompt in zip(lengths, prompts, strict=True):
            longest[prompt] = max(length, longest.get(prompt, 0))
        order = sorted(range(len(lengths)), key=lambda row: (-longest[prompts[row]], prompts[row], row))
        ranked = list(dict.fromkeys(prompts[row] for row in order))
        count = self.ranks.count
        if len(ranked) < count:
            return [order[number::count] for number in range(count)]
        owner = {prompt: place % count for place, prompt in enumerate(ranked)}
        return [[row for row in order if owner[prompts[row]] == number] for number in range(count)]

    def numbers(self, lengths: Sequence[int], prompts: Sequence[int]) -> list[int]:
        """For each row the number of its micro-batch, counted over all processes."""
        every = [rows for part in self.micro_batches(lengths, prompts) for rows in part]
        number = {row: place for place, rows in enumerate(every) for row in rows}
        return [number[row] for row in range(len(lengths))]

    def own_micro_batches(self, lengths: Sequence[int], prompts: Sequence[int]) -> list[Rows]:
        """The micro-batches of this process."""
        return self.micro_batches(lengths, prompts)[self.ranks.number]

    def _pack(self, rows: Sequence[int], lengths: Sequence[int]) -> Iterator[Rows]:
        """Consecutive rows, as many as both limits allow once padded to the longest; a single row is always allowed."""
        packed: Rows = []
        longest = 0
        for row in rows:
            longest = max(longest, lengths[row])
            full = len(packed) == self.micro_batch
            if packed and (full or (self.tokens and longest * (len(packed) + 1) > self.tokens)):
                yield packed
                packed, longest = [], lengths[row]
            packed.append(row)
        if packed:
            yield packed
