"""SENT's token part: among the tokens of low entropy, those of extreme covariance are held near the sampling policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

CODE = "the authors' core_algos.py"


class Sent(Method):
    """-r·A, without any clip, plus strength·|log π - log π_old| on a few of the tokens of low entropy.

    Of low entropy is the `share` of the tokens with the lowest H, m tokens. Of these the max(1, floor(fraction·m)),
    none if fraction is 0, with the largest (A - mean A)·(log π - mean log π), means over the m, have the strength
    coefficient·factor_high, those with the smallest coefficient·factor_low. Entropy and log π are the current policy's.
    """

    paper = "Semantic and Token Entropy (SENT), arXiv 2512.04359; as low_entropy_kl_cov_v2 in the authors' code"
    evidence = "code read"
    inert_on_policy = True
    fresh = ("logp", "entropy")
    neutral = "its policy loss has no clip at all, which GRPO's has"

    @dataclass(frozen=True)
    class Config:
        share: float = setting(0.8, low=0.0, high=1.0, source=f"{CODE}: 0.8")
        fraction: float = setting(0.0002, low=0.0, high=1.0, source=f"{CODE}: kl_cov_ratio, its default 0.0002")
        coefficient: float = setting(1.0, low=0.0, source=f"{CODE}: ppo_kl_coef, its default 1")
        factor_high: float = setting(2.0, low=0.0, source=f"{CODE}: high_cov_coef 2")
        factor_low: float = setting(0.5, low=0.0, source=f"{CODE}: low_cov_coef 0.5")
        scope: str = setting("minibatch", choices=("minibatch", "microbatch"), source=f"ours; {CODE}: micro-batch")

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import largest_weights, scope_masks, token_covariances

        config, entropy, logp = self.config, batch.fresh["entropy"], batch.fresh["logp"]
        strength = batch.logp_old * 0
        for mask in scope_masks(batch, config.scope) if config.fraction > 0 else []:
            count = max(1, int(int(mask.sum()) * config.share))
            low = mask & (entropy <= entropy[mask].kthvalue(count).values)  # all that equal the last one
            covariances = token_covariances(batch, logp, low)
            count = max(1, int(len(covariances) * config.fraction))
            high, small = largest_weights(covariances, count), largest_weights(-covariances, count)
            # where one token is both, the authors' code lets the second assignment stand
            strength[low] = config.coefficient * (config.factor_high * high * (1 - small) + config.factor_low * small)
        return {"strength": strength}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        surrogate = -probability_ratio(tokens, self.trainer) * tokens.advantages
        return surrogate + tokens.extras["strength"] * (tokens.logp - tokens.logp_old).abs()
