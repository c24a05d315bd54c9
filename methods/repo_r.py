"""REPO-R: unlikely tokens gain where the answer is good and lose less where it is bad, as the entropy demands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, StepSummary, setting

if TYPE_CHECKING:
    from torch import Tensor


class RepoR(Method):
    """A·(1 - ζ·sign(A)·log π_old); ζ doubles after a step with less entropy than the first one had, else it halves.

    Where A < 0 the factor is 1 + ζ·log π_old, so that the advantage of a token with log π_old < -1/ζ turns its sign.
    """

    paper = "REPO-R, Entropy-preserving reinforcement learning, arXiv 2603.11682"
    evidence = "third-party note"
    provisional = "formula from a note; UNKNOWN and ours: the first ζ and its bounds"
    neutral = {"coefficient": 0.0, "coefficient_low": 0.0}

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.01, low=0.0, source="ours, UNKNOWN: ζ of the first step")
        coefficient_low: float = setting(0.001, low=0.0, source="ours, UNKNOWN")
        coefficient_high: float = setting(0.1, low=0.0, source="ours, UNKNOWN")

        def __post_init__(self) -> None:
            low, high = self.coefficient_low, self.coefficient_high
            if low > high:
                raise ValueError(f"coefficient_low ({low}) is above coefficient_high ({high})")
            if not low <= self.coefficient <= high:
                raise ValueError(f"coefficient ({self.coefficient}) is outside its box [{low}, {high}]")

    @dataclass
    class State:
        coefficient: float
        first_entropy: float | None = None  # nats per token

    def initial_state(self) -> State:
        return self.State(self.config.coefficient)

    def advantages(self, step: StepBatch) -> Tensor:
        advantages = super().advantages(step)
        return advantages - self.state.coefficient * advantages.abs() * step.logp_old * step.mask

    def after_step(self, summary: StepSummary) -> None:
        config, state = self.config, self.state
        if state.first_entropy is None:
            state.first_entropy = summary.entropy
        elif summary.updates and summary.entropy != state.first_entropy:
            moved = state.coefficient * (2.0 if summary.entropy < state.first_entropy else 0.5)
            state.coefficient = min(max(moved, config.coefficient_low), config.coefficient_high)
