"""The study's figures as files, one panel per model x dataset cell; equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.tables.wide_table import run_costs
from entrobench.results import FIGURES

from .curve_figures import curve_figure
from .difference_figure import difference_figure
from .figure_style import save
from .score_figures import entropy_score_figure, score_figure
from .study_curves import ENTROPY, equal_cost_curves, evaluation_curves, learning_curves
from .sweep_figure import sweep_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from .sweep_figure import UsedValues

FILES = (ENTROPY, "reward", "length", "coefficient")  # of the learning curves; the page draws all of them


def write_figures(
    curves: DataFrame,
    scores: DataFrame,
    statistics: Mapping[str, Any],
    folder: Path,
    sweep: DataFrame | None,
    used: UsedValues,
    evaluations: DataFrame | None = None,
) -> list[Path]:
    """Draw the main figures of a study as .svg and .png into `folder`; returns the files.

    `curves` are the joined steps of all runs, `scores` the tidy scores, `statistics` what `analyse` found. `sweep` is
    the sweep behind the study's values or None; `used` are these values, which are marked in it. `evaluations` are the
    scores of earlier steps or None. The coefficient is drawn only where a method adapts one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (file for ending in FIGURES for file in folder.glob(f"*.{ending}")):
        stale.unlink()
    primary = statistics["metric"]
    learned = {name: found for name, found in learning_curves(curves).items() if name in FILES}
    drawn = learned | equal_cost_curves(curves) | evaluation_curves(evaluations, primary)
    drawings: dict[str, Callable[[], Figure]] = {
        **{name: partial(curve_figure, *found) for name, found in drawn.items()},
        "scores": partial(score_figure, curves, scores, primary),
        "score_by_entropy": lambda: entropy_score_figure(run_costs(curves), scores, primary),
    }
    if any(row["scope"] == "study" for row in statistics["comparisons"]):
        drawings["differences"] = partial(difference_figure, statistics, primary)
    if sweep is not None:
        drawings["sweep"] = partial(sweep_figure, sweep, used)
    return [file for name, draw in drawings.items() for file in save(draw, name, folder)]
