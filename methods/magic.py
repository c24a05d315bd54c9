"""MAGIC's adaptive entropy control: a bonus switched on below a target, its coefficient moved in equal steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, StepSummary, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat

PAPER = "Skywork-OR1, section 3.2.5"
SCRIPT = "Skywork-OR1's 7B script"


class Magic(Method):
    """loss - α·H where the switch is on, else the loss alone; after each step α <- clip(α ± delta, box).

    α rises if the entropy e of the step's own sampling policy was below the target, and falls if it was above. The
    switch of a step is e <= target of that same step (`switch: own`, the paper) or e < target of the step before
    (`previous`, the authors' scripts, where α also falls at e = target). e is the mean surprisal of the sampled tokens
    or the analytic entropy.
    """

    paper = "Skywork-OR1, arXiv 2505.22312, section 3.2.5, eq. 3.2 (adaptive entropy control)"
    neutral = {"coefficient": 0.0, "delta": 0.0}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        target: float = setting(0.2, low=0.0, source=f"{PAPER}: tgt-ent 0.2; nats per token")
        delta: float = setting(0.005, low=0.0, source=f"{PAPER}: Δ 0.005; the scripts: 0.0001")
        coefficient: float = setting(0.0, low=0.0, source=f"{PAPER}: 0, the start")
        coefficient_low: float = setting(0.0, low=0.0, source=f"{SCRIPT}: min_ent_coef")
        coefficient_high: float | None = setting(None, low=0.0, source="the paper names none; the scripts: 0.005")
        estimator: str = setting(
            "surprisal", choices=("surprisal", "analytic"), source="the authors' code: -log π_old of sampled tokens"
        )
        switch: str = setting("own", choices=("own", "previous"), source="the paper, eq. 3.2; the scripts: previous")

        def __post_init__(self) -> None:
            low, high = self.coefficient_low, inf if self.coefficient_high is None else self.coefficient_high
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

    def before_updates(self, step: StepBatch) -> None:
        if self.config.switch == "own":
            surprisal, entropy = -step.logp_old[step.mask].mean(), step.entropy_old[step.mask].mean()
            own = surprisal if self.config.estimator == "surprisal" else entropy
            self.state.enabled = float(own) <= self.config.target

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import entropy

        return {"entropy": entropy}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return -(self.state.coefficient * self.state.enabled) * tokens.stats["entropy"]

    def after_step(self, summary: StepSummary) -> None:
        config, state = self.config, self.state
        entropy = summary.surprisal if config.estimator == "surprisal" else summary.entropy
        step = config.delta if entropy < config.target else -config.delta
        if config.switch == "previous":
            state.enabled = entropy < config.target
        elif entropy == config.target:
            step = 0.0
        high = inf if config.coefficient_high is None else config.coefficient_high
        state.coefficient = min(max(state.coefficient + step, config.coefficient_low), high)
