"""CISPO: the clipped probability ratio is a weight without gradient, so that every token keeps its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class Cispo(Method):
    """-sg(clip(r, 1 - clip_low, 1 + clip_high))·A·log π. The paper has no lower bound: `clip_low` 1 or more.

    The paper's token mask, where given, leaves out tokens with A > 0 and r > 1 + mask_high, or A < 0 and
    r < 1 - mask_low: PPO's trust region by hand.
    """

    paper = "CISPO in MiniMax-M1, arXiv 2506.13585, section 3.1; truncated weights in ScaleRL, arXiv 2510.13786"
    inert_on_policy = True
    neutral = "none: a token outside the clip keeps its gradient, which GRPO drops"
    evidence = "third-party note"

    @dataclass(frozen=True)
    class Config:
        clip_low: float = setting(1.0, low=0.0, source="MiniMax-M1: no lower bound")
        clip_high: float = setting(4.0, low=0.0, source="ScaleRL as TRL and SkyRL quote it: weights up to 5")
        mask_low: float | None = setting(None, low=0.0, added=True, source="off; MiniMax-M1's token mask: UNKNOWN")
        mask_high: float | None = setting(None, low=0.0, added=True, source="off; MiniMax-M1's token mask: UNKNOWN")

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        ratio = probability_ratio(tokens, self.trainer).detach()
        weight = ratio.clamp(1 - self.config.clip_low, 1 + self.config.clip_high)
        kept = tokens.mask
        if self.config.mask_high is not None:
            kept = kept & ~((tokens.advantages > 0) & (ratio > 1 + self.config.mask_high))
        if self.config.mask_low is not None:
            kept = kept & ~((tokens.advantages < 0) & (ratio < 1 - self.config.mask_low))
        return -(weight * kept) * tokens.advantages * tokens.logp
