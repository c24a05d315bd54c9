"""Which construction of the declared grid comes closest to the paper's figure, and how close: cell by cell.

The fit looks at the last rewards of the numbers of optimal sequences under `fit` alone; all other points are a check.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy
from scipy import stats

from .arms import CONSTANT, run_arm
from .ascent import State
from .process import Floats, value
from .published import Point, plateaus, read_points
from .study import TheoryStudy

if TYPE_CHECKING:
    from pandas import DataFrame

LEVEL = 0.95


def reward_alone(state: State) -> dict[str, Floats]:
    """The expected reward."""
    return {"reward": value(state.process, state.policies)}


def search(study: TheoryStudy) -> DataFrame:
    """A row per construction and number of optimal sequences of the fit: rewards, gains, intervals, distance.

    `distance` is the mean |ours − published| over all cells of the fit, the same in all rows of a construction.
    Differences are paired over units, with t intervals; `order` says which of the two bonuses ends higher.
    """
    import pandas

    last = [study.steps]
    finals = {
        arm.name: run_arm(arm, study.constructions, study.fit, study.units, last, reward_alone)["reward"][0]
        for arm in CONSTANT
    }
    known = plateaus(read_points())
    rows = []
    for number, construction in enumerate(study.constructions):
        ours = {(k, name): own[number, i].mean() for name, own in finals.items() for i, k in enumerate(study.fit)}
        distance = float(numpy.mean([abs(own - known[cell]) for cell, own in ours.items() if cell in known]))
        for i, k in enumerate(study.fit):
            units = {name: own[number, i] for name, own in finals.items()}
            rows.append(
                {"construction": number, "optimal": k, **_compared(units), "distance": distance, **asdict(construction)}
            )
    return pandas.DataFrame(rows)


def _compared(units: dict[str, Floats]) -> dict[str, Any]:
    """Mean rewards of the methods, and paired differences over units."""
    row: dict[str, Any] = {name: float(own.mean()) for name, own in units.items()}
    for name, one, other in (
        ("gain_entropy", "entropy", "none"),
        ("gain_clamped", "clamped", "none"),
        ("clamped_over_entropy", "clamped", "entropy"),
    ):
        mean, low, high = paired_interval(units[one] - units[other])
        row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    low, high = row["clamped_over_entropy_low"], row["clamped_over_entropy_high"]
    row["order"] = "clamped higher" if low > 0 else "full higher" if high < 0 else "no difference shown"
    return row


def paired_interval(differences: Floats) -> tuple[float, float, float]:
    """Mean and 95 % t interval of differences over units, [U]."""
    mean, count = float(differences.mean()), len(differences)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * differences.std(ddof=1) / numpy.sqrt(count))
    return mean, mean - reach, mean + reach


def closest(found: DataFrame) -> int:
    """The construction with the least distance; of equals the first."""
    nearest = found.iloc[int(found["distance"].to_numpy().argmin())]
    return int(nearest["construction"])


def cells(curves: DataFrame, study: TheoryStudy) -> DataFrame:
    """Every point of the published figure beside ours: published, ours, distance, and its role in the choice.

    `curves` has the columns optimal, method, step, unit, reward of the chosen construction.
    """
    import pandas

    means = curves.groupby(["optimal", "method", "step"])["reward"].mean()
    rows = []
    for point in read_points():
        key = (point.optimal, point.method, point.step)
        if key not in means.index:
            continue
        ours = means[key]
        if point.quantity == "gain":
            ours -= means[point.optimal, "none", point.step]
        rows.append({**asdict(point), "ours": float(ours), "role": _role(point, study)})
    table = pandas.DataFrame(rows).rename(columns={"value": "published"})
    return table.assign(distance=(table["ours"] - table["published"]).abs())


def _role(point: Point, study: TheoryStudy) -> str:
    if point.quantity == "gain":
        return "gain"
    if point.step != study.steps:
        return "transient"
    return "fit" if point.optimal in study.fit else "check"
