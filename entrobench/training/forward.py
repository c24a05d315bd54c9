"""Sequences as tensors, and their per-token statistics through the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from entrobench.entropy.logits import TokenStat, token_statistics
from entrobench.models.language_model import head, hidden_states
from entrobench.models.shared_prefix import gather, lay_out, row_states, shares_prompts

from .micro_batches import ForwardLimits

LOGP = "log-probability of the label"  # among the names of statistics


@dataclass(frozen=True)
class Sequences:
    """Prompts with their answers, right-padded."""

    tokens: Tensor  # [S,L] int64, prompt then response
    prompt_lengths: Tensor  # [S] int64
    prompts: Tensor  # [S] int64, sequences of equal prompts have equal numbers
    mask: Tensor  # [S,T] bool, position t is response token t, the end token included

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence, prompt and response."""
        lengths: list[int] = self._lengths().tolist()
        return lengths

    def _lengths(self) -> Tensor:
        return self.prompt_lengths + self.mask.sum(1)

    def rows(self, index: Tensor) -> Sequences:
        """These sequences, cut to the longest of them; T stays."""
        longest = int(self._lengths()[index].max())
        return Sequences(
            self.tokens[index, :longest], self.prompt_lengths[index], self.prompts[index], self.mask[index]
        )

    def states_before(self, model: Any, row: Tensor, column: Tensor) -> Tensor:
        """Last hidden states [n,d] from which the tokens at these places are predicted.

        Where the model shares prompts, each prompt is run once for all its answers.
        """
        if not shares_prompts(model):
            return hidden_states(model, self.tokens)[row, column - 1]
        layout = lay_out(self.tokens, self.prompts, self.prompt_lengths, self._lengths())
        return gather(row_states(model, layout), layout.sequences[row, column - 1])


def pack(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], device: torch.device) -> Sequences:
    """Put prompts and their responses (same length of lists) into tensors."""
    longest = max(len(p) + len(r) for p, r in zip(prompts, responses, strict=True))
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), max(map(len, responses)), dtype=torch.bool)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        tokens[row, : len(prompt) + len(response)] = torch.tensor([*prompt, *response])
        mask[row, : len(response)] = True
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    known: dict[tuple[int, ...], int] = {}
    numbers = torch.tensor([known.setdefault(tuple(prompt), len(known)) for prompt in prompts])
    return Sequences(tokens.to(device), lengths.to(device), numbers.to(device), mask.to(device))


def token_forward(
    model: Any, sequences: Sequences, stats: Mapping[str, TokenStat], temperature: float, chunk: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Log-probability [b,T] and statistics {name: [b,T]} of every response token; 0 outside the mask.

    Only positions that predict a response token reach the output layer.
    """
    row, position = sequences.mask.nonzero(as_tuple=True)
    column = sequences.prompt_lengths[row] + position
    hidden = sequences.states_before(model, row, column)
    labels = sequences.tokens[row, column]
    weight, bias = head(model)
    logp, values = token_statistics(hidden, weight, bias, labels, stats, temperature, chunk)

    def spread(flat: Tensor) -> Tensor:
        return flat.new_zeros(sequences.mask.shape).index_put((row, position), flat)

    return spread(logp), {name: spread(value) for name, value in values.items()}


@torch.no_grad()
def frozen_forward(
    model: Any,
    sequences: Sequences,
    stats: Mapping[str, TokenStat],
    temperature: float,
    limits: ForwardLimits,
) -> tuple[Tensor, dict[str, Tensor]]:
    """`token_forward` of all sequences without gradient, in micro-batches; [S,T] and {name: [S,T]}."""
    own: list[int] = []
    pieces: dict[str, list[Tensor]] = {}
    for rows in limits.own_micro_batches(sequences.lengths, sequences.prompts.tolist()):
        # a process without rows still takes part: in gathering sharded weights, and in putting the results together
        index = torch.tensor(rows or [0], device=sequences.tokens.device)
        logp, values = token_forward(model, sequences.rows(index), stats, temperature, limits.head_chunk)
        own += rows
        for name, value in {LOGP: logp, **values}.items():
            pieces.setdefault(name, []).append(value[: len(rows)])
    place = torch.tensor(own, dtype=torch.long, device=sequences.tokens.device)
    whole = {name: limits.ranks.gather_rows(torch.cat(p), place, len(sequences.mask)) for name, p in pieces.items()}
    return whole.pop(LOGP), whole
