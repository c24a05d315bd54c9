"""Methods that break one rule each, to prove that the conformance suite notices."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from entrobench.api import Method, MiniBatch, Progress, StepBatch, StepSummary, TokenBatch, setting


class ThresholdPerMicroBatch(Method):
    """Ranks tokens inside a micro-batch, where the cut depends on a memory setting."""

    neutral = "a fixture"

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        threshold = tokens.entropy_old[tokens.mask].median()
        return super().token_loss(tokens) * (tokens.entropy_old >= threshold)


class AsPublished(Method):
    """Ranks tokens per micro-batch and says so."""

    neutral = "a fixture"
    scope = "microbatch"

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        kept = torch.zeros_like(batch.entropy_old)
        for number in batch.micro_batch.unique():
            rows = batch.micro_batch == number
            threshold = batch.entropy_old[rows][batch.mask[rows]].median()
            kept[rows] = (batch.entropy_old[rows] >= threshold).to(kept)
        return {"kept": kept}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["kept"]


class FalselyMicroBatch(Method):
    """Declares that it depends on the micro-batch, and does not."""

    neutral = {}
    scope = "microbatch"


class CountsPadding(Method):
    """Averages over padding, too."""

    neutral = "a fixture"

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        return {"scale": (batch.entropy_old.mean() / batch.entropy_old).where(batch.mask, 0.0)}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["scale"]


class FavoursTheFirst(Method):
    """Depends on the place of a sequence in its minibatch."""

    neutral = "a fixture"

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        place = torch.arange(len(batch.mask), 0, -1, dtype=batch.logp_old.dtype)
        return {"weight": place[:, None].expand_as(batch.logp_old)}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["weight"]


class ForgetsItsState(Method):
    """Keeps its coefficient outside `state`, so that no checkpoint holds it."""

    neutral = "a fixture"

    def __init__(self, config: Any, trainer: Any) -> None:
        super().__init__(config, trainer)
        self.coefficient = 0.0

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return self.coefficient * tokens.logp

    def after_step(self, summary: StepSummary) -> None:
        self.coefficient += 0.01


class CountsSteps(Method):
    """Moves its state where nothing is learnt, too."""

    neutral = "a fixture"

    @dataclass
    class State:
        steps: int = 0

    def sampling(self, progress: Progress) -> Mapping[str, float]:
        self.state.steps += 1
        return super().sampling(progress)


class _Doubled(torch.autograd.Function):
    """The square, with twice its slope."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return 4 * ctx.saved_tensors[0] * gradients[0]


class WrongSlope(Method):
    """A statistic with a hand-written gradient that is wrong, used by a regularizer."""

    neutral = "a fixture"

    def token_stats(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        return {"square": lambda logits: _Doubled.apply(logits).mean(-1)}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return 0.01 * tokens.stats["square"]


class WrongSlopeOfLoss(Method):
    """A loss with a hand-written gradient that is wrong."""

    neutral = "a fixture"

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return tokens.advantages * _Doubled.apply(tokens.logp)


class StopsGradient(Method):
    """CISPO's form: the clipped ratio is a weight without gradient. Right, but not for finite differences."""

    neutral = "it keeps the gradient of clipped tokens"

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        ratio = (tokens.logp - tokens.logp_old).exp().clamp(max=1.2).detach()
        return -ratio * tokens.advantages * tokens.logp


class NotNeutral(Method):
    """Its neutral settings leave a trace."""

    neutral = {"coefficient": 1e-10}

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.1, low=0.0)

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return self.config.coefficient * tokens.logp


class SaysNothing(Method):
    """Neither neutral settings nor a reason."""


class MutatesAdvantages(Method):
    """Scales its input in place."""

    neutral = "a fixture"

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        batch.advantages.mul_(0.5)
        return {}


class MutatesLogits(Method):
    """A statistic that works in place on logits others still need."""

    neutral = "a fixture"

    def token_stats(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        return {"peak": self._peak}

    @staticmethod
    def _peak(logits: Tensor) -> Tensor:
        with torch.no_grad():
            logits.sub_(logits.amax(-1, keepdim=True))
        return logits.amax(-1)


class DrawsFromTorch(Method):
    """Uses torch's global generator instead of the keyed numbers it is handed."""

    neutral = "a fixture"

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        return {"noise": torch.rand(batch.mask.shape)}


class DrawsFromNumpy(Method):
    """Uses numpy's global generator."""

    neutral = "a fixture"

    def keep(self, step: StepBatch) -> Tensor:
        numpy.random.random()
        return super().keep(step)


class DrawsFromPython(Method):
    """Uses Python's global generator."""

    neutral = "a fixture"

    def before_updates(self, step: StepBatch) -> None:
        random.random()


class AcceptsAnything(Method):
    """A setting that takes any value, and a number without range."""

    neutral = {"share": 0.0}

    @dataclass(frozen=True)
    class Config:
        share: float = setting(0.0)
        anything: object = setting(None)


class ReturnsNothing(Method):
    """Forgets to return its loss."""

    neutral = "a fixture"

    def token_loss(self, tokens: TokenBatch) -> Tensor:  # type: ignore[return]
        super().token_loss(tokens)


class KeyedDraws(Method):
    """Drops tokens by the keyed numbers: order, padding and micro-batches must not matter to it."""

    neutral = {"share": 0.0}

    @dataclass(frozen=True)
    class Config:
        share: float = setting(0.5, low=0.0, high=1.0)

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        return {"kept": (rng(0) >= self.config.share).to(batch.logp_old)}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["kept"]


class UsesEverything(Method):
    """Fresh values, old statistics, a reference and a state: what no built-in method does yet."""

    neutral = {"coefficient": 0.0}
    fresh = ("logp", "entropy", "peak")
    old_stats = ("peak",)
    reference = "base"

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.1, low=0.0)

    @dataclass
    class State:
        coefficient: float

    def initial_state(self) -> State:
        return self.State(self.config.coefficient)

    def token_stats(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        return {"peak": lambda logits: logits.log_softmax(-1).amax(-1)}

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        moved = (batch.fresh["peak"] - batch.stats_old["peak"]).abs() + (batch.fresh["logp"] - batch.logp_old).abs()
        return {"weight": batch.fresh["entropy"] / batch.fresh["entropy"][batch.mask].mean() + moved}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        assert tokens.logp_ref is not None
        distance = (tokens.logp - tokens.logp_ref) ** 2 - tokens.stats["peak"]
        return self.state.coefficient * tokens.extras["weight"] * distance

    def after_step(self, summary: StepSummary) -> None:
        self.state.coefficient *= 0.99
