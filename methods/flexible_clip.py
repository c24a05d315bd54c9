"""Flexible clip: a clip that is wider for unlikely tokens, above to raise the entropy and below to lower it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, StepSummary, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

SCHEDULES = ("rise-fall", "fall-rise-fall", "oscillating")


class FlexibleClip(Method):
    """The clipped surrogate with one clip's width times 1 + slope·(1 - π_old), which falls linearly in π_old.

    In a rising phase that is the upper clip, in a falling phase the lower one. `rise-fall`: rising in the first half of
    the run. `fall-rise-fall`: rising in the middle third. `oscillating`: rising after the entropy has fallen to
    `floor` times the first step's, until it reaches a ceiling that falls linearly from the first step's to that floor.
    """

    paper = "Flexible Entropy Control with a Gradient-Preserving Perspective, arXiv 2602.09782, authors' page"
    evidence = "text read"
    provisional = "UNKNOWN and ours: the slope, the widths, the switching points, which clip a phase widens"
    inert_on_policy = True
    neutral = {"slope": 0.0, "clip_low": 0.2, "clip_high": 0.2}

    @dataclass(frozen=True)
    class Config:
        schedule: str = setting("rise-fall", choices=SCHEDULES, source="the authors' page names the three")
        clip_low: float = setting(0.2, low=0.0, high=1.0, source="ours, UNKNOWN: width where π_old is 1")
        clip_high: float = setting(0.2, low=0.0, source="ours, UNKNOWN: width where π_old is 1")
        slope: float = setting(1.0, low=0.0, source="ours, UNKNOWN")
        floor: float = setting(0.2, low=0.0, high=1.0, source="the authors' page: 0.2 times the initial entropy")

    @dataclass
    class State:
        rising: bool = True
        first_entropy: float | None = None  # nats per token

    def before_updates(self, step: StepBatch) -> None:
        done = (step.step - 1) / step.total_steps
        if self.config.schedule == "rise-fall":
            self.state.rising = done < 1 / 2
        elif self.config.schedule == "fall-rise-fall":
            self.state.rising = 1 / 3 <= done < 2 / 3

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss

        config, rising = self.config, self.state.rising
        widening = 1 + config.slope * (1 - tokens.logp_old.exp())
        low = (config.clip_low * widening ** (not rising)).clamp(max=1.0)
        return clipped_surrogate_loss(tokens, low, config.clip_high * widening**rising, self.trainer)

    def after_step(self, summary: StepSummary) -> None:
        state = self.state
        if state.first_entropy is None:
            state.first_entropy = summary.entropy
        if self.config.schedule != "oscillating" or not summary.updates:
            return
        floor = self.config.floor * state.first_entropy
        ceiling = state.first_entropy + (floor - state.first_entropy) * summary.step / summary.total_steps
        if summary.entropy <= floor:
            state.rising = True
        elif summary.entropy >= ceiling:
            state.rising = False
