"""Figure 1 of the paper as data: what its synthetic decision process gave. Its construction is UNKNOWN."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from entrobench.results import RESULTS

FILE = RESULTS.reference("paper").synthetic_process
LAST = 4000  # the figure's last step


@dataclass(frozen=True)
class Point:
    """One number that can be read off the figure."""

    optimal: int
    method: str
    step: int
    quantity: str  # reward, or gain: the reward above that of no bonus
    value: float


def read_points(file: Path = FILE) -> list[Point]:
    """All known points; unknown ones are left out."""
    with file.open(newline="") as lines:
        found = [row for row in csv.DictReader(lines) if row["value"] != "UNKNOWN"]
    return [
        Point(int(row["optimal"]), row["method"], int(row["step"]), row["quantity"], float(row["value"]))
        for row in found
    ]


def plateaus(points: list[Point]) -> dict[tuple[int, str], float]:
    """{(optimal, method): last reward}."""
    last = [point for point in points if point.quantity == "reward" and point.step == LAST]
    return {(point.optimal, point.method): point.value for point in last}
