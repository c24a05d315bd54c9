"""DPPO: tokens are masked by how far the policy has diverged there, not by their probability ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8  # verl; keeps the logarithm finite where a probability is 1


class Dppo(Method):
    """-sg(min(r, ratio_ceiling))·valid·A·log π; a token that moved on beyond the threshold loses its gradient.

    The divergence between the sampled token and all others: total variation |π - π_old|, or the binary KL divergence
    π_old·log(π_old/π) + (1 - π_old)·log((1 - π_old)/(1 - π)). Only a move in the direction of A is ever masked.
    """

    paper = "DPPO, arXiv 2602.04879; the Binary-TV and Binary-KL masks as in verl's dppo_tv and dppo_kl"
    provisional = "formulas and constants read in verl's implementation, not in the paper"
    inert_on_policy = True
    neutral = "none: the mask looks at probabilities, the clip at their ratio"
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        divergence: str = setting("tv", choices=("tv", "kl"), source="verl's example: LOSS_MODE dppo_tv")
        threshold_low: float = setting(0.15, low=0.0, source="A <= 0; verl's example: 0.15 for tv, 0.05 for kl")
        threshold_high: float = setting(0.15, low=0.0, source="A > 0; verl's example: 0.15 for tv, 0.05 for kl")
        ratio_ceiling: float = setting(20.0, low=1.0, source="verl's default clip_ratio_c 20; its example has 10000")

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        ratio = probability_ratio(tokens, self.trainer).detach().clamp(max=self.config.ratio_ceiling)
        rising, divergence = self._divergence(tokens.logp.detach(), tokens.logp_old)
        beyond_high = rising & (divergence > self.config.threshold_high)
        beyond_low = ~rising & (divergence > self.config.threshold_low)
        beyond = beyond_high.where(tokens.advantages > 0, beyond_low)
        return -(ratio * ~beyond) * tokens.advantages * tokens.logp

    def _divergence(self, logp: Tensor, logp_old: Tensor) -> tuple[Tensor, Tensor]:
        """Whether the token's probability has risen, and by how much its distribution has diverged, [b,T] each."""
        probability, old = logp.exp(), logp_old.exp()
        if self.config.divergence == "tv":
            return probability > old, (probability - old).abs()
        others = (1 - old) * ((1 - old + EPSILON) / (1 - probability + EPSILON)).log()
        return probability > old, old * (logp_old - logp) + others
