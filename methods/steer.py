"""STEER: tokens whose update would change the entropy most get the least weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

CODE = "the authors' core_algos.py"
TINY = 1e-8  # probabilities are kept this far from 0 and 1, as in the authors' code
SMALLEST_PEAK = 0.02  # of the exponential map, as in the authors' code


class Steer(Method):
    """The clipped surrogate times a weight that falls with |Ω|, the token's estimated change of entropy.

    Ω = A/π_old·π·(1 - π)·(log π + H_old), π the current and H_old the sampling policy's. `linear` maps the range of
    |Ω| onto [weight_high, weight_low]; `exponential` is exp(-k·|Ω|), at least weight_low, with
    k = -log(weight_low) / max|Ω|.
    """

    paper = "STEER, arXiv 2510.10150; formula as in the authors' compute_token_weights"
    fresh = ("logp",)
    neutral = {"weight_low": 1.0, "weight_high": 1.0}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        mapping: str = setting("linear", choices=("linear", "exponential"), source="the authors' run_linear.sh")
        weight_low: float = setting(0.8, low=1e-6, high=1.0, source="the authors' run_linear.sh: 0.8")
        weight_high: float = setting(1.2, low=1.0, source="the authors' run_linear.sh: 1.2; exponential: always 1")
        scope: str = setting("minibatch", choices=("minibatch", "microbatch"), source=f"ours; {CODE}: micro-batch")

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import scope_masks

        change = _entropy_change(batch)
        weight = change * 0
        for mask in scope_masks(batch, self.config.scope):
            weight[mask] = self._weights(change[mask])
        return {"weight": weight}

    def _weights(self, change: Tensor) -> Tensor:
        """Weights of the tokens of one scope from their |Ω|, [n] -> [n]."""
        low, high = self.config.weight_low, self.config.weight_high
        if self.config.mapping == "exponential":
            steepness = -math.log(low) / change.max().clamp(min=SMALLEST_PEAK)
            return (-steepness * change).exp().clamp(low, 1.0)
        smallest, largest = change.aminmax()
        if largest == smallest:
            return change * 0 + (low + high) / 2
        return (high - (change - smallest) * (high - low) / (largest - smallest)).clamp(low, high)

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["weight"]


def _entropy_change(batch: MiniBatch) -> Tensor:
    """|Ω| of every token, [B,T]."""
    probability = batch.fresh["logp"].exp().clamp(TINY, 1 - TINY)
    ratio = batch.advantages / batch.logp_old.exp().clamp(min=TINY)
    return (ratio * probability * (1 - probability) * (probability.log() + batch.entropy_old)).abs()
