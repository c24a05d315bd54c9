"""One step's experience: prompts drawn, answers sampled and rewarded, and their records under the sampling policy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from entrobench.api import Method, MiniBatch, StepBatch
from entrobench.config import TrainerConfig
from entrobench.distributed.sharding import Whole, whole_weights
from entrobench.entropy.logits import TokenStat, entropy
from entrobench.errors import InputError
from entrobench.objective import kl_estimate, rollout_weights

from . import hook_checks
from .answers import Answer, Prompt, Sampled, Sampler, reward_of
from .clamp_diagnostics import ClampDiagnostic
from .forward import Sequences, frozen_forward, pack
from .micro_batches import ForwardLimits
from .update import keyed_generator, minibatch_of, step_rows


@dataclass(frozen=True)
class Experience:
    """A step's sequences and records."""

    sequences: Sequences
    batch: StepBatch
    keys: list[str]  # [S] names of the sequences for random draws
    sampled: Sampled  # all answers, also dropped ones
    entropy_t1: float  # nats per token of the sampling policy at temperature 1
    rollout: dict[str, float]  # how far sampler and trainer differ, see `_mismatch_of`
    seconds: dict[str, float]


def draw_prompts(prompts: Sequence[Prompt], config: TrainerConfig, stream: str, step: int) -> list[Prompt]:
    """The prompts of a step: epochs shuffled by (stream, epoch), alike for every method; no step spans two epochs."""
    per_epoch = len(prompts) // config.prompts
    epoch, place = divmod(step - 1, per_epoch)
    order = keyed_generator(f"order/{stream}/{epoch}").permutation(len(prompts))
    return [prompts[i] for i in order[place * config.prompts : (place + 1) * config.prompts]]


def minibatches(
    method: Method, experience: Experience, limits: ForwardLimits
) -> Iterator[tuple[MiniBatch, Sequences, list[str]]]:
    """Cut a step into its updates; yields the records, the sequences and their keys of each, without dropped sequences.

    First calls the method's `keep`, `advantages` and `before_updates`, once; the latter two not where nothing is left
    to train on, because the method drops all or dynamic sampling found no mixed group. With several epochs the same
    cuts come again; updates are counted on, so that only the very first is on policy.
    """
    batch, config = experience.batch, method.trainer
    parts = update_rows(batch, _kept(method, experience), config)
    if not parts:
        return
    advantages = _advantages(method, batch)
    hook_checks.before_updates(method, batch)
    for number, rows in enumerate(parts * config.epochs):
        keys = [experience.keys[row] for row in rows.tolist()]
        sequences = experience.sequences.rows(rows)
        numbers = limits.numbers(sequences.lengths, sequences.prompts.tolist())
        yield minibatch_of(batch, advantages, rows, number, numbers), sequences, keys


def _kept(method: Method, experience: Experience) -> Tensor:
    """The sequences that are trained on, [S] bool."""
    keep = hook_checks.keep(method, experience.batch) & experience.sampled.trainable
    return keep if method.trainer.mask_truncated == "none" else keep & ~experience.batch.truncated


def _advantages(method: Method, batch: StepBatch) -> Tensor:
    """The method's advantages, [S,T]; where truncated answers are no part of their group, of the others among them."""
    rows = (~batch.truncated).nonzero()[:, 0]
    if method.trainer.mask_truncated != "group" or len(rows) == len(batch.truncated):
        return hook_checks.advantages(method, batch)
    others = hook_checks.advantages(method, step_rows(batch, rows))
    return others.new_zeros(batch.mask.shape).index_copy(0, rows, others)


def update_rows(batch: StepBatch, keep: Tensor, config: TrainerConfig) -> list[Tensor]:
    """The rows of each update: whole groups, spread evenly, over as many updates as the groups that are left fill.

    Where less is left than was planned, max(1, round(left / planned size of an update)) updates are made: each weighs
    the same in training, so none may be a small rest.
    """
    groups = batch.group[keep].unique()
    count = max(1, round(len(groups) * config.updates / config.prompts))
    parts = [(torch.isin(batch.group, part) & keep).nonzero()[:, 0] for part in groups.tensor_split(count)]
    return [rows for rows in parts if bool(batch.mask[rows].any())]


