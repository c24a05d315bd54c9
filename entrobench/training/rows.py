"""A step's line of steps.parquet, and the summary of the step that the method's controller sees."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import torch

from entrobench.api import StepSummary, TrainerConfig

from .answers import groups, mixed
from .assembly import Parts
from .experience import Experience
from .update import Measures

SUMMARISED = ("reward", "pass_rate", "entropy", "surprisal", "kl", "clip_low", "clip_high", "length", "truncated")


@dataclass(frozen=True)
class Updates:
    """What the optimizer updates of a step measured; `norms` are the gradients' before clipping, one an update."""

    measures: Measures
    norms: list[float]
    learning_rate: float  # of the last one
    begun: float  # by time.perf_counter

    def mean(self, total: float) -> float:
        """Per update, of a sum over all."""
        return total / max(len(self.norms), 1)


def stat_means(experience: Experience, measures: Measures) -> dict[str, float]:
    """Token means of the method's statistics: from the updates, or from the record where no update computes them."""
    batch = experience.batch
    recorded = {name: float(value[batch.mask].mean()) for name, value in batch.stats_old.items()}
    updated = {n.removeprefix("stat/"): measures.token_mean(n) for n in measures.sums if n.startswith("stat/")}
    return recorded | updated


def summarise(experience: Experience, measures: Measures, updates: int, trainer: TrainerConfig) -> StepSummary:
    """What a step measured, for the method's controller and the log."""
    batch = experience.batch
    mask = batch.mask
    return StepSummary(
        step=batch.step,
        total_steps=trainer.steps,
        updates=updates,
        temperature=batch.temperature,
        reward=float(batch.rewards.mean()),
        pass_rate=float(batch.pass_rate.mean()),
        entropy=float(batch.entropy_old[mask].mean()),
        surprisal=-float(batch.logp_old[mask].mean()),
        stats=stat_means(experience, measures),
        kl=measures.token_mean("kl"),
        clip_low=measures.token_mean("clip_low"),
        clip_high=measures.token_mean("clip_high"),
        length=float(mask.sum(1).float().mean()),
        truncated=float(batch.truncated.float().mean()),
    )


def step_row(parts: Parts, experience: Experience, updates: Updates, summary: StepSummary) -> dict[str, float]:
    """The step's line of steps.parquet, once the method has adapted; every process has to ask."""
    seconds = {**experience.seconds, "update": time.perf_counter() - updates.begun}
    sampled, measures, diagnostic = experience.sampled, updates.measures, parts.collector.diagnostic
    row: dict[str, float] = {"step": summary.step, "time": time.time()}
    row |= {name: getattr(summary, name) for name in SUMMARISED}
    unequal = torch.tensor([mixed(group) for group in groups(sampled.kept, parts.config.group_size)])
    row["mixed_groups"] = float(unequal.float().mean())
    row["entropy_t1"] = experience.entropy_t1
    row["temperature"] = summary.temperature
    row["policy_loss"] = updates.mean(measures.policy_loss)
    row["regularizer_loss"] = updates.mean(measures.regularizer_loss)
    row["grad_norm"] = updates.mean(sum(updates.norms))
    row["learning_rate"] = updates.learning_rate
    row["updates"] = len(updates.norms)
    row["tokens"] = sampled.tokens  # all that was sampled, dropped groups included
    if parts.config.dynamic_sampling:
        row["sampling_batches"] = sampled.batches
        row["sampled_accuracy"] = sampled.correct / sampled.count
    row |= experience.rollout
    row |= {f"seconds_{name}": value for name, value in seconds.items()}
    row |= {name: measures.token_mean(name) for name in measures.sums if "/" in name}
    row |= {f"stat/{name}": mean for name, mean in summary.stats.items()}
    row |= {} if diagnostic is None else diagnostic.take(parts.ranks, parts.accelerator.device)
    row |= {f"outcome/{name}": share for name, share in sampled.shares.items()}
    state = dataclasses.asdict(parts.method.state)
    return row | {f"method/{name}": float(value) for name, value in state.items() if isinstance(value, (int, float))}
