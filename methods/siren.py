"""SIREN: the entropy of the nucleus, on the most uncertain tokens of each response, is held at its first value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, StepBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

AUTHORS = "the authors' script"


class Siren(Method):
    """loss + coefficient·(H̄ - anchor)², H̄ the mean over responses of the mean over their selected tokens of H_p.

    H_p is the entropy renormalised over the most likely tokens whose mass does not reach `nucleus` (the token that
    crosses it is left out); selected are the tokens above the `quantile` of their response. The anchor is H̄ under the
    sampling policy of the first step, unless given.
    """

    paper = "SIREN, Rethinking Entropy Regularization in Large Reasoning Models, arXiv 2509.25133"
    neutral = {"coefficient": 0.0}
    evidence = "code read"
    fresh = ("nucleus_entropy",)
    old_stats = ("nucleus_entropy",)

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.005, low=0.0, source=f"{AUTHORS}: entropy_coeff")
        nucleus: float = setting(0.8, low=0.0, high=1.0, source=f"{AUTHORS}: entropy_topp")
        quantile: float = setting(0.8, low=0.0, high=1.0, source=f"{AUTHORS}: mask_ratio")
        anchor: float | None = setting(None, low=0.0, source="the authors' trainer: null, the first step's value")

        def __post_init__(self) -> None:
            if self.nucleus == 0.0 or self.quantile == 1.0:
                raise ValueError("nucleus must be above 0 and quantile below 1: otherwise no token is left")

    @dataclass
    class State:
        anchor: float | None  # nats per token

    def initial_state(self) -> State:
        return self.State(self.config.anchor)

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import top_p_entropy

        return {"nucleus_entropy": partial(top_p_entropy, p=self.config.nucleus, include_crossing=False)}

    def _weights(self, entropy: Tensor, mask: Tensor) -> Tensor:
        """Weight of each token in H̄, [B,T]; a response without a selected token counts 0 and stays in the mean."""
        bound = entropy.masked_fill(~mask, float("nan")).nanquantile(self.config.quantile, dim=1, keepdim=True)
        selected = (mask & (entropy > bound)).to(entropy)
        counts = selected.sum(1, keepdim=True)
        return selected / counts.clamp(min=1) / len(mask)

    def before_updates(self, step: StepBatch) -> None:
        if self.state.anchor is None:
            entropy = step.stats_old["nucleus_entropy"]
            self.state.anchor = float((self._weights(entropy, step.mask) * entropy).sum())

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        entropy = batch.fresh["nucleus_entropy"]
        weights = self._weights(entropy, batch.mask)
        mean = float((weights * entropy).sum())
        # the square is a function of a minibatch mean: its slope becomes a constant factor, and the offset makes the
        # regularizer's value, too, the square: 2·(H̄ - a)·H̄ + (H̄ - a)² - 2·(H̄ - a)·H̄
        distance = mean - self.state.anchor
        factor = 2 * self.config.coefficient * distance * float(batch.mask.sum())
        offset = self.config.coefficient * (distance**2 - 2 * distance * mean)
        return {"factor": factor * weights, "offset": offset * batch.mask.to(weights)}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return tokens.extras["factor"] * tokens.stats["nucleus_entropy"] + tokens.extras["offset"]
