"""CE-GPPO: tokens outside the clip range keep a bounded gradient instead of none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class CeGppo(Method):
    """The surrogate with gradient β_low·(1 - clip_low)·A or β_high·(1 + clip_high)·A where it would be clipped.

    Both β = 1 is GPPO (the preset `gppo`); both β = 0 has the gradient of the clipped surrogate. Added is
    positive_coefficient times the mean of -log π over the tokens of right answers, those of positive reward.
    """

    paper = "CE-GPPO, arXiv 2509.20712; GPPO, arXiv 2508.07629"
    neutral = {"beta_low": 0.0, "beta_high": 0.0, "positive_coefficient": 0.0}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        beta_low: float = setting(0.75, low=0.0, source="the authors' 7B script: β1 0.75; their 1.5B one: 0.5")
        beta_high: float = setting(1.0, low=0.0, source="the authors' scripts: β2 1")
        clip_low: float = setting(0.2, low=0.0, high=1.0, source="the authors' scripts: 0.2")
        clip_high: float = setting(0.2, low=0.0, source="the authors' scripts: 0.2")
        positive_coefficient: float = setting(0.1, low=0.0, source="the authors' scripts: positive_loss_coeff 0.1")

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        right = (batch.mask & (batch.rewards > 0)[:, None]).to(batch.logp_old)
        # the regularizer is averaged over all tokens, the authors' term over those of right answers
        return {"positive_weight": right * (batch.mask.sum() / right.sum().clamp(min=1))}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import gradient_preserving_loss

        c = self.config
        return gradient_preserving_loss(tokens, c.clip_low, c.clip_high, c.beta_low, c.beta_high, self.trainer)

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return -self.config.positive_coefficient * tokens.extras["positive_weight"] * tokens.logp
