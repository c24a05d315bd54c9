"""The standard entropy bonus: a constant or linearly decaying coefficient times the full-vocabulary entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, MiniBatch, StepBatch, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat


class EntropyBonus(Method):
    """loss - c·H, with H the token mean of the full-vocabulary entropy in nats.

    With `fraction` below 1 the entropies of the other tokens than that share of the highest, within the minibatch and
    under the current weights, count 0; the mean stays that of all tokens, as in TRL.

    With `final_coefficient` c moves linearly from `coefficient` in the first step towards it: after s of S steps
    c = coefficient + (final_coefficient - coefficient)·s/S.
    """

    paper = "A3C, arXiv 1602.01783, section 4; 'EntReg' in arXiv 2509.03493; linear decay as in PipelineRL"
    neutral = {"coefficient": 0.0}
    evidence = "text read"

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.002, low=0.0, source="ours; the paper's EntReg coefficient is UNKNOWN")
        final_coefficient: float | None = setting(None, low=0.0, added=True, source="ours; null: constant")
        fraction: float = setting(1.0, low=0.0, high=1.0, added=True, source="ours: all; TRL: top_entropy_quantile")

    @dataclass
    class State:
        coefficient: float

    def initial_state(self) -> State:
        return self.State(self.config.coefficient)

    def before_updates(self, step: StepBatch) -> None:
        first, last = self.config.coefficient, self.config.final_coefficient
        if last is not None:
            self.state.coefficient = first + (last - first) * (step.step - 1) / step.total_steps

    @property
    def fresh(self) -> tuple[str, ...]:
        return ("entropy",) if self.config.fraction < 1 else ()

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        from entrobench.objective import highest

        if self.config.fraction == 1:
            return {}
        return {"selected": highest(batch.fresh["entropy"], batch.mask, self.config.fraction)}

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import entropy

        return {"entropy": entropy}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return -self.state.coefficient * tokens.stats["entropy"] * tokens.extras.get("selected", 1.0)
