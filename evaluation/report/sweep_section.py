"""The part of a report that shows the sweep behind the study's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.evaluation.figures.sweep_figure import NOTE as SWEEP_NOTE
from entrobench.evaluation.figures.sweep_figure import sweep_panels
from entrobench.evaluation.tables.table_formats import Entry, Table

from .compare import read_sweep, used_values
from .page.blocks import Paragraphs, Section, Tabular
from .page.drawings import drawing
from .tuning import tuning_lines

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.studies.runs import Study


TITLE = ("Score and entropy over the swept value", "On a validation split, with tuning seeds.")


def sweep_section(study: Study, folder: Path) -> list[Section]:
    """The sweep behind the study's values: its result in words, its figure and its numbers; empty without one."""
    sweep, used = read_sweep(study), used_values(study)
    if sweep is None:
        return []
    groups = ["method", "key", "value"]
    means = sweep.groupby(groups, sort=False).agg(
        seeds=("seed", "nunique"), score=("score", "mean"), entropy=("entropy", "mean")
    )
    means = means.reset_index()
    rows = [
        [
            *(Entry(str(row[name]), value=row[name]) for name in ("method", "key")),
            Entry(f"{row['value']:g}", value=row["value"]),
            Entry(str(row["seeds"]), value=row["seeds"]),
            *(Entry(f"{row[name]:.3f}", value=row[name]) for name in ("score", "entropy")),
        ]
        for row in means.to_dict("records")
    ]
    metric = str(sweep["metric"].iloc[0])
    columns = [*groups, "seeds", f"validation {metric}", "final entropy (nats/token)"]
    lines = [*_sweep_lines(means, used, metric), *(tuning_lines(folder) if study.tuning else [])]
    panels = sweep_panels(sweep, used)
    figure = drawing("sweep", TITLE, panels, list(dict.fromkeys(sweep["method"])), SWEEP_NOTE)
    table = Table("sweep", "Sweep", columns, rows, "Means over the tuning seeds.")
    return [
        Section("sweep", "The sweep behind the study's values", [Paragraphs(lines), *figure, Tabular(table)], "Sweep")
    ]


def _sweep_lines(means: DataFrame, used: Mapping[tuple[str, str], Sequence[float]], metric: str) -> Iterable[str]:
    """For each swept key: the best value, the value the study uses, and whether they agree."""
    for (method, key), rows in means.groupby(["method", "key"], sort=False):
        best = rows.nlargest(1, "score").iloc[0]
        text = f"{method}, {key}: of {len(rows)} values the best mean validation {metric} is {best['score']:.3f}"
        text += f", at {best['value']:g}."
        yield text + "".join(_used_line(rows, value) for value in used.get((str(method), str(key)), []))


def _used_line(rows: DataFrame, value: float) -> str:
    """Where a value that the study uses stands in the sweep, in words."""
    if value not in set(rows["value"]):
        return f" The study uses {value:g}, which was not swept."
    score = rows.loc[rows["value"] == value, "score"].iloc[0]
    if score == rows["score"].max():
        return f" The study uses {value:g}, the best value."
    return f" The study uses {value:g}: {score:.3f}, place {int((rows['score'] > score).sum()) + 1} of {len(rows)}."
