"""The study's figures, one panel per model x dataset cell; the same input gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .scores import RUN
from .statistics import ENOUGH_SEEDS, pooled_t
from .wide_table import FINAL_STEPS, run_costs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from .statistics import Floats

UsedValues = Mapping[tuple[str, str], Sequence[float]]  # (method, key) -> the values that the study's runs have

# Okabe and Ito's colours (yellow left out: invisible on white), then Tol's muted ones; a method keeps its colour
COLOURS = {
    "base": "#8c8c8c",
    "grpo": "#222222",
    "aent": "#0072b2",
    "entropy_bonus": "#d55e00",
    "clip_higher": "#009e73",
}
FURTHER = ["#cc79a7", "#e69f00", "#56b4e9", "#332288", "#882255", "#999933", "#44aa99", "#661100", "#aa4499"]
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": "#333333",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "svg.fonttype": "path",
}
DOTS: dict[str, Any] = {"markersize": 4.5, "alpha": 0.5, "markeredgewidth": 0}
PANEL = (4.4, 2.7)  # inches
NARROW = 2.6  # inches, of a panel of scores where there are many benchmarks
POINTS = 200  # steps drawn per line
LOG_RATIO = 20  # positive values that span more than this are drawn on a logarithmic axis


def write_figures(
    curves: DataFrame, scores: DataFrame, primary: str, folder: Path, sweep: DataFrame | None, used: UsedValues
) -> list[Path]:
    """Draw every figure of a study as .svg and .png into `folder`; returns the files.

    `curves` are the joined steps of all runs, `scores` the tidy scores, `primary` the headline metric in them, `sweep`
    the committed sweep (or None) and `used` the values the study runs with, marked in it. The coefficient is drawn only
    where a method adapts one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in [*folder.glob("*.svg"), *folder.glob("*.png")]:
        stale.unlink()
    totals = _totals(curves)
    drawings: dict[str, Callable[[], Figure]] = {
        "entropy": lambda: curve_figure(curves, "entropy", "entropy (nats/token)"),
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
    if sweep is not None:
        drawings["sweep"] = lambda: sweep_figure(sweep, used)
    return [file for name, draw in drawings.items() for file in _save(draw, name, folder)]


def _save(draw: Callable[[], Figure], name: str, folder: Path) -> list[Path]:
    """Draw under our style and write SVG and PNG without dates, versions or random ids."""
    import matplotlib

    files = [folder / f"{name}.svg", folder / f"{name}.png"]
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = draw()
        figure.savefig(files[0], metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # the layout stands; computing it again takes as long as drawing
        figure.savefig(files[1], metadata={"Software": None}, dpi=144)
    return files


def _totals(curves: DataFrame) -> DataFrame:
    """Add what a run has spent up to each step: million generated tokens and minutes of the device."""
    seconds = [column for column in curves.columns if column.startswith("seconds_")]
    ordered = curves.sort_values([*RUN, "step"]).assign(spent=curves[seconds].sum(axis=1) / 60)
    spent = ordered.groupby(RUN, sort=False)[["tokens", "spent"]].cumsum()
    return curves.assign(**{"million tokens": spent["tokens"] / 1e6, "device minutes": spent["spent"]})


def colour(method: str, methods: Sequence[str]) -> str:
    """The method's own colour, or one from the further palette by its place among the study's other methods."""
    others = sorted(set(methods) - set(COLOURS))
    return COLOURS[method] if method in COLOURS else FURTHER[others.index(method) % len(FURTHER)]


def _grid(table: DataFrame, height: float = PANEL[1]) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """A figure with one panel per cell: models downwards, datasets across."""
    from matplotlib.figure import Figure

    models, datasets = list(dict.fromkeys(table["model"])), list(dict.fromkeys(table["dataset"]))
    size = (PANEL[0] * len(datasets), height * len(models))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(models), len(datasets), squeeze=False)
    panels = {}
    for row, model in enumerate(models):
        for column, dataset in enumerate(datasets):
            panel = axes[row][column]
            panel.set_visible(False)
            if ((table["model"] == model) & (table["dataset"] == dataset)).any():
                panel.set_visible(True)
                panel.set_title(f"{model} · {dataset}", loc="left", color="#333333")
                panels[model, dataset] = panel
    return figure, panels


def _cells(table: DataFrame) -> Iterator[tuple[tuple[str, str], DataFrame]]:
    for (model, dataset), rows in table.groupby(["model", "dataset"], sort=False):
        yield (str(model), str(dataset)), rows


def curve_figure(curves: DataFrame, column: str, label: str, x: str = "step", window: int = 1) -> Figure:
    """A quantity over training: each seed thin, the mean over seeds thick, with a band.

    The band is the 95 % t interval of the mean, below 5 seeds the range of the seeds. `window`: centred running mean
    over steps, for the thick line and the band, at most a tenth of the history. Long ones are thinned to POINTS steps.
    """
    figure, panels = _grid(curves)
    steps = curves["step"].nunique()
    stride = math.ceil(steps / POINTS)
    window = max(1, stride, min(window, steps // 10))
    methods = list(dict.fromkeys(curves["method"]))
    for cell, rows in _cells(curves):
        ends = []
        for method, own in rows.groupby("method", sort=False):
            line_colour = colour(str(method), methods)
            mean = _draw_seeds(panels[cell], own, column, x, (window, stride), line_colour)
            ends.append((float(mean.iloc[-1]), str(method), line_colour))
        panels[cell].locator_params(axis="x", nbins=6)
        _logarithmic_where_wide(panels[cell], rows[column])
        label_ends(panels[cell], ends)
        panels[cell].set(xlabel=x, ylabel=label)
    _caption(figure, _curve_note(curves, window))
    return figure


def _draw_seeds(
    axes: Axes, rows: DataFrame, column: str, x: str, smoothing: tuple[int, int], line_colour: str
) -> Series[float]:
    """Draw one method's seeds, band and mean, averaged over (window, stride) steps; returns the mean over seeds."""
    window, stride = smoothing
    values = rows.pivot(index="step", columns="seed", values=column)
    positions = rows.assign(x=rows[x]).pivot(index="step", columns="seed", values="x").iloc[::stride]
    faint = 0.35 if values.shape[1] < ENOUGH_SEEDS else 0.2
    axes.plot(positions, values.iloc[::stride], color=line_colour, linewidth=0.6, alpha=faint)
    smooth = values.rolling(window, center=True, min_periods=1).mean().iloc[::stride]
    mean, along = smooth.mean(axis=1), positions.mean(axis=1)
    if values.shape[1] > 1:
        low, high = _band(smooth.to_numpy())
        axes.fill_between(along, low, high, color=line_colour, alpha=0.15, linewidth=0)
    axes.plot(along, mean, color=line_colour, linewidth=1.7)
    return mean


def _band(values: Floats) -> tuple[Floats, Floats]:
    """Lower and upper edge per step of [steps, seeds]: t interval of the mean, or the range where seeds are few."""
    import numpy
    from scipy import stats

    seeds = values.shape[1]
    if seeds < ENOUGH_SEEDS:
        return values.min(axis=1), values.max(axis=1)
    half = stats.t.ppf(0.975, seeds - 1) * values.std(axis=1, ddof=1) / numpy.sqrt(seeds)
    return values.mean(axis=1) - half, values.mean(axis=1) + half


def _curve_note(curves: DataFrame, window: int) -> str:
    seeds = curves.groupby(["model", "dataset", "method"])["seed"].nunique().min()
    band = "95 % t interval of the mean" if seeds >= ENOUGH_SEEDS else "range of the seeds"
    smoothing = f" (running mean of {window} steps)" if window > 1 else ""
    if seeds == 1:
        return f"thick: one seed{smoothing}"
    return f"thick: mean over seeds{smoothing}   ·   band: {band}   ·   thin: each seed"


def _caption(figure: Figure, text: str) -> None:
    figure.supxlabel(text, fontsize=7.5, color="#777777", x=0.01, horizontalalignment="left")


def _logarithmic_where_wide(axes: Axes, values: Series[float]) -> None:
    if _is_wide(values):
        axes.set_yscale("log")
        _plain_decades(axes.yaxis)


def _is_wide(values: Series[float]) -> bool:
    return bool(values.min() > 0 and values.max() > LOG_RATIO * values.min())


def _plain_decades(axis: Axis) -> None:
    """Ticks 0.1, 0.2, 0.5, 1, ... in place of powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each line's name right of the panel at the line's end, moved apart where names would overlap."""
    axes.autoscale_view()  # the limits are otherwise set when the figure is drawn
    heights = [axes.transAxes.inverted().transform(axes.transData.transform((0, y)))[1] for y, _, _ in ends]
    for height, (_, name, text_colour) in zip(spread(heights, min(0.09, 1 / len(ends))), ends, strict=True):
        axes.text(1.02, height, name, color=text_colour, transform=axes.transAxes, va="center", fontsize=8)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move positions as little as needed to be at least `gap` apart, order kept (pooled blocks around their mean)."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[tuple[float, int]] = []  # centre, number of members
    for i in order:
        centre, members = positions[i], 1
        while blocks and centre - (members - 1) * gap / 2 < blocks[-1][0] + (blocks[-1][1] + 1) * gap / 2:
            other, others = blocks.pop()
            centre, members = (centre * members + other * others) / (members + others), members + others
        blocks.append((centre, members))
    placed = [centre + (k - (n - 1) / 2) * gap for centre, n in blocks for k in range(n)]
    return [placed[order.index(i)] for i in range(len(positions))]


def score_figure(curves: DataFrame, scores: DataFrame, primary: str) -> Figure:
    """Final scores, a row of panels per cell and a panel per benchmark: seeds, their mean and its 95 % t interval.

    `curves` gives the order of cells and methods.
    """
    from matplotlib.figure import Figure

    chosen = scores[scores["metric"] == primary]
    base = chosen[chosen["method"] == "base"]
    trained = curves[RUN].drop_duplicates().merge(chosen, on=RUN)
    benchmarks, methods = sorted(set(trained["benchmark"])), list(dict.fromkeys(trained["method"]))
    cells = list(_cells(trained))
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
    _caption(
        figure, "dots: seeds   ·   bar: mean and its 95 % t interval over seeds   ·   dashed: untrained base model"
    )
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
    """Each run's score (mean over benchmarks) against the entropy it ended with."""
    chosen = scores[(scores["metric"] == primary) & (scores["method"] != "base")]
    runs = costs.merge(chosen.groupby(RUN)["value"].mean().reset_index(), on=RUN)
    figure, panels = _grid(runs)
    methods = list(dict.fromkeys(runs["method"]))
    for cell, rows in _cells(runs):
        axes, ends = panels[cell], []
        for method, own in rows.groupby("method", sort=False):
            own_colour = colour(str(method), methods)
            axes.plot(own["final_entropy"], own["value"], "o", color=own_colour, **DOTS)
            ends.append((float(own["value"].mean()), str(method), own_colour))
        axes.locator_params(nbins=5)
        if _is_wide(rows["final_entropy"]):
            axes.set_xscale("log")
            _plain_decades(axes.xaxis)
        label_ends(axes, ends)
        axes.set(xlabel="final entropy (nats/token)", ylabel=primary)
    _caption(figure, f"a dot per run, mean over benchmarks   ·   final entropy: mean of the last {FINAL_STEPS} steps")
    return figure


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
        _logarithmic_where_wide(axes[1][column], rows["entropy"])
        axes[0][column].set_title(str(method), loc="left", color="#333333")
        axes[0][column].set_ylabel(f"validation {rows['metric'].iloc[0]}")
        axes[1][column].set(xlabel=str(key), ylabel="final entropy (nats/token)")
    _caption(figure, "dots: seeds   ·   line: their mean   ·   dashed: used in the study")
    return figure


def _value_axis(axes: Axes, values: Floats) -> None:
    """Logarithmic in the swept value, with a place for 0, and a tick at every value."""
    positive = values[values > 0]
    if positive.size and positive.max() > 5 * positive.min():
        axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.5)
    axes.set_xticks(values, [f"{value:g}" for value in values], rotation=45, ha="right")
    axes.minorticks_off()
