"""The study's figures, one panel per model x dataset cell; equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.evaluation.statistics.intervals import pooled_t
from entrobench.evaluation.statistics.scores import RUN
from entrobench.evaluation.tables.budgets import spending
from entrobench.evaluation.tables.evaluations import averages
from entrobench.evaluation.tables.wide_table import FINAL_STEPS, run_costs
from entrobench.results import FIGURES
from entrobench.studies.headline import ENOUGH_SEEDS, baseline_of

from .curve_figures import curve_figure
from .figure_style import (
    COLOURS,
    CROWDED,
    DOTS,
    DPI,
    NARROW,
    PANEL,
    STYLE,
    by_cell,
    caption,
    cell_panels,
    colour,
    is_wide,
    label_ends,
    logarithmic_where_wide,
    method_panels,
    plain_decades,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from entrobench.evaluation.statistics.intervals import Floats

UsedValues = Mapping[tuple[str, str], Sequence[float]]  # (method, key) -> the values that the study's runs have


def write_figures(
    curves: DataFrame,
    scores: DataFrame,
    primary: str,
    folder: Path,
    sweep: DataFrame | None,
    used: UsedValues,
    evaluations: DataFrame | None = None,
) -> list[Path]:
    """Draw every figure of a study as .svg and .png into `folder`; returns the files.

    `curves` are the joined steps of all runs, `scores` the tidy scores, `primary` the headline metric in them. `sweep`
    is the sweep behind the study's values or None; `used` are these values, which are marked in it. `evaluations` are
    the scores of earlier steps or None. The coefficient is drawn only where a method adapts one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (file for ending in FIGURES for file in folder.glob(f"*.{ending}")):
        stale.unlink()
    totals = _totals(curves)
    drawings: dict[str, Callable[[], Figure]] = {
        "entropy": lambda: curve_figure(curves, "entropy_t1", "entropy at temperature 1 (nats/token)"),
        "reward": lambda: curve_figure(curves, "reward", "training reward", window=5),
        "length": lambda: curve_figure(curves, "length", "response length (tokens)", window=5),
        "reward_by_tokens": lambda: curve_figure(totals, "reward", "training reward", "million tokens", window=5),
        "reward_by_time": lambda: curve_figure(totals, "reward", "training reward", "device minutes", window=5),
        "scores": lambda: score_figure(curves, scores, primary),
        "score_by_entropy": lambda: entropy_score_figure(run_costs(curves), scores, primary),
    }
    if "method/coefficient" in curves:
        adaptive = curves.dropna(subset=["method/coefficient"])
        drawings["coefficient"] = lambda: curve_figure(adaptive, "method/coefficient", "coefficient λ")
    if evaluations is not None:
        evaluated = averages(evaluations)
        drawings["evaluations"] = lambda: curve_figure(evaluated, "score", f"mean {primary}")
    if sweep is not None:
        drawings["sweep"] = lambda: sweep_figure(sweep, used)
    return [file for name, draw in drawings.items() for file in save(draw, name, folder)]


def save(draw: Callable[[], Figure], name: str, folder: Path) -> list[Path]:
    """Draw under our style and write SVG and PNG without dates, versions or random ids."""
    import matplotlib

    files = [folder / f"{name}.{ending}" for ending in FIGURES]
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = draw()
        figure.savefig(files[0], metadata={"Date": None, "Creator": None}, dpi=DPI)
        figure.set_layout_engine("none")  # the layout stands; computing it again takes as long as drawing
        figure.savefig(files[1], metadata={"Software": None}, dpi=DPI)
    return files


def _totals(curves: DataFrame) -> DataFrame:
    """Add what a run has spent up to each step: million generated tokens, and minutes of the device."""
    spent = spending(curves)
    return spent.assign(**{"million tokens": spent["tokens"] / 1e6, "device minutes": spent["seconds"] / 60})


def score_figure(curves: DataFrame, scores: DataFrame, primary: str) -> Figure:
    """Final scores, a row of panels per cell and a panel per benchmark: seeds, their mean and its 95 % t interval.

    `curves` gives the order of cells and methods.
    """
    from matplotlib.figure import Figure

    chosen = scores[scores["metric"] == primary]
    base = chosen[chosen["method"] == "base"]
    trained = curves[RUN].drop_duplicates().merge(chosen, on=RUN)
    benchmarks, methods = sorted(set(trained["benchmark"])), list(dict.fromkeys(trained["method"]))
    cells = list(by_cell(trained))
    width = PANEL[0] if len(benchmarks) <= 2 else NARROW
    size = (width * len(benchmarks), 0.6 + (0.8 + 0.27 * len(methods)) * len(cells))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(cells), len(benchmarks), squeeze=False, sharex="col")
    for row, (cell, rows) in enumerate(cells):
        for column, benchmark in enumerate(benchmarks):
            panel, own = axes[row][column], rows[rows["benchmark"] == benchmark]
            _draw_scores(panel, own, methods)
            _method_axis(panel, methods, named=column == 0)
            start = base[(base["model"] == cell[0]) & (base["benchmark"] == benchmark)]["value"].mean()
            panel.axvline(start, color=COLOURS["base"], linestyle=(0, (4, 3)), linewidth=1)
            named = " · ".join(cell) if column == 0 else ""
            panel.set_title(f"{named}\non {benchmark}", loc="left", color="#333333")
            panel.set_xlabel(primary if row == len(cells) - 1 else "")
    caption(figure, "dots: seeds   ·   bar: mean and its 95 % t interval over seeds   ·   dashed: untrained base model")
    return figure