class Collector:
    """Samples and records the experience of a step."""

    def __init__(
        self,
        model: Any,
        sampler: Sampler,
        method: Method,
        limits: ForwardLimits,
        diagnostic: ClampDiagnostic | None = None,
        whole: Whole | None = None,
    ) -> None:
        """`diagnostic` sees every response token once a step; `whole` is what the engine reads of sharded weights."""
        self.diagnostic = diagnostic
        self.model, self.sampler, self.method, self.limits = model, sampler, method, limits
        self.engine, self.config = sampler.engine, sampler.config
        self.whole = whole
        self.answers: list[Answer] = []  # of the step that is being made

    def collect(
        self,
        prompts: Sequence[Prompt],
        step: int,
        temperature: float,
        reference: Any | None,
        refill: Iterator[Sequence[Prompt]] = iter(()),  # noqa: B008 (empty for ever)
    ) -> Experience:
        """Sample G answers to each prompt at this temperature and record them; for `refill` see `Sampler.sample`."""
        start = time.perf_counter()
        self.answers = []
        with whole_weights(self.whole, self.model) as weights:
            self.engine.load(weights)
        loaded = time.perf_counter()
        sampled = self.sampler.sample(prompts, step, temperature, refill)
        clock = time.perf_counter()
        answers, device = sampled.kept, next(self.model.parameters()).device
        self.answers = answers
        sequences = pack([a.prompt.tokens for a in answers], [a.completion.tokens for a in answers], device)
        records, entropy_t1 = self._records(sequences, temperature, reference)
        batch = self._batch(answers, sequences, records, step, temperature)
        mismatches = self._mismatch_of(batch)
        seconds = {
            "rollout": loaded - start + sampled.rollout_seconds,
            "reward": sampled.reward_seconds,
            "old": time.perf_counter() - clock,
        }
        keys = [answer.key for answer in answers]
        return Experience(sequences, batch, keys, sampled, entropy_t1, mismatches, seconds)

    def _mismatch_of(self, batch: StepBatch) -> dict[str, float]:
        """Mean |logp_rollout - logp_old| per token and, with a correction, its weights' mean and largest.

        Raises InputError where the mean is larger than rounding explains.
        """
        assert batch.logp_rollout is not None
        difference = (batch.logp_old - batch.logp_rollout)[batch.mask]
        mismatch, limit = float(difference.abs().mean()), self.engine.tolerance
        if not mismatch <= limit:
            raise InputError(
                f"engine: {self.config.engine}: at step {batch.step} its log-probabilities lie {mismatch:.3g} nats per "
                f"token from the trainer's (at most {limit:g} under equal weights): it holds others, or computes "
                "otherwise"
            )
        mismatches = {"rollout_mismatch": mismatch}
        if self.config.rollout_correction is not None:
            weights = rollout_weights(batch, self.config)[batch.mask]
            mismatches |= {"rollout_weight": float(weights.mean()), "rollout_weight_max": float(weights.max())}
            if not self.config.rollout_mode.endswith("truncate"):
                mismatches["rollout_masked"] = float((weights == 0).double().mean())
        return mismatches

    def _records(self, sequences: Sequences, temperature: float, reference: Any | None) -> tuple[dict[str, Any], float]:
        """Old log-probabilities, entropies and statistics; and the entropy at temperature 1."""
        own = hook_checks.token_stats(self.method)
        wanted = sorted({*self.method.old_stats, *(name for name in self.method.fresh if name in own)})
        places = {name: "entropy" if own[name] is entropy else f"own/{name}" for name in wanted}
        stats: dict[str, TokenStat] = {"entropy": entropy, **{place: own[name] for name, place in places.items()}}
        if self.diagnostic is not None:
            stats["diagnostic"] = self.diagnostic
        if temperature != 1:
            stats["entropy_t1"] = lambda logits: entropy(logits * temperature)
        logp, values = frozen_forward(self.model, sequences, stats, temperature, self.limits)
        logp_ref = None
        if reference is not None:
            logp_ref, _ = frozen_forward(reference, sequences, {}, temperature, self.limits)
        hook_checks.finite("the model's log-probabilities", logp, sequences.mask)
        hook_checks.finite("the entropy", values["entropy"], sequences.mask)
        if logp_ref is not None:
            hook_checks.finite("the reference's log-probabilities", logp_ref, sequences.mask)
        for name, place in places.items():
            hook_checks.finite(f"token_stats: {name}", values[place], sequences.mask)
        at_one = values.get("entropy_t1", values["entropy"])
        records = {
            "logp_old": logp,
            "entropy_old": values["entropy"],
            "stats_old": {name: values[place] for name, place in places.items()},
            "logp_ref": logp_ref,
        }
        return records, float(at_one[sequences.mask].mean())

    def _batch(
        self, answers: Sequence[Answer], sequences: Sequences, records: dict[str, Any], step: int, temperature: float
    ) -> StepBatch:
        like: Tensor = records["logp_old"]

        def column(values: Iterable[float], **of: Any) -> Tensor:
            return torch.tensor(list(values), device=like.device, **{"dtype": like.dtype, **of})

        count = len(answers) // self.config.group_size
        group = torch.arange(count, device=like.device).repeat_interleave(self.config.group_size)
        correct = column(float(answer.verdict.correct) for answer in answers)
        rewards = column(reward_of(answer, self.config) for answer in answers)
        if self.config.kl_reward:
            distances = kl_estimate(like - records["logp_ref"], self.config.kl_reward_estimator) * sequences.mask
            rewards -= self.config.kl_reward * distances.sum(1)
        logp_rollout = torch.zeros_like(like)
        logp_rollout[sequences.mask] = column(logp for answer in answers for logp in answer.completion.logps)
        return StepBatch(
            rewards=hook_checks.finite("the rewards", rewards),
            group=group,
            pass_rate=correct.view(count, -1).mean(1)[group],
            truncated=column((answer.completion.finish == "length" for answer in answers), dtype=torch.bool),
            mask=sequences.mask,
            logp_rollout=logp_rollout,
            step=step,
            total_steps=self.config.steps,
            temperature=temperature,
            **records,
        )
