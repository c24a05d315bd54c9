"""Which interval may give a verdict: one that the committed audit found wrong at most 5 % of the time, ± error."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.errors import InputError
from entrobench.results import RESULTS

from .intervals import LEVEL

FILE = RESULTS.statistics(committed=True).audit
PRIMARY = "paired t"  # the interval that verdicts rest on, where the audit admits it
ERRORS = 3  # Monte-Carlo standard errors of tolerance: among many exact intervals hardly one is refused by chance
NUMBERS = ("seeds", "cells", "false_positives", "coverage", "power", "simulations")
COLUMNS = ("interval", "scenario", *NUMBERS)
KEYED, UNEQUAL = "keyed seeds", "unequal noise"
JUDGING = (KEYED, UNEQUAL)  # scenarios of studies as they are run: an interval has to be right in both


@dataclass(frozen=True)
class Audit:
    """Measured rates: one row per interval, scenario, seeds and cells; `sha256` is that of the file."""

    file: Path
    sha256: str
    rows: list[dict[str, Any]]

    def measured(self, interval: str, seeds: int, cells: int, scenario: str = KEYED) -> dict[str, Any] | None:
        """The row for as many seeds and cells, or else for the next smaller numbers that were simulated."""
        own = [row for row in self.rows if (row["interval"], row["scenario"]) == (interval, scenario)]
        smaller = [row for row in own if row["seeds"] <= seeds and row["cells"] <= cells]
        return max(smaller, key=lambda row: (row["cells"], row["seeds"]), default=None)

    def admits(self, interval: str, seeds: int) -> bool:
        """Whether the interval is not wrong too often at this number of seeds, in all JUDGING scenarios and cells."""
        simulated = {(row["cells"], row["scenario"]) for row in self.rows if row["interval"] == interval}
        found = [self.measured(interval, seeds, *key) for key in simulated if key[1] in JUDGING]
        return bool(found) and all(row is not None and is_valid(row) for row in found)


def is_valid(row: Mapping[str, Any]) -> bool:
    """Whether the measured rate of false positives is at most 5 %, allowing for the error of the simulation."""
    nominal = 1 - LEVEL
    error = math.sqrt(nominal * LEVEL / row["simulations"])
    return bool(row["false_positives"] <= nominal + ERRORS * error)


def read_audit(file: Path = FILE) -> Audit | None:
    """Read what `entrobench audit-statistics --write` wrote; None where it is not there. InputError for bad columns."""
    from entrobench.provenance import sha256_file

    if not file.is_file():
        return None
    with file.open(newline="") as lines:
        reader = csv.DictReader(lines)
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or [])]:
            raise InputError(f"{file}: the column {missing[0]!r} is missing (needed: {', '.join(COLUMNS)})")
        rows = [_parsed(row, file, number) for number, row in enumerate(reader, start=1)]
    return Audit(file, sha256_file(file), rows)


def _parsed(row: Mapping[str, str], file: Path, number: int) -> dict[str, Any]:
    try:
        numbers = {name: float(row[name] or "nan") for name in NUMBERS}
    except ValueError as error:
        raise InputError(f"{file}: row {number}: {error}") from error
    counts = {name: int(numbers[name]) for name in ("seeds", "cells", "simulations")}
    return {**row, **numbers, **counts}
