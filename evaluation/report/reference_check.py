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
    from pandas import DataFrame, Series

KEY = ["model", "dataset", "method", "benchmark", "metric"]
COLUMNS = [*KEY, "mean", "tolerance"]
ROUNDING = 5e-7  # the file holds six digits
UNLIKE = 10  # normal noise exceeds that in 3 % of arms of two seeds, and in 1 in 10,000 of five
SMALLEST = 0.02  # no tolerance is below it: another kind of CPU rounds differently and training amplifies that


def check(study_folder: Path, reference_folder: Path) -> list[str]:
    """Compare, print the lines and a summary, and write them to `study_folder`/reference_check.json."""
    lines = compare_with_reference(study_folder, reference_folder)
    counts = {state: sum(line.startswith(state) for line in lines) for state in ("ok", "OUTSIDE", "MISSING", "unknown")}
    summary = f"{counts['ok']} of {len(lines)} scores within tolerance of {ReferenceFolder(reference_folder).scores}"
    StudyFolder(study_folder).reference_check.write_text(json.dumps({**counts, "lines": lines}, indent=1) + "\n")
    print("\n".join([*lines, summary]))
    return lines


def compare_with_reference(study_folder: Path, reference_folder: Path) -> list[str]:
    """Compare a study's mean scores with its reference, a line per row: it starts with ok, OUTSIDE, MISSING or unknown.

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
    mean, tolerance = float(str(row["mean"])), float(str(row["tolerance"]) or "nan")
    place = f"{row['model']}/{row['dataset']}/{row['method']} {row['benchmark']} {row['metric']}"
    if found is not None and tolerance != tolerance:
        return f"unknown  {place}: {found:.4f}, reference {mean:.4f}, whose seeds differ too much to say how far"
    expected = f"reference {mean:.4f} ± {tolerance:.4f}"
    if found is None:
        return f"MISSING  {place}: {expected}"
    state = "ok     " if abs(found - mean) <= tolerance + ROUNDING else "OUTSIDE"
    return f"{state}  {place}: {found:.4f}, {expected}"


def reference_lines(study_folder: Path, reference_folder: Path) -> list[str]:
    """For the report: a title that counts, why numbers differ, what would be alarming, and the scores outside."""
    lines = [line for line in compare_with_reference(study_folder, reference_folder) if line[:7] != "unknown"]
    outside = [line for line in lines if not line.startswith("ok")]
    inside = len(lines) - len(outside)
    title = f"Against the committed run: {inside} of {len(lines)} scores within what other seeds may differ by"
    expected = f"About {round((1 - LEVEL) * len(lines))} of {len(lines)} are outside by chance"
    return [title, WHY, f"{expected}. {ALARMING}", *outside]


WHY = (
    "On the same kind of CPU with the same versions a run gives the same bits; another kind rounds differently, and "
    "training amplifies that, so a run elsewhere is like a run with other seeds."
)
ALARMING = (
    "Alarming are: many more, most of them of one method on one side, a base model outside, a score that is missing, "
    "or a second run on one machine that differs from the first."
)


def write_reference(study_folder: Path, reference_folder: Path, metrics: list[str]) -> Path:
    """Make the finished study the reference: write `reference_folder`/scores.csv for some metrics and return its path.

    Tolerance: half of the 95 % prediction interval for the mean of as many new seeds, t·s·sqrt(2/S), as of
    `tolerances`, at least 0.02 (of a share) or 2 % of the value if that is larger.
    """
    import pandas

    scores = pandas.read_parquet(StudyFolder(study_folder).scores)
    values = scores[scores["metric"].isin(metrics)].groupby(KEY, sort=False)["value"].agg(["mean", "std", "size"])
    reference = values.assign(tolerance=tolerances(values)).reset_index()[COLUMNS]
    reference_folder.mkdir(parents=True, exist_ok=True)
    file = ReferenceFolder(reference_folder).scores
    reference.to_csv(file, index=False, float_format="%.6f")
    return file


def tolerances(values: DataFrame) -> Series[float]:
    """The tolerance of each row of mean, std and size (seeds); its index has the levels of KEY.

    The spread of seeds is shared by all arms of a benchmark and metric: two seeds alone know theirs so badly that
    nothing would lie outside. An arm whose own variance is more than UNLIKE times the median has no share in it and,
    since its few seeds do not say how far others may lie, no tolerance (NaN). The base model has no seeds.
    """
    import numpy
    from scipy import stats

    trained, by = values["size"] > 1, ["benchmark", "metric"]
    variance = values["std"].where(trained) ** 2
    alike = trained & (variance <= UNLIKE * variance.groupby(by).transform("median"))
    degrees = (values["size"] - 1).where(alike, 0)
    squares = (variance.fillna(0.0) * degrees).groupby(by).transform("sum")
    shared = degrees.groupby(by).transform("sum").clip(lower=1)
    reach = stats.t.ppf((1 + LEVEL) / 2, shared) * numpy.sqrt(squares / shared * 2 / values["size"])
    least = SMALLEST * values["mean"].abs().clip(lower=1.0)
    found: Series[float] = reach.where(trained, 0.0).clip(lower=least).where(alike | ~trained)
    return found
