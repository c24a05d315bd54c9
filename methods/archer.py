"""Archer: tokens of high entropy within their response clipped loosely and free of KL, the others held tightly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

SCRIPT = "ArcherCodeR's training script"
CEILING = 10.0  # of the KL estimate per token, verl's low_var_kl


class Archer(Method):
    """The clipped surrogate with one clip above and one below the `quantile` of a response's current entropies.

    Adds low_entropy_kl times the mean k3 over the tokens at or below their quantile, high_entropy_kl times that above.
    """

    paper = "Archer, arXiv 2507.15778; as in ArcherCodeR's dp_actor.py"
    fresh = ("entropy",)
    reference = "base"
    neutral = {"low_entropy_clip": 0.2, "high_entropy_clip": 0.2, "low_entropy_kl": 0.0, "high_entropy_kl": 0.0}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        quantile: float = setting(0.8, low=0.0, high=1.0, source=f"{SCRIPT}: token_entropy_quantile 0.8")
        low_entropy_clip: float = setting(0.2, low=0.0, high=1.0, source=f"{SCRIPT}: 0.2, both sides")
        high_entropy_clip: float = setting(0.5, low=0.0, high=1.0, source=f"{SCRIPT}: 0.5, both sides")
        low_entropy_kl: float = setting(0.001, low=0.0, source=f"{SCRIPT}: kl_loss_coef 0.001")
        high_entropy_kl: float = setting(0.0, low=0.0, source=f"{SCRIPT}: high_entropy_kl_loss_scale_coef 0")

        def __post_init__(self) -> None:
            if self.high_entropy_clip < self.low_entropy_clip:
                high, low = self.high_entropy_clip, self.low_entropy_clip
                raise ValueError(f"high_entropy_clip ({high}) is below low_entropy_clip ({low})")

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        entropy = batch.fresh["entropy"].masked_fill(~batch.mask, float("nan"))
        high = (entropy > entropy.nanquantile(self.config.quantile, dim=1, keepdim=True)).to(entropy)
        low = batch.mask * (1 - high)
        kl_weight = self.config.low_entropy_kl * _mean_weight(low, batch.mask)
        kl_weight = kl_weight + self.config.high_entropy_kl * _mean_weight(high, batch.mask)
        return {"high_entropy": high, "kl_weight": kl_weight}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss

        low, high = self.config.low_entropy_clip, self.config.high_entropy_clip
        clip = low + (high - low) * tokens.extras["high_entropy"]
        return clipped_surrogate_loss(tokens, clip, clip, self.trainer)

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import reference_kl

        return tokens.extras["kl_weight"] * reference_kl(tokens, "k3", CEILING, self.trainer)


def _mean_weight(chosen: Tensor, mask: Tensor) -> Tensor:
    """Weights [B,T] that turn the mean over all tokens of a minibatch into that over the chosen ones (1, others 0)."""
    return chosen * (mask.sum() / chosen.sum().clamp(min=1))
