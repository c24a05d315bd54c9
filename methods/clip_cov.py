"""Clip-Cov: a few tokens, drawn at random among those of high covariance, are left out of the policy loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

AUTHORS = "the authors' 7B and 32B scripts"


class ClipCov(Method):
    """The clipped surrogate, 0 on max(1, floor(fraction·n)) of n tokens drawn among the candidates.

    Candidates have covariance_low < (A - mean A)·(log π - mean log π) < covariance_high under the current weights and
    are not clipped already. The divisor stays all tokens. The draw is keyed by sequence, so order does not matter.
    """

    paper = "Clip-Cov, The Entropy Mechanism of RL, arXiv 2505.22617"
    neutral = {"fraction": 0.0, "clip_low": 0.2, "clip_high": 0.2}
    evidence = "code read"
    fresh = ("logp",)

    @dataclass(frozen=True)
    class Config:
        fraction: float = setting(0.0002, low=0.0, high=1.0, source=f"{AUTHORS}: clip_cov_ratio; 0: no token")
        covariance_low: float = setting(1.0, low=0.0, source=f"{AUTHORS}: clip_cov_lb")
        covariance_high: float = setting(5.0, low=0.0, source=f"{AUTHORS}: clip_cov_ub")
        clip_low: float = setting(1.0, low=0.0, high=1.0, source=f"{AUTHORS}: clip_ratio_low 1, no lower clip")
        clip_high: float = setting(1.0, low=0.0, source=f"{AUTHORS}: clip_ratio_high 1")
        scope: str = setting(
            "minibatch", choices=("minibatch", "microbatch"), source="the paper as read; all published code: microbatch"
        )

        def __post_init__(self) -> None:
            if self.covariance_low >= self.covariance_high:
                low, high = self.covariance_low, self.covariance_high
                raise ValueError(f"covariance_low ({low}) must be below covariance_high ({high})")

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import scope_masks, token_covariances

        config, draws = self.config, rng(0).to(batch.logp_old)
        kept = batch.mask.to(batch.logp_old)
        for mask in scope_masks(batch, config.scope) if config.fraction > 0 else []:
            covariances = token_covariances(batch, batch.fresh["logp"], mask)
            candidates = (covariances > config.covariance_low) & (covariances < config.covariance_high)
            candidates &= ~self._clipped(batch, mask)
            count = min(max(1, int(config.fraction * len(covariances))), int(candidates.sum()))
            chances = draws[mask].masked_fill(~candidates, 2.0)  # draws are below 1
            if count:
                kept[mask] = (chances > chances.kthvalue(count).values).to(kept)
        return {"kept": kept}

    def _clipped(self, batch: MiniBatch, mask: Tensor) -> Tensor:
        """Whether the surrogate's clip has stopped a token's gradient already, [n]."""
        ratio, advantages = (batch.fresh["logp"] - batch.logp_old)[mask].exp(), batch.advantages[mask]
        above = (advantages > 0) & (ratio > 1 + self.config.clip_high)
        return above | ((advantages < 0) & (ratio < 1 - self.config.clip_low))

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss

        loss = clipped_surrogate_loss(tokens, self.config.clip_low, self.config.clip_high, self.trainer)
        return loss * tokens.extras["kept"]
