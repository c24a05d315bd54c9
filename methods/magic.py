"""MAGIC's adaptive entropy control: a bonus switched on below a target, its coefficient moved in equal steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, StepSummary, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

SKYWORK = "Skywork-OR1's 7B script"


class Magic(Method):
    """loss - α·H if the last step's entropy was below the target, else the loss alone.

    After each step α <- clip(α ± delta, box), + if the entropy of its sampling policy was below the target. That
    entropy is the mean surprisal of the sampled tokens (the authors' code) or the analytic one.
    """

    paper = "Skywork-OR1, arXiv 2505.22312, section 3.2.5 (adaptive entropy control)"
    neutral = {"coefficient": 0.0, "delta": 0.0}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        target: float = setting(0.2, low=0.0, source=f"{SKYWORK}: target_entropy; nats per token")
        delta: float = setting(0.0001, low=0.0, source=f"{SKYWORK}: delta_ent_coef")
        coefficient: float = setting(0.0, low=0.0, source=f"{SKYWORK}: entropy_coeff, the start")
        coefficient_low: float = setting(0.0, low=0.0, source=f"{SKYWORK}: min_ent_coef")
        coefficient_high: float = setting(0.005, low=0.0, source=f"{SKYWORK}: max_ent_coef")
        estimator: str = setting(
            "surprisal", choices=("surprisal", "analytic"), source="the authors' code: -log π_old of sampled tokens"
        )

        def __post_init__(self) -> None:
            low, high = self.coefficient_low, self.coefficient_high
            if low > high:
                raise ValueError(f"coefficient_low ({low}) is above coefficient_high ({high})")
            if not low <= self.coefficient <= high:
                raise ValueError(f"coefficient ({self.coefficient}) is outside its box [{low}, {high}]")

    @dataclass
    class State:
        coefficient: float
        enabled: bool = True  # as the authors' code starts

    def initial_state(self) -> State:
        return self.State(self.config.coefficient)

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import entropy

        return {"entropy": entropy}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return -(self.state.coefficient * self.state.enabled) * tokens.stats["entropy"]

    def after_step(self, summary: StepSummary) -> None:
        config, state = self.config, self.state
        entropy = summary.surprisal if config.estimator == "surprisal" else summary.entropy
        state.enabled = entropy < config.target
        moved = state.coefficient + (config.delta if state.enabled else -config.delta)
        state.coefficient = min(max(moved, config.coefficient_low), config.coefficient_high)