def _draw_scores(axes: Axes, rows: DataFrame, methods: Sequence[str]) -> None:
    for height, method in enumerate(methods):
        values = rows[rows["method"] == method]["value"].to_numpy()
        if values.size == 0:
            continue
        interval, own_colour = pooled_t([values]), colour(method, methods)
        if interval.lower is not None and interval.upper is not None:
            ends, few = [max(interval.lower, 0), min(interval.upper, 1)], values.size < ENOUGH_SEEDS
            axes.plot(ends, [height, height], color=own_colour, linewidth=1.6, alpha=0.3 if few else 1)
        axes.plot(values, [height] * values.size, "o", color=own_colour, **DOTS)
        axes.plot(interval.mean, height, "|", color=own_colour, markersize=13, markeredgewidth=2)


def _method_axis(axes: Axes, methods: Sequence[str], named: bool) -> None:
    """One line per method, the first on top; only the first column of panels carries the names."""
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_yticks(range(len(methods)), methods if named else [""] * len(methods))
    for label, method in zip(axes.get_yticklabels(), methods, strict=True):
        label.set_color(colour(method, methods))
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def entropy_score_figure(costs: DataFrame, scores: DataFrame, primary: str) -> Figure:
    """Each run's score (mean over benchmarks) against the entropy it ended with; many methods get a panel each."""
    chosen = scores[(scores["metric"] == primary) & (scores["method"] != "base")]
    runs = costs.merge(chosen.groupby(RUN)["value"].mean().reset_index(), on=RUN)
    methods = list(dict.fromkeys(runs["method"]))
    note = f"a dot per run, mean over benchmarks   ·   final entropy: mean of the last {FINAL_STEPS} steps"
    if len(methods) > CROWDED:
        figure = _dots_per_method(runs, methods, primary)
        note += f"   ·   black: {baseline_of(methods)}   ·   grey: the other methods"
    else:
        figure = _dots_per_cell(runs, methods, primary)
    caption(figure, note)
    return figure


def _dots_per_cell(runs: DataFrame, methods: Sequence[str], primary: str) -> Figure:
    figure, panels = cell_panels(runs)
    for cell, rows in by_cell(runs):
        axes, ends = panels[cell], []
        for method, own in rows.groupby("method", sort=False):
            own_colour = colour(str(method), methods)
            axes.plot(own["final_entropy"], own["value"], "o", color=own_colour, **DOTS)
            ends.append((float(own["value"].mean()), str(method), own_colour))
        _entropy_axis(axes, rows)
        label_ends(axes, ends)
        axes.set(xlabel="final entropy (nats/token)", ylabel=primary)
    return figure


def _dots_per_method(runs: DataFrame, methods: Sequence[str], primary: str) -> Figure:
    figure, panels = method_panels(runs, ("final entropy (nats/token)", primary))
    for cell, rows in by_cell(runs):
        reference = rows[rows["method"] == baseline_of(methods)]
        for method, own in rows.groupby("method", sort=False):
            axes = panels[cell][str(method)]
            layers = ((rows, "#dddddd", 2.5), (reference, "#222222", 3), (own, colour(str(method), methods), 4.5))
            for shown, dot_colour, size in layers:
                style = DOTS | {"markersize": size, "color": dot_colour, "rasterized": shown is rows}
                axes.plot(shown["final_entropy"], shown["value"], "o", **style)
        _entropy_axis(axes, rows)
    return figure


def _entropy_axis(axes: Axes, rows: DataFrame) -> None:
    axes.locator_params(nbins=5)
    if is_wide(rows["final_entropy"]):
        axes.set_xscale("log")
        plain_decades(axes.xaxis)


def sweep_figure(sweep: DataFrame, used: UsedValues) -> Figure:
    """Score and final entropy over the swept value of each method's key; dashed lines mark the values in `used`.

    Columns of `sweep`: method, key, value, seed, metric, score, entropy; one row per run.
    """
    from matplotlib.figure import Figure

    groups = list(sweep.groupby(["method", "key"], sort=False))
    figure = Figure(figsize=(PANEL[0] * len(groups), 1.8 * PANEL[1]), layout="constrained")
    axes = figure.subplots(2, len(groups), squeeze=False, sharex="col")
    for column, ((method, key), rows) in enumerate(groups):
        line_colour = colour(str(method), list(sweep["method"]))
        for panel, quantity in zip(axes[:, column], ["score", "entropy"], strict=True):
            mean = rows.groupby("value")[quantity].mean()
            panel.plot(rows["value"], rows[quantity], "o", color=line_colour, **DOTS)
            panel.plot(mean.index, mean, color=line_colour, linewidth=1.7)
            for value in used.get((str(method), str(key)), []):
                panel.axvline(value, color="#777777", linestyle=(0, (4, 3)), linewidth=1)
            _value_axis(panel, mean.index.to_numpy(dtype=float))
        logarithmic_where_wide(axes[1][column], rows["entropy"])
        axes[0][column].set_title(str(method), loc="left", color="#333333")
        axes[0][column].set_ylabel(f"validation {rows['metric'].iloc[0]}")
        axes[1][column].set(xlabel=str(key), ylabel="final entropy (nats/token)")
    caption(figure, "dots: seeds   ·   line: their mean   ·   dashed: used in the study")
    return figure


def write_sweep_figure(sweep: DataFrame, used: UsedValues, folder: Path) -> list[Path]:
    """Draw a sweep alone as sweep.svg and sweep.png into `folder`; returns the files."""
    return save(lambda: sweep_figure(sweep, used), "sweep", folder)


def _value_axis(axes: Axes, values: Floats) -> None:
    """Logarithmic in the swept value, with a place for 0, and a tick at every value."""
    positive = values[values > 0]
    if positive.size and positive.max() > 5 * positive.min():
        axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.5)
    axes.set_xticks(values, [f"{value:g}" for value in values], rotation=45, ha="right")
    axes.minorticks_off()
