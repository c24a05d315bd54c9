"""Lp-Reg: unlikely but plausible tokens of wrong answers are kept alive by a KL term instead of being clipped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

SCRIPT = "the authors' Qwen3-14B scripts"
CEILING = 10.0  # of the KL estimate per token, as in the authors' code


class LpReg(Method):
    """The clipped surrogate; on the least likely tokens with A < 0 that are plausible, -r·A + coefficient·k3 instead.

    Plausible is a token with π_old ≥ floor·max π_old; the proxy is π_old renormalised over the plausible ones. Of n
    tokens with A < 0 the floor(fraction·n) with the lowest log π under the current weights are looked at, and those
    that are plausible and below log proxy pay k3 = e^d - 1 - d with d = log proxy - log π.
    """

    paper = "Low-probability Regularization, arXiv 2510.03222; as in the authors' core_algos.py and dp_actor.py"
    evidence = "code read"
    fresh = ("logp",)
    old_stats = ("log_plausible_mass", "log_largest")
    neutral = {"fraction": 0.0, "clip_low": 0.2, "clip_high": 0.2}

    @dataclass(frozen=True)
    class Config:
        floor: float = setting(0.02, low=1e-6, high=1.0, source=f"{SCRIPT}: minp_p_threshold 0.02")
        fraction: float = setting(0.01, low=0.0, high=1.0, source=f"{SCRIPT}: logp_neg_k_percent 0.01; 32B: 0.005")
        coefficient: float = setting(1.0, low=0.0, source=f"{SCRIPT}: ppo_kl_coef 1")
        clip_low: float = setting(1.0, low=0.0, high=1.0, source=f"{SCRIPT}: 1.0")
        clip_high: float = setting(9.0, low=0.0, source=f"{SCRIPT}: 9.0")
        scope: str = setting("minibatch", choices=("minibatch", "microbatch"), source="ours; their code: micro-batch")

    def token_stats(self) -> Mapping[str, TokenStat]:
        return {"log_plausible_mass": self._log_plausible_mass, "log_largest": _log_largest}

    def _log_plausible_mass(self, logits: Tensor) -> Tensor:
        """Log of the mass of the plausible tokens, [n,V] -> [n], at most 0; it is used without gradient."""
        mass = _over_largest(logits)
        return ((mass * (mass >= self.config.floor)).sum(-1) / mass.sum(-1)).log().clamp(max=0)

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import largest_weights, scope_masks

        old, logp = batch.stats_old, batch.fresh["logp"]
        plausible = batch.logp_old >= old["log_largest"] + math.log(self.config.floor)
        proxy = batch.logp_old - old["log_plausible_mass"]
        regularized = batch.logp_old * 0
        for mask in scope_masks(batch, self.config.scope):
            wrong = mask & (batch.advantages < 0)
            count = int(self.config.fraction * int(wrong.sum()))
            if count > 1:  # the authors' code leaves a single token alone
                regularized[wrong] = largest_weights(-logp[wrong], count)
        return {"regularized": regularized * (plausible & (logp < proxy)), "proxy": proxy.where(batch.mask, 0.0)}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss, probability_ratio

        share, gap = tokens.extras["regularized"], tokens.extras["proxy"] - tokens.logp
        kl = ((gap * (share > 0)).expm1() - gap * (share > 0)).clamp(max=CEILING)
        kept = -probability_ratio(tokens, self.trainer) * tokens.advantages + self.config.coefficient * kl
        clipped = clipped_surrogate_loss(tokens, self.config.clip_low, self.config.clip_high, self.trainer)
        return share * kept + (1 - share) * clipped


def _log_largest(logits: Tensor) -> Tensor:
    """Log-probability of the most likely token, [n,V] -> [n]; it is used without gradient."""
    return -_over_largest(logits).sum(-1).log()


def _over_largest(logits: Tensor) -> Tensor:
    """Probabilities over the largest one, [n,V] -> [n,V], without gradient."""
    logits = logits.detach()
    return (logits - logits.amax(-1, keepdim=True)).exp_()
