"""AsymGRPO: how much the rare right and the rare wrong answers of a group count is set apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class AsymGrpo(Method):
    """A = ((1 - p)/p)^β_positive for right answers, -(p/(1 - p))^β_negative for wrong ones, p the group's share right.

    Right are the answers whose reward lies above the mean of their group; in a group of equal rewards A = 0.
    """

    paper = "AsymGRPO, Asymmetric Advantage Modulation, arXiv 2604.04894"
    evidence = "third-party note"
    provisional = "formula and constants from a note, not from the paper's text or code"
    neutral = "none: both β 0.5 divide by the group's standard deviation with n, GRPO by that with n - 1 plus 1e-6"

    @dataclass(frozen=True)
    class Config:
        beta_positive: float = setting(0.9, low=0.0, source="a third party's note: 0.9; 0.5 is GRPO's")
        beta_negative: float = setting(0.4, low=0.0, source="a third party's note: 0.4; 0.5 is GRPO's")

    def advantages(self, step: StepBatch) -> Tensor:
        from entrobench.objective import centred_rewards

        centred = centred_rewards(step.rewards, step.group)
        first_of_group = step.group[:, None] == step.group
        mixed = (first_of_group & (step.rewards[:, None] != step.rewards)).any(1)
        right = (centred > 0).to(step.rewards)
        share = (right - centred_rewards(right, step.group)).clamp(1e-6, 1 - 1e-6)
        odds = (1 - share) / share
        advantages = (odds**self.config.beta_positive).where(centred > 0, -(odds**-self.config.beta_negative))
        return (advantages * mixed)[:, None] * step.mask
