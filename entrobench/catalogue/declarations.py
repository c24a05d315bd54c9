"""Values that runs decide, declared in a study in place of a number: read and checked here.

`{tune: [0.001, 0.01]}` is the value of a grid with the best score on validation splits. `{time_mean: ARM}` is the mean,
over steps and seeds, of the value that another method of the same model and dataset used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from entrobench.config import parse, setting
from entrobench.errors import InputError, nearest
from entrobench.run_config import Declarations

KINDS = ("tune", "time_mean")


@dataclasses.dataclass(frozen=True)
class TimeMean:
    """Declaration {time_mean: ARM}: the mean over the steps from `from_step` to `to_step` (null: the last)."""

    time_mean: str = setting("")
    from_step: int = setting(1, low=1)
    to_step: int | None = setting(None, low=1)


def split(values: Mapping[str, Any], where: str) -> tuple[dict[str, Any], Declarations]:
    """Separate a method's values into plain values and checked declarations. Raises InputError for a bad one."""
    declared = {key: _checked(value, f"{where}: {key}") for key, value in values.items() if isinstance(value, Mapping)}
    if len(declared) > 1 and any("tune" in declaration for declaration in declared.values()):
        raise InputError(f"{where}: only one value of a tuned method may be found by runs, got {', '.join(declared)}")
    return {key: value for key, value in values.items() if key not in declared}, declared


def _checked(declaration: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "time_mean" in declaration:
        return dataclasses.asdict(parse(TimeMean, declaration, where))
    if other := [key for key in declaration if key != "tune"] or [""] * (not declaration):
        raise InputError(f"{where}: unknown key {other[0]!r} (allowed: {', '.join(KINDS)}){nearest(other[0], KINDS)}")
    grid = declaration["tune"]
    if not isinstance(grid, list) or not grid:
        raise InputError(f"{where}: tune must be a list of numbers, the grid, got {grid!r}")
    numbers = [_number(value, f"{where}: tune") for value in grid]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{where}: tune: a value is given twice in {grid}")
    return {"tune": numbers}


def _number(value: Any, where: str) -> float:
    try:
        return value if type(value) in (int, float) else float(str(value))  # YAML 1.1 reads 2e-4 as a string
    except ValueError:
        raise InputError(f"{where}: must be numbers, got {value!r}") from None


def candidates(declared: Declarations) -> Iterator[dict[str, float]]:
    """What the declared values may be, as far as is known before any run: the points of a grid, else nothing."""
    grids = [(key, declaration["tune"]) for key, declaration in declared.items() if "tune" in declaration]
    yield from [{key: value} for key, grid in grids for value in grid] or [{}]
