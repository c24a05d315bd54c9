"""Clip_B: tokens of wrong answers whose update would lower the entropy most leave the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, StepBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-12  # standard deviation at which nothing is clipped, as in the authors' code


class ClipB(Method):
    """The clipped surrogate without the tokens with A < 0 and S < mean S - deviations·std S, divided by those left.

    S = π·(H + log π) of the sampled token under the sampling policy; its mean and standard deviation (with n) are those
    of all response tokens of the step.
    """

    paper = "Clip_B, On the Entropy Dynamics in Reinforcement Fine-Tuning, arXiv 2602.03392; as in Trinity-RFT"
    evidence = "code read"
    divisor = "selected"
    neutral = {"deviations": 1e9}

    @dataclass(frozen=True)
    class Config:
        deviations: float = setting(2.5, low=0.0, source="the authors' clipb.yaml and code: mu 2.5")

    @dataclass
    class State:
        bound: float | None = None  # of S in this step; None: nothing is clipped

    def before_updates(self, step: StepBatch) -> None:
        signal = _entropy_signal(step)[step.mask]
        spread = float(signal.std(correction=0))
        self.state.bound = None if spread < SMALLEST else float(signal.mean()) - self.config.deviations * spread

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        if self.state.bound is None:
            return {"selected": batch.mask}
        clipped = (batch.advantages < 0) & (_entropy_signal(batch) < self.state.bound)
        return {"selected": batch.mask & ~clipped}


def _entropy_signal(batch: StepBatch | MiniBatch) -> Tensor:
    """π·(H + log π) of every token under the sampling policy, [S,T] or [B,T]."""
    return batch.logp_old.exp() * (batch.entropy_old + batch.logp_old)
