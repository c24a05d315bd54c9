"""Quantities over training: all methods in one panel per cell, or a panel per method where there are many."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from entrobench.studies.headline import ENOUGH_SEEDS, baseline_of

from .figure_style import (
    BACKGROUND,
    CROWDED,
    PANEL,
    by_cell,
    caption,
    cell_panels,
    colour,
    label_ends,
    logarithmic_where_wide,
    marker,
    method_panels,
)
from .panels import Panel, longest, tall

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from entrobench.evaluation.statistics.intervals import Floats

POINTS = 200  # steps drawn per line of a file
PAGE_POINTS = 80  # ... and in the page, which holds many
MARKS = 5  # signs along a line


@dataclass(frozen=True)
class Quantity:
    """What is drawn over what: a column of the steps, its name with its unit, and the steps of its running mean."""

    column: str
    label: str
    x: str = "step"
    window: int = 1

    def smoothed(self, steps: int, points: int = PAGE_POINTS) -> Smoothing:
        """The running mean and the thinning of a history; the mean spans at most a tenth of it."""
        stride = math.ceil(steps / points)
        return Smoothing(max(1, stride, min(self.window, steps // 10)), stride)


@dataclass(frozen=True)
class Smoothing:
    """Steps of the centred running mean of the thick line and the band, and how many steps lie between two points."""

    window: int
    stride: int


def curve_figure(curves: DataFrame, quantity: Quantity) -> Figure:
    """A quantity over training: each seed thin, the mean over seeds thick, with a band.

    The band is the 95 % t interval of the mean; below 5 seeds it is the range of the seeds. Long histories are thinned
    to POINTS steps. With more than CROWDED methods each gets a panel, with the baseline and, in grey, the means of all
    others.
    """
    smoothing = quantity.smoothed(curves["step"].nunique(), POINTS)
    methods = list(dict.fromkeys(curves["method"]))
    if len(methods) > CROWDED:
        figure = _panel_per_method(curves, methods, quantity, smoothing)
        note = f"   ·   black: {baseline_of(methods)}   ·   grey: the other methods"
    else:
        figure, panels = cell_panels(curves)
        for cell, rows in by_cell(curves):
            _draw_cell(panels[cell], rows, methods, quantity, smoothing)
        note = ""
    caption(figure, curve_note(curves, smoothing.window, each=True) + note)
    return figure


def curve_panels(curves: DataFrame, quantity: Quantity) -> Iterator[Panel]:
    """The same for the page, a panel per cell with all methods; the seeds' own lines are left out."""
    methods = list(dict.fromkeys(curves["method"]))
    smoothing, beside = quantity.smoothed(curves["step"].nunique()), (6, longest(methods) + 1)
    for cell, rows in by_cell(curves):

        def draw(axes: Axes, rows: DataFrame = rows) -> None:
            _draw_cell(axes, rows, methods, quantity, smoothing, each=False)

        yield Panel(" · ".join(cell), draw, _curve_alt(rows, quantity), tall(PANEL, len(methods)), beside)


def _curve_alt(rows: DataFrame, quantity: Quantity) -> str:
    """What is seen: where the lines begin and where each ends, of many only the highest and the lowest."""
    rows = rows.dropna(subset=[quantity.column])
    first, last = (rows.groupby("method")["step"].transform(kind) for kind in ("min", "max"))
    begins = rows.loc[rows["step"] == first, quantity.column]
    ends = rows[rows["step"] == last].groupby("method")[quantity.column].mean().sort_values(ascending=False)
    named = [f"{method} {value:.3g}" for method, value in ends.items()]
    if len(named) > CROWDED:
        named = [*named[:2], "…", *named[-2:]]
    start = f"{begins.min():.3g}" if begins.max() - begins.min() < 5e-4 else f"{begins.min():.3g} to {begins.max():.3g}"
    return f"{quantity.label} over {quantity.x}: begins at {start}, ends at {', '.join(named)} (means over seeds)."


def _draw_cell(
    axes: Axes,
    rows: DataFrame,
    methods: Sequence[str],
    quantity: Quantity,
    smoothing: Smoothing,
    each: bool = True,
) -> None:
    ends = []
    for method, own in rows.groupby("method", sort=False):
        if own[quantity.column].notna().any():
            mean = _draw_seeds(axes, own, quantity, smoothing, methods, each)
            ends.append((float(mean.dropna().iloc[-1]), str(method), colour(str(method), methods)))
    axes.locator_params(axis="x", nbins=6)
    logarithmic_where_wide(axes, rows[quantity.column].dropna())
    label_ends(axes, ends)
    axes.set(xlabel=quantity.x, ylabel=quantity.label)


