"""`entrobench check`: does a study reproduce the committed reference, line by line?

results/reference/<study>/scores.csv has one row per model, dataset, method, benchmark and metric, with the columns
`mean` (over the reference's seeds) and `tolerance` (how far another run of the study may lie from it).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError
from entrobench.evaluation.statistics.intervals import LEVEL
from entrobench.results import ReferenceFolder, StudyFolder

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.evaluation.statistics.intervals import Floats

KEY = ["model", "dataset", "method", "benchmark", "metric"]
COLUMNS = [*KEY, "mean", "tolerance"]
ROUNDING = 5e-7  # the file holds six digits
SMALLEST = 0.02  # no tolerance is below it: another kind of CPU rounds differently and training amplifies that


def check(study_folder: Path, reference_folder: Path) -> list[str]:
    """Compare, print the lines and a summary, and write them to `study_folder`/reference_check.json."""
    lines = compare_with_reference(study_folder, reference_folder)
    counts = {state: sum(line.startswith(state) for line in lines) for state in ("ok", "OUTSIDE", "MISSING")}
    summary = f"{counts['ok']} of {len(lines)} scores within tolerance of {ReferenceFolder(reference_folder).scores}"
    StudyFolder(study_folder).reference_check.write_text(json.dumps({**counts, "lines": lines}, indent=1) + "\n")
    print("\n".join([*lines, summary]))
    return lines


def compare_with_reference(study_folder: Path, reference_folder: Path) -> list[str]:
    """Compare a study's mean scores with its reference, a line per row: it starts with ok, OUTSIDE or MISSING.

    Raises InputError where there is no reference or its file lacks one of the columns above.
    """
    import pandas

    file = ReferenceFolder(reference_folder).scores
    if not file.is_file():
        raise InputError(f"{file}: missing; this study has no reference")
    reference = pandas.read_csv(file, keep_default_na=False)
    if missing := [column for column in COLUMNS if column not in reference.columns]:
        raise InputError(f"{file}: the column {missing[0]!r} is missing (needed: {', '.join(COLUMNS)})")
    means = pandas.read_parquet(StudyFolder(study_folder).scores).groupby(KEY)["value"].mean()
    return [_line(row, means.get(tuple(row[name] for name in KEY))) for row in reference.to_dict("records")]


def _line(row: Mapping[Hashable, object], found: float | None) -> str:
    mean, tolerance = float(str(row["mean"])), float(str(row["tolerance"]))
    place = f"{row['model']}/{row['dataset']}/{row['method']} {row['benchmark']} {row['metric']}"
    expected = f"reference {mean:.4f} ± {tolerance:.4f}"
    if found is None:
        return f"MISSING  {place}: {expected}"
    state = "ok     " if abs(found - mean) <= tolerance + ROUNDING else "OUTSIDE"
    return f"{state}  {place}: {found:.4f}, {expected}"


def write_reference(study_folder: Path, reference_folder: Path, metrics: list[str]) -> Path:
    """Make the finished study the reference: write `reference_folder`/scores.csv for some metrics and return its path.

    Tolerance: half of the 95 % prediction interval for the mean of as many new seeds, t·s·sqrt(2/S). One seed, and the
    base model, have no spread; they get the smallest tolerance, 0.02 (of a share) or 2 % of the value if that is
    larger.
    """
    import pandas

    scores = pandas.read_parquet(StudyFolder(study_folder).scores)
    values = scores[scores["metric"].isin(metrics)].groupby(KEY, sort=False)["value"].agg(["mean", "std", "size"])
    reference = values.assign(tolerance=_tolerance(values)).reset_index()[COLUMNS]
    reference_folder.mkdir(parents=True, exist_ok=True)
    file = ReferenceFolder(reference_folder).scores
    reference.to_csv(file, index=False, float_format="%.6f")
    return file


def _tolerance(values: DataFrame) -> Floats:
    import numpy
    from scipy import stats

    size = values["size"].to_numpy()
    quantile = stats.t.ppf((1 + LEVEL) / 2, numpy.maximum(size - 1, 1))
    spread = quantile * values["std"].fillna(0.0) * numpy.sqrt(2 / size)
    tolerance: Floats = numpy.maximum(spread, SMALLEST * numpy.maximum(values["mean"].abs(), 1.0)).to_numpy()
    return tolerance
