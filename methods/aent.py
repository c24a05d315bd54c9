"""AEnt: a bonus on the entropy of the most likely tokens, its coefficient steered to keep that entropy in a band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from entrobench.api import Method, StepSummary, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

MATH = "the authors' MATH script"


class AEnt(Method):
    """loss - λ·H̃, with H̃ the entropy renormalised over the top (1 - clamp) share of the vocabulary by count.

    The controller (eq. 4.1) runs once per step: λ <- clip(λ - rate·(min(0, H̃ - low) + max(0, H̃ - high)
    + pull·(λ - λ0)), box). `clamp: 0` leaves the ordinary entropy, `adaptive: false` a constant λ, `steer:
    full` holds the sampling policy's full entropy in the band instead.
    """

    paper = "On Entropy Control in LLM-RL Algorithms, arXiv 2509.03493, section 4, eq. 4.1"
    neutral = {"coefficient": 0.0, "adaptive": False}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.002, low=0.0, source=f"{MATH}: λ0 0.002")
        clamp: float = setting(0.33, low=0.0, high=1.0, source=f"{MATH}: p 0.33")
        adaptive: bool = setting(True, source="the paper's main runs")
        entropy_low: float = setting(0.15, low=0.0, source=f"{MATH}; nats per token")
        entropy_high: float = setting(0.24, low=0.0, source=f"{MATH}; nats per token")
        coefficient_rate: float = setting(0.002, low=0.0, source=f"{MATH}: β 0.002")
        coefficient_low: float = setting(0.0006, low=0.0, source=MATH)
        coefficient_high: float = setting(0.009, low=0.0, source=MATH)
        warmup: int = setting(30, low=0, source=f"{MATH}; steps, the controller runs from this step on")
        pull: float = setting(0.0, low=0.0, source=f"{MATH}: reg 0")
        steer: str = setting("clamped", choices=("clamped", "full"), added=True, source="the paper: its own statistic")

        def __post_init__(self) -> None:
            if self.clamp == 1.0:
                raise ValueError("clamp must be below 1: at 1 no token is kept")
            if self.entropy_low > self.entropy_high:
                raise ValueError(f"entropy_low ({self.entropy_low}) is above entropy_high ({self.entropy_high})")
            if self.coefficient_low > self.coefficient_high:
                low, high = self.coefficient_low, self.coefficient_high
                raise ValueError(f"coefficient_low ({low}) is above coefficient_high ({high})")
            if self.adaptive and not self.coefficient_low <= self.coefficient <= self.coefficient_high:
                box = f"[{self.coefficient_low}, {self.coefficient_high}]"
                raise ValueError(f"coefficient ({self.coefficient}) is outside its box {box}")

    @dataclass
    class State:
        coefficient: float

    def initial_state(self) -> State:
        return self.State(self.config.coefficient)

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import clamped_entropy

        return {"clamped_entropy": partial(clamped_entropy, clamp=self.config.clamp)}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return -self.state.coefficient * tokens.stats["clamped_entropy"]

    def after_step(self, summary: StepSummary) -> None:
        config, coefficient = self.config, self.state.coefficient
        if not config.adaptive or summary.step < config.warmup:
            return
        entropy = summary.entropy if config.steer == "full" else summary.stats["clamped_entropy"]
        below = min(0.0, entropy - config.entropy_low)
        above = max(0.0, entropy - config.entropy_high)
        gradient = below + above + config.pull * (coefficient - config.coefficient)
        moved = coefficient - config.coefficient_rate * gradient
        self.state.coefficient = min(max(moved, config.coefficient_low), config.coefficient_high)