def _panel_per_method(curves: DataFrame, methods: Sequence[str], quantity: Quantity, smoothing: Smoothing) -> Figure:
    import numpy
    from matplotlib.collections import LineCollection

    figure, panels = method_panels(curves, (quantity.x, quantity.label))
    for cell, rows in by_cell(curves):
        by_method = {str(method): own for method, own in rows.groupby("method", sort=False)}
        means = {method: _mean_line(own, quantity, smoothing) for method, own in by_method.items()}
        for method, own in by_method.items():
            panel = panels[cell][method]
            panel.add_collection(LineCollection([numpy.column_stack(line) for line in means.values()], **BACKGROUND))
            if (reference := means.get(baseline_of(methods))) is not None:
                panel.plot(*reference, color=colour(baseline_of(methods), methods), linewidth=1)
            _draw_seeds(panel, own, quantity, smoothing, methods)
            panel.locator_params(nbins=4)
        logarithmic_where_wide(panels[cell][next(iter(by_method))], rows[quantity.column])
    return figure


def _mean_line(rows: DataFrame, quantity: Quantity, smoothing: Smoothing) -> tuple[Series[float], Series[float]]:
    positions, _, smooth = _lines(rows, quantity, smoothing)
    return positions.mean(axis=1), smooth.mean(axis=1)


def _lines(rows: DataFrame, quantity: Quantity, smoothing: Smoothing) -> tuple[DataFrame, DataFrame, DataFrame]:
    """One method's positions, values and smoothed values, [steps, seeds], thinned to every `stride`-th step."""
    window, stride = smoothing.window, smoothing.stride
    values = rows.pivot(index="step", columns="seed", values=quantity.column)
    positions = rows.assign(x=rows[quantity.x]).pivot(index="step", columns="seed", values="x").iloc[::stride]
    return positions, values.iloc[::stride], values.rolling(window, center=True, min_periods=1).mean().iloc[::stride]


def _draw_seeds(
    axes: Axes,
    rows: DataFrame,
    quantity: Quantity,
    smoothing: Smoothing,
    methods: Sequence[str],
    each: bool = True,
) -> Series[float]:
    """Draw one method's band and mean, and each seed if wished; returns the mean over seeds."""
    method = str(rows["method"].iloc[0])
    line_colour, sign = colour(method, methods), marker(method, methods)
    positions, values, smooth = _lines(rows, quantity, smoothing)
    if each:
        axes.plot(positions, values, color=line_colour, linewidth=0.6, alpha=0.35 if _few(values) else 0.2)
    mean, along = smooth.mean(axis=1), positions.mean(axis=1)
    if values.shape[1] > 1:
        low, high = _band(smooth.to_numpy())
        axes.fill_between(along, low, high, color=line_colour, alpha=0.15, linewidth=0, label=method)
    gap = max(1, len(mean) // MARKS)
    signs: dict[str, Any] = {
        "marker": sign,
        "markersize": 4,
        "markevery": (list(methods).index(method) * gap // len(methods), gap),
    }
    axes.plot(along, mean, color=line_colour, linewidth=1.7, label=method, **signs)
    return mean


def _few(values: DataFrame) -> bool:
    return values.shape[1] < ENOUGH_SEEDS


def _band(values: Floats) -> tuple[Floats, Floats]:
    """Lower and upper edge per step of [steps, seeds]: t interval of the mean, or the range where seeds are few."""
    import numpy
    from scipy import stats

    seeds = values.shape[1]
    if seeds < ENOUGH_SEEDS:
        return values.min(axis=1), values.max(axis=1)
    half = stats.t.ppf(0.975, seeds - 1) * values.std(axis=1, ddof=1) / numpy.sqrt(seeds)
    return values.mean(axis=1) - half, values.mean(axis=1) + half


def curve_note(curves: DataFrame, window: int, each: bool) -> str:
    """How the lines are to be read; `each`: whether every seed has a thin one."""
    seeds = curves.groupby(["model", "dataset", "method"])["seed"].nunique().min()
    band = "95 % t interval of the mean" if seeds >= ENOUGH_SEEDS else "range of the seeds"
    smoothing = f" (running mean of {window} steps)" if window > 1 else ""
    if seeds == 1:
        return f"thick: one seed{smoothing}"
    return f"thick: mean over seeds{smoothing}   ·   band: {band}" + "   ·   thin: each seed" * each
