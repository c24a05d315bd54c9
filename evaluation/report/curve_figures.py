"""Quantities over training: all methods in one panel per cell, or a panel per method where there are many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from entrobench.studies.headline import ENOUGH_SEEDS, baseline_of

from .figure_style import (
    BACKGROUND,
    CROWDED,
    by_cell,
    caption,
    cell_panels,
    colour,
    label_ends,
    logarithmic_where_wide,
    method_panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from entrobench.evaluation.statistics.intervals import Floats

POINTS = 200  # steps drawn per line


def curve_figure(curves: DataFrame, column: str, label: str, x: str = "step", window: int = 1) -> Figure:
    """A quantity over training: each seed thin, the mean over seeds thick, with a band.

    The band is the 95 % t interval of the mean; below 5 seeds it is the range of the seeds. `window`: steps of the
    centred running mean for the thick line and the band, at most a tenth of the history. Long histories are thinned to
    POINTS steps. With more than CROWDED methods each gets a panel, with the baseline and, in grey, the means of all
    others.
    """
    steps = curves["step"].nunique()
    stride = math.ceil(steps / POINTS)
    window = max(1, stride, min(window, steps // 10))
    methods = list(dict.fromkeys(curves["method"]))
    draw = _panel_per_cell if len(methods) <= CROWDED else _panel_per_method
    figure = draw(curves, methods, (column, label, x), (window, stride))
    note = "" if draw is _panel_per_cell else f"   ·   black: {baseline_of(methods)}   ·   grey: the other methods"
    caption(figure, _curve_note(curves, window) + note)
    return figure


def _panel_per_cell(
    curves: DataFrame, methods: Sequence[str], axes: tuple[str, str, str], smoothing: tuple[int, int]
) -> Figure:
    column, label, x = axes
    figure, panels = cell_panels(curves)
    for cell, rows in by_cell(curves):
        ends = []
        for method, own in rows.groupby("method", sort=False):
            line_colour = colour(str(method), methods)
            mean = _draw_seeds(panels[cell], own, (column, x), smoothing, line_colour)
            ends.append((float(mean.iloc[-1]), str(method), line_colour))
        panels[cell].locator_params(axis="x", nbins=6)
        logarithmic_where_wide(panels[cell], rows[column])
        label_ends(panels[cell], ends)
        panels[cell].set(xlabel=x, ylabel=label)
    return figure


def _panel_per_method(
    curves: DataFrame, methods: Sequence[str], axes: tuple[str, str, str], smoothing: tuple[int, int]
) -> Figure:
    import numpy
    from matplotlib.collections import LineCollection

    column, label, x = axes
    figure, panels = method_panels(curves, (x, label))
    for cell, rows in by_cell(curves):
        by_method = {str(method): own for method, own in rows.groupby("method", sort=False)}
        means = {method: _mean_line(own, (column, x), smoothing) for method, own in by_method.items()}
        for method, own in by_method.items():
            panel = panels[cell][method]
            panel.add_collection(LineCollection([numpy.column_stack(line) for line in means.values()], **BACKGROUND))
            if (reference := means.get(baseline_of(methods))) is not None:
                panel.plot(*reference, color="#222222", linewidth=1)
            _draw_seeds(panel, own, (column, x), smoothing, colour(method, methods))
            panel.locator_params(nbins=4)
        logarithmic_where_wide(panels[cell][next(iter(by_method))], rows[column])
    return figure


def _mean_line(
    rows: DataFrame, axes: tuple[str, str], smoothing: tuple[int, int]
) -> tuple[Series[float], Series[float]]:
    positions, _, smooth = _lines(rows, axes, smoothing)
    return positions.mean(axis=1), smooth.mean(axis=1)


def _lines(
    rows: DataFrame, axes: tuple[str, str], smoothing: tuple[int, int]
) -> tuple[DataFrame, DataFrame, DataFrame]:
    """One method's positions, values and smoothed values, [steps, seeds], thinned to every `stride`-th step."""
    (column, x), (window, stride) = axes, smoothing
    values = rows.pivot(index="step", columns="seed", values=column)
    positions = rows.assign(x=rows[x]).pivot(index="step", columns="seed", values="x").iloc[::stride]
    return positions, values.iloc[::stride], values.rolling(window, center=True, min_periods=1).mean().iloc[::stride]


def _draw_seeds(
    axes: Axes, rows: DataFrame, quantities: tuple[str, str], smoothing: tuple[int, int], line_colour: str
) -> Series[float]:
    """Draw one method's seeds, band and mean, averaged over (window, stride) steps; returns the mean over seeds."""
    positions, values, smooth = _lines(rows, quantities, smoothing)
    faint = 0.35 if values.shape[1] < ENOUGH_SEEDS else 0.2
    axes.plot(positions, values, color=line_colour, linewidth=0.6, alpha=faint)
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
