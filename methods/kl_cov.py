"""KL-Cov: the few tokens that would lower the entropy most are held near the sampling policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

AUTHORS = "the authors' 7B script (k_percent 0.2)"


class KlCov(Method):
    """-r·A, without any clip, plus coefficient·|log π - log π_old| on the tokens of the largest covariance.

    Selected are max(1, floor(fraction·n)) of n tokens, none if fraction is 0, by (A - mean A)·(log π - mean log π)
    under the current weights; tokens that are equal at the cut share the remaining places.
    """

    paper = "KL-Cov, The Entropy Mechanism of RL, arXiv 2505.22617"
    inert_on_policy = True
    neutral = "its policy loss has no clip at all, which GRPO's has"
    evidence = "code read"
    fresh = ("logp",)

    @dataclass(frozen=True)
    class Config:
        fraction: float = setting(0.002, low=0.0, high=1.0, source=f"{AUTHORS}: 0.2 % of the tokens")
        coefficient: float = setting(1.0, low=0.0, source="the authors' scripts: ppo_kl_coef 1")
        scope: str = setting(
            "minibatch", choices=("minibatch", "microbatch"), source="the paper as read; all published code: microbatch"
        )

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import largest_weights, scope_masks, token_covariances

        selected = batch.logp_old.new_zeros(batch.mask.shape)
        for mask in scope_masks(batch, self.config.scope) if self.config.fraction > 0 else []:
            covariances = token_covariances(batch, batch.fresh["logp"], mask)
            count = max(1, int(self.config.fraction * len(covariances)))
            selected[mask] = largest_weights(covariances, count)
        return {"selected": selected}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        distance = (tokens.logp - tokens.logp_old).abs()
        penalty = self.config.coefficient * tokens.extras["selected"] * distance
        return penalty - probability_ratio(tokens, self.trainer) * tokens.advantages
