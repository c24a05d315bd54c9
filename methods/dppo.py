"""DPPO: tokens are masked by how far the policy has diverged there, not by their probability ratio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8  # authors and verl; keeps the logarithm finite where a probability is 1


class Dppo(Method):
    """-sg(min(r, ratio_ceiling))·valid·A·log π; a token that moved on beyond the threshold loses its gradient.

    The divergence between the sampled token and all others: total variation |π - μ|, or the binary KL divergence
    μ·log(μ/π) + (1 - μ)·log((1 - μ)/(1 - π)). Only a move in the direction of A is ever masked. `against` says what μ
    and r = π/μ look at: the rollout engine's probability (`rollout`), that for r and the trainer's own forward for the
    mask (`recompute`), or the trainer's for both (`old`).
    """

    paper = "DPPO, arXiv 2602.04879; the Binary-TV and Binary-KL masks as in the authors' core_algos.py"
    provisional = "its thresholds were read in verl's example and SkyRL's defaults, not in the paper"
    neutral = "none: the mask looks at probabilities, the clip at their ratio"
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        divergence: str = setting("tv", choices=("tv", "kl"), source="verl's example: LOSS_MODE dppo_tv")
        threshold_low: float = setting(0.15, low=0.0, source="A <= 0; verl's example: 0.15 for tv, 0.05 for kl")
        threshold_high: float = setting(0.15, low=0.0, source="A > 0; verl's example: 0.15 for tv, 0.05 for kl")
        ratio_ceiling: float = setting(10.0, low=1.0, source="the authors' default clip_ratio_c 10; verl's 20")
        against: str = setting(
            "rollout", choices=("rollout", "recompute", "old"), source="the authors' code; verl: old unless bypassed"
        )

    @property
    def owns_mismatch(self) -> bool:
        return self.config.against != "old"

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        if self.config.against == "old":
            return {}
        assert batch.logp_rollout is not None, "the engine reports log-probabilities"
        return {"logp_rollout": batch.logp_rollout}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        rollout = tokens.extras.get("logp_rollout", tokens.logp_old)
        compared = replace(tokens, logp_old=rollout)
        ratio = probability_ratio(compared, self.trainer).detach().clamp(max=self.config.ratio_ceiling)
        behaviour = rollout if self.config.against == "rollout" else tokens.logp_old
        rising, divergence = self._divergence(tokens.logp.detach(), behaviour)
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
