"""VESPO: each sequence weighted by a smooth gamma-shaped function of its whole probability ratio, nothing clipped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_RATIO = 1e-8  # TRL, after the authors' code


class Vespo(Method):
    """-sg(φ(w))·A·log π with φ(w) = w^k·exp(λ·(1 - w)), w = π(y)/π_old(y); k and λ by the sign of A; φ(1) = 1.

    Where the study corrects the sampler's mismatch, its weights are factors of w.
    """

    paper = "VESPO, arXiv 2602.10693; formula as in TRL's GRPOTrainer.get_gamma_weights"
    inert_on_policy = True
    neutral = "none: the weight is a smooth function of the sequence's ratio"
    evidence = "text read"

    @dataclass(frozen=True)
    class Config:
        power_positive: float = setting(2.0, low=0.0, source="TRL vespo_k_pos 2.0")
        decay_positive: float = setting(3.0, low=1e-4, source="TRL vespo_lambda_pos 3.0, at least 1e-4")
        power_negative: float = setting(3.0, low=0.0, source="TRL vespo_k_neg 3.0")
        decay_negative: float = setting(2.0, low=1e-4, source="TRL vespo_lambda_neg 2.0, at least 1e-4")

    @property
    def owns_mismatch(self) -> bool:
        return True

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import rollout_weights

        if self.trainer.rollout_correction is None:
            return {}
        weights = rollout_weights(batch, self.trainer).clamp(min=SMALLEST_RATIO)
        return {"log_rollout_weight": weights.log() * batch.mask}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        limit = self.trainer.log_ratio_clamp
        log_ratio = (tokens.logp - tokens.logp_old).detach().clamp(-limit, limit) * tokens.mask
        log_ratio = log_ratio + tokens.extras.get("log_rollout_weight", 0.0)
        log_ratio = log_ratio.sum(1, keepdim=True).clamp(math.log(SMALLEST_RATIO), limit)
        positive = _gamma(log_ratio, self.config.power_positive, self.config.decay_positive)
        negative = _gamma(log_ratio, self.config.power_negative, self.config.decay_negative)
        return -positive.where(tokens.advantages >= 0, negative) * tokens.advantages * tokens.logp


def _gamma(log_ratio: Tensor, power: float, decay: float) -> Tensor:
    """w^power·exp(decay·(1 - w)) in log space."""
    return (power * log_ratio - decay * log_ratio.expm1()).exp()
