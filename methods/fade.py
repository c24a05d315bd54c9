"""FADE: hard prompts count more while the policy is weak, wrong answers more while the entropy is low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, StepSummary, setting

if TYPE_CHECKING:
    from torch import Tensor

NOTE = "a third party's note"


class Fade(Method):
    """A = (1 - r̄)^(α - 1)·(R - r̄), r̄ the mean reward of the group; A below 0 also divided by δ.

    α = clip(3·(1 - p̂)/(2·p̂), 1, 3) and δ = clip(1 + Ĥ - H*, 0.3, 1), with p̂ and Ĥ the moving averages of the steps'
    mean reward and entropy up to the step before, in the first step its own. H* is `target`, or half of the first
    step's entropy.
    """

    paper = "FADE, Don't Let Gains FADE, arXiv 2607.01490"
    evidence = "third-party note"
    provisional = "formula from a note whose moving average conflicts with its own β 0.02; ours: x + β·(new - x)"
    neutral = "none: advantages are not divided by the standard deviation of the group"

    @dataclass(frozen=True)
    class Config:
        focus_high: float = setting(3.0, low=1.0, source=f"{NOTE}: α in [1, 3]")
        damping_low: float = setting(0.3, low=1e-3, high=1.0, source=f"{NOTE}: δ in [0.3, 1]")
        target: float | None = setting(None, low=0.0, source=f"{NOTE}: about half of the initial entropy")
        rate: float = setting(0.02, low=0.0, high=1.0, source=f"{NOTE}: β 0.02, see provisional")

    @dataclass
    class State:
        reward: float | None = None  # p̂
        entropy: float | None = None  # Ĥ, nats per token
        first_entropy: float | None = None

    def _exponents(self, reward: float, entropy: float, first_entropy: float) -> tuple[float, float]:
        """α and δ from p̂, Ĥ and the first step's entropy."""
        config = self.config
        focus = 3 * (1 - reward) / (2 * reward) if reward > 0 else config.focus_high
        target = first_entropy / 2 if config.target is None else config.target
        damping = 1 + entropy - target
        return min(max(focus, 1.0), config.focus_high), min(max(damping, config.damping_low), 1.0)

    def advantages(self, step: StepBatch) -> Tensor:
        from entrobench.objective import centred_rewards

        state = self.state
        if state.first_entropy is None:
            entropy = float(step.entropy_old[step.mask].mean())
            focus, damping = self._exponents(float(step.rewards.mean()), entropy, entropy)
        else:
            focus, damping = self._exponents(state.reward, state.entropy, state.first_entropy)
        centred = centred_rewards(step.rewards, step.group)
        hardness = (1 - (step.rewards - centred)).clamp(min=0) ** (focus - 1)
        weighted = hardness * centred
        return weighted.where(centred >= 0, weighted / damping)[:, None] * step.mask

    def after_step(self, summary: StepSummary) -> None:
        state, rate = self.state, self.config.rate
        if state.first_entropy is None:
            state.reward, state.entropy, state.first_entropy = summary.reward, summary.entropy, summary.entropy
        elif summary.updates:
            state.reward += rate * (summary.reward - state.reward)
            state.entropy += rate * (summary.entropy - state.entropy)
