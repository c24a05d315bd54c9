"""W-REINFORCE: wrong answers penalised in full, right ones reinforced a little; with weight 0 negatives alone (NSR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class WReinforce(Method):
    """A = positive_weight·R - negative_weight·(1 - R): no baseline and no normalisation within the group."""

    paper = "The Surprising Effectiveness of Negative Reinforcement, arXiv 2506.01347, W-REINFORCE"
    neutral = "none: advantages are not normalised within the group"
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        positive_weight: float = setting(0.1, low=0.0, source="the paper's λ 0.1; NSR: 0, PSR: 1")
        negative_weight: float = setting(1.0, low=0.0, source="the paper's 1; PSR: 0")

        def __post_init__(self) -> None:
            if self.positive_weight == self.negative_weight == 0:
                raise ValueError("positive_weight and negative_weight are both 0: nothing would be learned")

    def advantages(self, step: StepBatch) -> Tensor:
        rewards = step.rewards
        weighted = self.config.positive_weight * rewards - self.config.negative_weight * (1 - rewards)
        return weighted[:, None] * step.mask
