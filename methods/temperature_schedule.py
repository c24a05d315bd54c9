"""Entropy control by the sampling temperature alone: constant, in stages, linear, or switched by the entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from entrobench.api import Method, Progress, StepSummary, setting

LENGTHS = {"constant": (1, 1), "linear": (2, 2), "stepwise": (2, None), "switch": (2, 2)}  # of `temperatures`
LOWEST = 1e-3


class TemperatureSchedule(Method):
    """Sampling and training at a temperature that moves; the loss is GRPO's.

    `constant`: [t]. `linear`: [first, last], from step 1 to the last step. `stepwise`: [t1, t2, …], each for an equal
    share of the steps. `switch`: [cool, hot], hot in the first step and after one whose entropy was at or below
    `target_entropy`.
    """

    paper = "none of its own: constant and staged temperatures; the switch rule is AEPO's, arXiv 2510.08141"
    neutral = {"schedule": "constant", "temperatures": [1.0]}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        schedule: str = setting("constant", choices=tuple(LENGTHS), source="ours")
        temperatures: list[float] = setting([1.0], source="ours: the study's usual temperature")
        target_entropy: float = setting(0.5, low=0.0, source="AEPO's script: H* 0.5; nats per token, for switch")

        def __post_init__(self) -> None:
            fewest, most = LENGTHS[self.schedule]
            count = len(self.temperatures)
            if count < fewest or (most is not None and count > most):
                wanted = f"{fewest}" if fewest == most else f"at least {fewest}"
                raise ValueError(f"schedule {self.schedule} needs {wanted} temperatures, got {count}")
            for temperature in self.temperatures:
                if type(temperature) not in (int, float) or not LOWEST <= temperature < float("inf"):
                    raise ValueError(f"temperatures must be finite numbers of at least {LOWEST}, got {temperature!r}")

    @dataclass
    class State:
        entropy_is_low: bool = False

    def initial_state(self) -> State:
        return self.State(entropy_is_low=self.config.schedule == "switch")  # AEPO's first step is hot

    def sampling(self, progress: Progress) -> Mapping[str, float]:
        temperatures, schedule = self.config.temperatures, self.config.schedule
        done = progress.step - 1
        if schedule == "linear":
            share = done / max(progress.total_steps - 1, 1)
            return {"temperature": temperatures[0] + (temperatures[1] - temperatures[0]) * share}
        if schedule == "stepwise":
            return {"temperature": temperatures[done * len(temperatures) // progress.total_steps]}
        return {"temperature": temperatures[self.state.entropy_is_low]}

    def after_step(self, summary: StepSummary) -> None:
        if self.config.schedule == "switch":
            self.state.entropy_is_low = summary.entropy <= self.config.target_entropy
