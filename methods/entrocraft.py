"""Entrocraft: outside an entropy band only right answers, or only wrong ones, are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

AUTHORS = "the authors' range-linear script, Qwen3-4B"


class Entrocraft(Method):
    """A = max(±1, 0) if the step's entropy is above the band, min(±1, 0) if below, else GRPO's.

    ±1 is 2·R - 1, the rewards of the authors' code. The band moves from its start to its end over training.
    """

    paper = "Entrocraft, arXiv 2604.26326"
    neutral = {"low_start": 0.0, "low_end": 0.0, "high_start": 1e9, "high_end": 1e9}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        low_start: float = setting(0.6, low=0.0, source=f"{AUTHORS}; nats per token")
        low_end: float = setting(0.4, low=0.0, source=f"{AUTHORS}; nats per token")
        high_start: float = setting(0.7, low=0.0, source=f"{AUTHORS}; nats per token")
        high_end: float = setting(0.5, low=0.0, source=f"{AUTHORS}; nats per token")
        schedule: str = setting("linear", choices=("linear", "cosine"), source=AUTHORS)

        def __post_init__(self) -> None:
            for low, high in (("low_start", "high_start"), ("low_end", "high_end")):
                if getattr(self, low) > getattr(self, high):
                    raise ValueError(f"{low} ({getattr(self, low)}) is above {high} ({getattr(self, high)})")

    def _band(self, step: int, total_steps: int) -> tuple[float, float]:
        """The entropies, in nats, between which a step is GRPO's."""
        config, moved = self.config, step / total_steps
        if config.schedule == "cosine":
            moved = (1 - cos(pi * moved)) / 2
        low = config.low_start + (config.low_end - config.low_start) * moved
        return low, config.high_start + (config.high_end - config.high_start) * moved

    def advantages(self, step: StepBatch) -> Tensor:
        entropy = float(step.entropy_old[step.mask].mean())
        low, high = self._band(step.step, step.total_steps)
        signs = (2 * step.rewards - 1)[:, None] * step.mask
        if entropy > high:
            return signs.clamp(min=0)
        return signs.clamp(max=0) if entropy < low else super().advantages(step)
