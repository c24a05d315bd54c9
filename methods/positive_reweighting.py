"""Positive-advantage reweighting: tokens of good answers, which lower the entropy most, count less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, StepSummary, setting

if TYPE_CHECKING:
    from torch import Tensor

NOTE = "a third party's note"


class PositiveReweighting(Method):
    """Advantages above 0 times λ in [0, 1].

    `schedule: target`: λ falls by `rate` after a step whose entropy was below the target and rises after one above it.
    `stage`: 0 in the first half of the run, then linearly to 1. `epoch`: (e - 1)/(epochs - 1) in epoch e, the run's
    steps cut into equal epochs.
    """

    paper = "Revisiting Entropy in RL for Large Reasoning Models, arXiv 2511.05993, positive-advantage reweighting"
    evidence = "third-party note"
    provisional = "formula from a note; UNKNOWN and ours: the target entropy, the first λ, the number of epochs"
    neutral = {"schedule": "target", "weight": 1.0, "rate": 0.0}

    @dataclass(frozen=True)
    class Config:
        schedule: str = setting("target", choices=("target", "stage", "epoch"), source=NOTE)
        target: float = setting(0.2, low=0.0, source="ours, UNKNOWN; nats per token")
        rate: float = setting(0.05, low=0.0, high=1.0, source=f"{NOTE}: 0.05")
        weight: float = setting(1.0, low=0.0, high=1.0, source="ours, UNKNOWN: λ of the first step, for target")
        epochs: int = setting(10, low=2, source="ours, UNKNOWN")

    @dataclass
    class State:
        weight: float

    def initial_state(self) -> State:
        return self.State(self.config.weight)

    def _weight(self, step: int, total_steps: int) -> float:
        """λ of a step."""
        if self.config.schedule == "stage":
            return max(0.0, 2 * step / total_steps - 1)
        if self.config.schedule == "epoch":
            return (step - 1) * self.config.epochs // total_steps / (self.config.epochs - 1)
        return float(self.state.weight)

    def advantages(self, step: StepBatch) -> Tensor:
        advantages = super().advantages(step)
        weight = self._weight(step.step, step.total_steps)
        return advantages.where(advantages <= 0, weight * advantages)

    def after_step(self, summary: StepSummary) -> None:
        entropy, target = summary.entropy, self.config.target
        if summary.updates and self.config.schedule == "target" and entropy != target:
            moved = self.state.weight + (self.config.rate if entropy > target else -self.config.rate)
            self.state.weight = min(max(moved, 0.0), 1.0)
