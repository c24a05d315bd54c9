"""STARE: below a target entropy, the most surprising tokens of good answers count a little more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, StepBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

SCRIPT = "the authors' Qwen2.5-Math-7B script"
ALMOST_ONE = 0.999999  # the authors' code rounds up by int(n·fraction + this)


class Stare(Method):
    """The clipped surrogate times W on the ⌈fraction·n⌉ most surprising of n tokens with A > 0, while H < target.

    `variant: C2` also multiplies the most surprising tokens with A < 0 by M. Surprisal is that of the current policy, H
    the step's mean entropy under the sampling policy. `adaptive` moves W and M by `rate` in each step, apart below the
    target and together above it.
    """

    paper = "STARE, arXiv 2606.19236, sections 4.1 to 4.4; as in the authors' core_algos.py"
    evidence = "code read"
    fresh = ("logp",)
    neutral = {"weight_positive": 1.0, "weight_negative": 1.0}

    @dataclass(frozen=True)
    class Config:
        variant: str = setting("O1", choices=("O1", "C2"), source=f"{SCRIPT}: O1")
        fraction: float = setting(0.1, low=0.0, high=1.0, source=f"{SCRIPT}: top_p_ratio 0.1")
        weight_positive: float = setting(1.1, low=1.0, source=f"{SCRIPT}: W 1.1")
        weight_negative: float = setting(0.9, low=0.0, high=1.0, source=f"{SCRIPT}: M 0.9, of C2 alone")
        target: float = setting(0.3, low=0.0, source=f"{SCRIPT}: H_tgt 0.3; nats per token")
        adaptive: bool = setting(False, source=SCRIPT)
        rate: float = setting(0.01, low=0.0, source=f"{SCRIPT}: alpha 0.01")
        weight_positive_high: float = setting(1.5, low=1.0, source=f"{SCRIPT}: w_max 1.5")
        weight_negative_low: float = setting(0.5, low=0.0, high=1.0, source=f"{SCRIPT}: m_min 0.5")
        scope: str = setting("minibatch", choices=("minibatch", "microbatch"), source="ours; their code: micro-batch")

    @dataclass
    class State:
        weight_positive: float
        weight_negative: float
        active: bool = True  # as the authors' controller starts

    def initial_state(self) -> State:
        return self.State(self.config.weight_positive, self.config.weight_negative)

    def before_updates(self, step: StepBatch) -> None:
        config, state = self.config, self.state
        entropy = float(step.entropy_old[step.mask].mean())
        state.active = entropy < config.target
        if config.adaptive:
            moved = config.rate * ((entropy < config.target) - (entropy > config.target))
            state.weight_positive = min(max(state.weight_positive + moved, 1.0), config.weight_positive_high)
            state.weight_negative = min(max(state.weight_negative - moved, config.weight_negative_low), 1.0)

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import scope_masks

        weight = batch.mask.to(batch.logp_old)
        for mask in scope_masks(batch, self.config.scope) if self.state.active else []:
            self._reweight(weight, batch, mask & (batch.advantages > 0), self.state.weight_positive)
            if self.config.variant == "C2":
                self._reweight(weight, batch, mask & (batch.advantages < 0), self.state.weight_negative)
        return {"weight": weight}

    def _reweight(self, weight: Tensor, batch: MiniBatch, candidates: Tensor, factor: float) -> None:
        """Set the weight of the most surprising candidates, [B,T] bool, to this factor; equal ones share the places."""
        from entrobench.objective import largest_weights

        surprisal = -batch.fresh["logp"][candidates]
        count = min(int(len(surprisal) * self.config.fraction + ALMOST_ONE), len(surprisal))
        if count:
            weight[candidates] = 1 + (factor - 1) * largest_weights(surprisal, count)

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["weight"]
