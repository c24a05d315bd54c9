"""Entropy ratio clipping: no gradient from tokens whose entropy has moved too far since sampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

AUTHORS = "the authors' scripts"


class Erc(Method):
    """The loss of a token keeps its gradient only if ratio_low < (H + 1e-8)/(H_old + 1e-8) < ratio_high.

    H is the current, H_old the sampling policy's entropy of the token. The base is the clipped surrogate (DAPO) or
    GPPO's. On the first update of a step the ratio is 1 and not subject to rounding.
    """

    paper = "Entropy Ratio Clipping, arXiv 2512.05591"
    inert_on_policy = True
    neutral = {"ratio_low": 0.0, "ratio_high": 1e30, "clip_high": 0.2}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        ratio_low: float = setting(0.95, low=0.0, high=1.0, source=f"{AUTHORS}: entropy_mask_low")
        ratio_high: float = setting(1.05, low=1.0, source=f"{AUTHORS}: entropy_mask_high")
        base: str = setting("clip", choices=("clip", "gppo"), source=f"{AUTHORS}: on DAPO or on GPPO")
        clip_low: float = setting(0.2, low=0.0, high=1.0, source=f"{AUTHORS}: 0.2")
        clip_high: float = setting(0.28, low=0.0, source=f"{AUTHORS}: 0.28 on DAPO, 0.2 on GPPO")

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import entropy

        return {"entropy": entropy}

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        # two forwards of the same weights differ by rounding, which small entropies would magnify
        return {"on_policy": batch.mask.to(batch.logp_old) * (batch.update == 0)}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss, gradient_preserving_loss

        config = self.config
        if config.base == "clip":
            loss = clipped_surrogate_loss(tokens, config.clip_low, config.clip_high, self.trainer)
        else:
            loss = gradient_preserving_loss(tokens, config.clip_low, config.clip_high, 1.0, 1.0, self.trainer)
        ratio = (tokens.stats["entropy"].detach() + 1e-8) / (tokens.entropy_old + 1e-8)
        inside = (ratio > config.ratio_low) & (ratio < config.ratio_high)
        return loss.where(inside | (tokens.extras["on_policy"] > 0), loss.detach())
