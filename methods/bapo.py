"""BAPO: clip bounds raised for each update until positive advantages contribute their share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

YAML = "the authors' bapo_trainer.yaml"
EPSILON = 1e-8  # the authors' eps


class Bapo(Method):
    """The clipped surrogate with ratio bounds [lower, upper] that are searched anew for each update.

    Balance = Σ min(r, upper)·A over A > 0, divided by Σ max(r, lower)·|A| over A < 0. While it is below `target`,
    lower rises by its step up to `lower_max`, then upper up to `upper_max`.
    """

    paper = "BAPO, arXiv 2510.18927; search as in the authors' policy_loss.py"
    fresh = ("logp",)
    inert_on_policy = True
    neutral = {"lower_start": 0.8, "lower_max": 0.8, "upper_start": 1.2, "upper_max": 1.2}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        target: float = setting(1.0, low=0.0, source=f"{YAML}: 1; README: half of the total, the same")
        lower_start: float = setting(0.6, low=0.0, high=1.0, source=f"{YAML}: 0.6")
        lower_max: float = setting(0.8, low=0.0, high=1.0, source=f"{YAML}: 0.8; README: 0.9")
        lower_step: float = setting(0.05, low=1e-4, source=f"{YAML}: 0.05")
        upper_start: float = setting(1.2, low=1.0, source=f"{YAML}: 1.2")
        upper_max: float = setting(2.0, low=1.0, source=f"{YAML}: 2.0; README: 3.0")
        upper_step: float = setting(0.05, low=1e-4, source=f"{YAML}: 0.05")
        scope: str = setting(
            "minibatch", choices=("minibatch", "microbatch"), source="ours; the authors' code: micro-batch"
        )

        def __post_init__(self) -> None:
            for bound in ("lower", "upper"):
                start, largest = getattr(self, f"{bound}_start"), getattr(self, f"{bound}_max")
                if start > largest:
                    raise ValueError(f"{bound}_start ({start}) is above {bound}_max ({largest})")

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import scope_masks

        limit = self.trainer.log_ratio_clamp
        ratio = (batch.fresh["logp"] - batch.logp_old).clamp(-limit, limit).exp()
        lower, upper = ratio * 0, ratio * 0
        for mask in scope_masks(batch, self.config.scope):
            lower[mask], upper[mask] = self._bounds(ratio[mask], batch.advantages[mask])
        return {"lower": lower, "upper": upper}

    def _bounds(self, ratio: Tensor, advantages: Tensor) -> tuple[float, float]:
        """The ratio bounds for these tokens, [n] each."""
        config = self.config
        lower, upper = config.lower_start, config.upper_start
        while lower < config.lower_max and balance(ratio, advantages, lower, upper) < config.target:
            lower = min(lower + config.lower_step, config.lower_max)
        while upper < config.upper_max and balance(ratio, advantages, lower, upper) < config.target:
            upper = min(upper + config.upper_step, config.upper_max)
        return lower, upper

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss

        lower, upper = tokens.extras["lower"], tokens.extras["upper"]
        return clipped_surrogate_loss(tokens, 1 - lower, upper - 1, self.trainer)


def balance(ratio: Tensor, advantages: Tensor, lower: float, upper: float) -> float:
    """Positive over negative contribution of these tokens; infinite where none has a negative advantage."""
    positive = float((ratio.clamp(max=upper) * advantages.clamp(min=0)).sum())
    negative = float((ratio.clamp(min=lower) * -advantages.clamp(max=0)).sum())
    return positive / (negative + EPSILON) if negative > 0 else float("inf")
