"""One step's experience: prompts drawn, answers sampled and rewarded, and their records under the sampling policy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from entrobench.api import Method, MiniBatch, StepBatch
from entrobench.config import TrainerConfig
from entrobench.forward import Sequences, frozen_forward, pack
from entrobench.logits import TokenStat, entropy
from entrobench.model import decode
from entrobench.rollout import Completion, Engine, Sampling
from entrobench.update import Memory, keyed_generator, minibatch_of


class Verdict(Protocol):
    """What a reward returns: the grader's verdict."""

    @property
    def correct(self) -> bool: ...
    @property
    def outcome(self) -> str: ...


Reward = Callable[[str, str, bool], Verdict]  # response text, gold answer, ended by itself


@dataclass(frozen=True)
class Prompt:
    """A training problem, tokenised."""

    id: str
    tokens: list[int]
    answer: str


@dataclass(frozen=True)
class Experience:
    """A step's sequences and records."""

    sequences: Sequences
    batch: StepBatch
    keys: list[str]  # [S] names of the sequences for random draws
    outcomes: dict[str, float]  # share of each verdict
    entropy_t1: float  # nats per token of the sampling policy at temperature 1
    rollout_mismatch: float  # mean |logp_rollout - logp_old| per token
    seconds: dict[str, float]


def draw_prompts(prompts: Sequence[Prompt], config: TrainerConfig, seed: int, step: int) -> list[Prompt]:
    """The prompts of a step: epochs shuffled by (seed, epoch), the same for every method; steps never span epochs."""
    per_epoch = len(prompts) // config.prompts
    epoch, place = divmod(step - 1, per_epoch)
    order = keyed_generator(f"order/{seed}/{epoch}").permutation(len(prompts))
    return [prompts[i] for i in order[place * config.prompts : (place + 1) * config.prompts]]


def minibatches(
    method: Method, experience: Experience, updates: int, memory: Memory
) -> Iterator[tuple[MiniBatch, Sequences, list[str]]]:
    """Cut a step into its updates: the records, the sequences and their keys of each, dropped sequences left out.

    Calls the method's `keep`, `advantages` and `before_updates` first, once. An update with nothing left is skipped.
    """
    batch = experience.batch
    keep, advantages = method.keep(batch), method.advantages(batch)
    method.before_updates(batch)
    made = 0  # the first update that is made is update 0, for it is on policy
    for rows in torch.arange(len(keep), device=keep.device).chunk(updates):
        rows = rows[keep[rows]]
        if bool(batch.mask[rows].any()):
            keys = [experience.keys[row] for row in rows.tolist()]
            yield minibatch_of(batch, advantages, rows, made, memory), experience.sequences.rows(rows), keys
            made += 1


class Collector:
    """Samples and records the experience of a step."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        engine: Engine,
        reward: Reward,
        method: Method,
        config: TrainerConfig,
        seed: int,
        memory: Memory,
    ) -> None:
        self.model, self.tokenizer, self.engine, self.reward = model, tokenizer, engine, reward
        self.method, self.config, self.seed, self.memory = method, config, seed, memory

    def collect(self, prompts: Sequence[Prompt], step: int, temperature: float, reference: Any | None) -> Experience:
        """Sample G answers to each prompt at this temperature and record them."""
        group_size = self.config.group_size
        clock = time.perf_counter()
        self.engine.load(self.model)
        completions = self.engine.generate(
            [prompt.tokens for prompt in prompts],
            group_size,
            Sampling(temperature=temperature, max_tokens=self.config.max_response_tokens),
            [prompt.id for prompt in prompts],
            f"{self.seed}/{step}",
        )
        sampled = time.perf_counter()
        repeated = [prompt for prompt in prompts for _ in range(group_size)]
        verdicts = [self._verdict(p, c) for p, c in zip(repeated, completions, strict=True)]
        rewarded = time.perf_counter()
        device = next(self.model.parameters()).device
        sequences = pack([p.tokens for p in repeated], [c.tokens for c in completions], device)
        records, entropy_t1 = self._records(sequences, temperature, reference)
        batch = self._batch(completions, verdicts, sequences, records, step, temperature)
        assert batch.logp_rollout is not None
        mismatch = (batch.logp_rollout - batch.logp_old).abs()[sequences.mask].mean()
        seconds = {
            "rollout": sampled - clock,
            "reward": rewarded - sampled,
            "old": time.perf_counter() - rewarded,
        }
        keys = [f"{self.seed}/{p.id}/{i % group_size}" for i, p in enumerate(repeated)]
        outcomes = Counter(verdict.outcome for verdict in verdicts)
        shares = {name: count / len(verdicts) for name, count in outcomes.items()}
        return Experience(sequences, batch, keys, shares, entropy_t1, float(mismatch), seconds)

    def _verdict(self, prompt: Prompt, completion: Completion) -> Verdict:
        return self.reward(decode(self.tokenizer, completion.tokens), prompt.answer, completion.finish == "stop")

    def _records(self, sequences: Sequences, temperature: float, reference: Any | None) -> tuple[dict[str, Any], float]:
        """Old log-probabilities, entropies and statistics; and the entropy at temperature 1."""
        own = self.method.token_stats()
        wanted = {*self.method.old_stats, *(name for name in self.method.fresh if name in own)}
        stats: dict[str, TokenStat] = {f"own/{name}": own[name] for name in sorted(wanted)}
        stats["entropy"] = entropy
        if temperature != 1:
            stats["entropy_t1"] = lambda logits: entropy(logits * temperature)
        chunk, micro_batch = self.memory.head_chunk, self.memory.micro_batch
        logp, values = frozen_forward(self.model, sequences, stats, temperature, chunk, micro_batch)
        logp_ref = None
        if reference is not None:
            logp_ref, _ = frozen_forward(reference, sequences, {}, temperature, chunk, micro_batch)
        at_one = values.get("entropy_t1", values["entropy"])
        records = {
            "logp_old": logp,
            "entropy_old": values["entropy"],
            "stats_old": {name: values[f"own/{name}"] for name in sorted(wanted)},
            "logp_ref": logp_ref,
        }
        return records, float(at_one[sequences.mask].mean())

    def _batch(
        self,
        completions: Sequence[Completion],
        verdicts: Sequence[Verdict],
        sequences: Sequences,
        records: dict[str, Any],
        step: int,
        temperature: float,
    ) -> StepBatch:
        like: Tensor = records["logp_old"]
        count = len(completions) // self.config.group_size
        group = torch.arange(count, device=like.device).repeat_interleave(self.config.group_size)
        rewards = torch.tensor([float(v.correct) for v in verdicts], dtype=like.dtype, device=like.device)
        logp_rollout = torch.zeros_like(like)
        flat = [logp for completion in completions for logp in completion.logps]
        logp_rollout[sequences.mask] = torch.tensor(flat, dtype=like.dtype, device=like.device)
        return StepBatch(
            rewards=rewards,
            group=group,
            pass_rate=rewards.view(count, -1).mean(1)[group],
            truncated=torch.tensor([c.finish == "length" for c in completions], device=like.device),
            mask=sequences.mask,
            logp_rollout=logp_rollout,
            step=step,
            total_steps=self.config.steps,
            temperature=temperature,
            **records,
        )
