"""The rows of a run as series over steps, and what was seen in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any


@dataclass(frozen=True)
class Evidence:
    """What a sign saw: from which step on, None where from the first, and the numbers in words."""

    step: int | None
    text: str


@dataclass(frozen=True)
class Log:
    """The rows of a run that trains or has trained; columns may be missing, cells too (None, NaN).

    `values` are the method's settings, `inert_on_policy` whether its own part acts only where a ratio has moved.
    """

    rows: Sequence[Mapping[str, Any]]
    values: Mapping[str, Any] = field(default_factory=dict)
    inert_on_policy: bool = False
    window: int = 5

    @cached_property
    def entropy_name(self) -> str:
        """Entropy at temperature 1 where it is logged: a method may change the sampling temperature."""
        return "entropy_t1" if self.series("entropy_t1") else "entropy"

    def series(self, name: str) -> list[tuple[int, float]]:
        """(step, value) wherever the column has a finite number."""
        found = []
        for row in self.rows:
            value = row.get(name)
            if isinstance(value, (int, float)) and math.isfinite(value):
                found.append((int(row["step"]), float(value)))
        return found

    def smooth(self, name: str) -> list[tuple[int, float]]:
        """The mean over the last `window` steps, at each step."""
        found = self.series(name)
        values = [value for _, value in found]
        return [(step, fmean(values[max(0, i + 1 - self.window) : i + 1])) for i, (step, _) in enumerate(found)]

    def last(self, name: str) -> float | None:
        """The mean over the last third of the run; None without the column."""
        values = [value for _, value in self.series(name)]
        return fmean(values[-max(1, len(values) // 3) :]) if values else None

    def around(self, name: str, step: int) -> tuple[float, float] | None:
        """Mean over the 2 x `window` steps before a step, and from it on."""
        found = self.series(name)
        before = [value for at, value in found if step - 2 * self.window <= at < step]
        after = [value for at, value in found if step <= at < step + 2 * self.window]
        return (fmean(before), fmean(after)) if before and after else None
