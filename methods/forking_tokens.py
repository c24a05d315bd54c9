"""80/20 forking tokens: the policy loss of the tokens of highest entropy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class ForkingTokens(Method):
    """The clipped surrogate on tokens whose entropy is at least the (1 - fraction) quantile, 0 on the others.

    The quantile (linear between order statistics) is taken over the minibatch, each micro-batch or each response; a
    fraction of 0 selects nothing.
    """

    paper = "Beyond the 80/20 Rule, arXiv 2506.01939"
    neutral = {"fraction": 1.0}
    evidence = "text read"

    @dataclass(frozen=True)
    class Config:
        fraction: float = setting(0.2, low=0.0, high=1.0, source="the paper: ρ 20 %")
        scope: str = setting(
            "minibatch",
            choices=("minibatch", "microbatch", "response"),
            source="the paper, eq. 6: within a batch",
        )
        entropy: str = setting("current", choices=("current", "old"), source="the paper: the current policy's")
        divisor: str = setting("selected", choices=("all", "selected"), source="the paper, after eq. 6; TRL: all")

    @property
    def fresh(self) -> tuple[str, ...]:
        return ("entropy",) if self.config.entropy == "current" else ()

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import highest, scope_masks

        entropy = batch.fresh["entropy"] if self.config.entropy == "current" else batch.entropy_old
        if self.config.scope == "response" and self.config.fraction > 0:
            inside = entropy.masked_fill(~batch.mask, float("nan"))
            threshold = inside.nanquantile(1 - self.config.fraction, dim=1, keepdim=True)
            return {"selected": (batch.mask & (entropy >= threshold)).to(entropy)}
        masks = scope_masks(batch, self.config.scope)
        return {"selected": sum((highest(entropy, mask, self.config.fraction) for mask in masks), entropy * 0)}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["selected"]
