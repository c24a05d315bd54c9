"""QAE: the baseline of a group is a quantile of its rewards instead of their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class Qae(Method):
    """A = (R - quantile of the group) / (std + 1e-6), std as in GRPO.

    With rewards 0 and 1 and the share p of right answers: where p <= 1 - quantile the baseline is 0 and only the right
    ones have an advantage; otherwise it is 1 and only the wrong ones have. `quantile: null` is the mean, as in the
    authors' code.
    """

    paper = "Quantile Advantage Estimation, arXiv 2509.22611, abstract; code in the authors' README"
    neutral = {"quantile": None}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        quantile: float | None = setting(0.4, low=0.0, high=1.0, source="the authors' README: K 0.4")
        interpolation: str = setting(
            "inverted_cdf",
            choices=("inverted_cdf", "linear"),
            source="the abstract's p <= 1 - K; the authors' code has torch.quantile, which is linear",
        )

        def __post_init__(self) -> None:
            if self.quantile in (0.0, 1.0):
                raise ValueError(f"quantile must lie between 0 and 1, both excluded, got {self.quantile}")

    def advantages(self, step: StepBatch) -> Tensor:
        if self.config.quantile is None:
            return super().advantages(step)
        from entrobench.objective import ADVANTAGE_EPSILON

        advantages = step.rewards.clone()
        for group in step.group.unique():
            members = step.group == group
            rewards = step.rewards[members]
            baseline = group_quantile(rewards, self.config.quantile, self.config.interpolation)
            deviation = rewards.std(correction=min(1, len(rewards) - 1))  # one answer alone deviates by 0
            advantages[members] = (rewards - baseline) / (deviation + ADVANTAGE_EPSILON)
        return advantages[:, None] * step.mask


def group_quantile(rewards: Tensor, quantile: float, interpolation: str) -> Tensor:
    """The quantile of one group's rewards, [G] -> scalar; inverted_cdf: the smallest reward with CDF >= quantile."""
    if interpolation == "linear":
        return rewards.quantile(quantile)
    ordered = rewards.sort().values
    shares = ordered.new_ones(len(ordered)).cumsum(0) / len(ordered)
    return ordered[(shares < quantile).sum()]
