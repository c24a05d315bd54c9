"""EntroPIC: a PI controller re-weights likely tokens, more of the positive ones where the entropy is too high."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, StepSummary, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

AUTHORS = "the authors' run script"


class Entropic(Method):
    """The clipped surrogate plus α times the mean of -r·|A| over the tokens with π > probability.

    α = clip(proportional·e + integral·Σe, ±limit) with e = H - target, H the token mean of the minibatch's entropy
    under the current weights, and Σe the errors of all updates of the steps before.
    """

    paper = "EntroPIC, arXiv 2511.15248"
    neutral = {"proportional": 0.0, "integral": 0.0}
    evidence = "code read"
    fresh = ("logp", "entropy")

    @dataclass(frozen=True)
    class Config:
        target: float = setting(0.1, low=0.0, source=f"{AUTHORS}: target_entropy, at temperature 0.6; nats per token")
        proportional: float = setting(1.0, low=0.0, source=f"{AUTHORS}: entropy_control_p")
        integral: float = setting(0.01, low=0.0, source=f"{AUTHORS}: entropy_control_i")
        probability: float = setting(0.95, low=0.0, high=1.0, source="the authors' code: high_prob_thresh")
        limit: float = setting(1.0, low=0.0, source="the authors' code: clip(-1, 1)")

    @dataclass
    class State:
        error_sum: float = 0.0  # nats per token, over updates

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import entropy

        return {"entropy": entropy}

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        config, mask = self.config, batch.mask
        error = float(batch.fresh["entropy"][mask].mean()) - config.target
        alpha = config.proportional * error + config.integral * self.state.error_sum
        alpha = min(max(alpha, -config.limit), config.limit)
        likely = mask & (batch.fresh["logp"].exp() > config.probability)
        # the regularizer is averaged over all tokens, the authors' term over the likely ones
        share = alpha * float(mask.sum()) / max(float(likely.sum()), 1.0)
        return {"weight": likely.to(batch.logp_old) * share}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        return -tokens.extras["weight"] * probability_ratio(tokens, self.trainer) * tokens.advantages.abs()

    def after_step(self, summary: StepSummary) -> None:
        self.state.error_sum += summary.updates * (summary.stats["entropy"] - self.config.target)
