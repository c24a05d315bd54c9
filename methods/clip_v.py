"""Clip_V: the few tokens of wrong answers whose entropy signal lies farthest below its expectation leave the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, StepBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

LOWEST = -1e4  # log-probability below which p is 0 in any precision
SMALLEST = 1e-12  # standard deviation at which nothing is clipped, as in the authors' code


class ClipV(Method):
    """The clipped surrogate without the tokens with A < 0 and D > deviations·std D, divided by those that are left.

    D = E_π[S] - S under the sampling policy, with S = π·(H + log π) of the sampled token and E_π[S] = Σ p²(H + ln p)
    over the vocabulary; std (with n) over all response tokens of the step, D is not centred. At most max(1,
    floor(share·n)) of the step's n tokens leave, those of the largest D.
    """

    paper = "Clip_V, On the Entropy Dynamics in Reinforcement Fine-Tuning, arXiv 2602.03392; as in Trinity-RFT"
    evidence = "code read"
    provisional = "what its code calls nec is computed elsewhere and was not read; E_π[S] is inferred from the paper"
    old_stats = ("expected_signal",)
    divisor = "selected"
    neutral = {"deviations": 1e9}

    @dataclass(frozen=True)
    class Config:
        deviations: float = setting(8.5, low=0.0, source="the authors' default_args: mu 8.5; of the function: 2.0")
        share: float = setting(1e-4, low=0.0, high=1.0, source="the authors' code: max_frac 1e-4")

    @dataclass
    class State:
        bound: float | None = None  # of D in this step; None: nothing is clipped

    def token_stats(self) -> Mapping[str, TokenStat]:
        return {"expected_signal": _expected_signal}

    def before_updates(self, step: StepBatch) -> None:
        excess = _excess(step)
        spread = float(excess[step.mask].std(correction=0))
        if spread < SMALLEST:
            self.state.bound = None
            return
        bound = self.config.deviations * spread
        wrong = excess[step.mask & (self.advantages(step) < 0) & (excess > bound)]
        most = max(int(self.config.share * int(step.mask.sum())), 1)
        if len(wrong) > most:
            bound = float(wrong.sort(descending=True).values[most])
        self.state.bound = bound

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        if self.state.bound is None:
            return {"selected": batch.mask}
        return {"selected": batch.mask & ~((batch.advantages < 0) & (_excess(batch) > self.state.bound))}


def _excess(batch: StepBatch | MiniBatch) -> Tensor:
    """D of every token under the sampling policy, [S,T] or [B,T]."""
    signal = batch.logp_old.exp() * (batch.entropy_old + batch.logp_old)
    return batch.stats_old["expected_signal"] - signal


def _expected_signal(logits: Tensor) -> Tensor:
    """Σ p²(H + ln p) over the vocabulary, [n,V] -> [n]; it is used without gradient."""
    log_p = logits.detach().log_softmax(-1)
    p = log_p.exp()
    product = p * log_p.clamp(min=LOWEST)  # p·ln p, 0 where p is 0
    return (p * product).sum(-1) - (p * p).sum(-1) * product.sum(-1)
