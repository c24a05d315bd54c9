"""WAPO: only answers better than their group's mean are learned from, with hardly any clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, StepBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class Wapo(Method):
    """-min(r, 1 + clip_high)·A with A = max(R - mean of the group, 0).

    The loss is the sum over tokens divided by (group size · longest response), then averaged over the groups of the
    update that have an answer with A > 0.
    """

    paper = "Winner Advantage Policy Optimization, arXiv 2606.16154; as in layer6ai-labs/wapo"
    evidence = "code read"
    loss_agg = "seq-mean-token-sum-norm"
    neutral = "none: bad answers are not learned from, advantages not divided by the standard deviation"

    @dataclass(frozen=True)
    class Config:
        clip_high: float = setting(9.0, low=0.0, source="the authors' README and configurations: clip_eps 9")

    def advantages(self, step: StepBatch) -> Tensor:
        from entrobench.objective import centred_rewards

        return centred_rewards(step.rewards, step.group).clamp(min=0)[:, None] * step.mask

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        # the aggregation divides by all groups; their number over that of the groups with a winner mends it
        won = (batch.advantages > 0).any(1)
        winners = max(len(batch.group[won].unique()), 1)
        return {"scale": batch.mask.to(batch.logp_old) * (len(batch.group.unique()) / winners)}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        ratio = probability_ratio(tokens, self.trainer).clamp(max=1 + self.config.clip_high)
        return -tokens.extras["scale"] * ratio * tokens.advantages
