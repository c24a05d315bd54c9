"""Final scores: by benchmark, against the entropy that a run ended with, and as pass@k over k."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.statistics.intervals import pooled_t
from entrobench.evaluation.statistics.scores import RUN, headline_scores
from entrobench.evaluation.tables.wide_table import FINAL_STEPS
from entrobench.studies.headline import ENOUGH_SEEDS, baseline_of

from .figure_style import (
    COLOURS,
    CROWDED,
    DOTS,
    INKS,
    NARROW,
    PANEL,
    by_cell,
    caption,
    cell_panels,
    colour,
    is_wide,
    label_ends,
    marker,
    method_panels,
    plain_decades,
)
from .panels import Panel, longest, tall

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from entrobench.evaluation.statistics.intervals import Floats

SCORES_NOTE = "dots: seeds   ·   bar: mean and its 95 % t interval over seeds   ·   dashed: untrained base model"
ENTROPY_NOTE = f"a dot per run, mean over benchmarks   ·   final entropy: mean of the last {FINAL_STEPS} steps"
PASS_NOTE = "mean over seeds   ·   band: 95 % t interval, or the range of fewer than 5 seeds   ·   dashed: base model"


def score_figure(curves: DataFrame, scores: DataFrame, primary: str) -> Figure:
    """Final scores, a row of panels per cell and a panel per benchmark: seeds, their mean and its 95 % t interval.

    `curves` gives the order of cells and methods.
    """
    from matplotlib.figure import Figure

    trained = _trained(curves, scores, primary)
    benchmarks, methods = sorted(set(trained["benchmark"])), list(dict.fromkeys(trained["method"]))
    cells = list(by_cell(trained))
    width = PANEL[0] if len(benchmarks) <= 2 else NARROW
    size = (width * len(benchmarks), 0.6 + (0.8 + 0.27 * len(methods)) * len(cells))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(cells), len(benchmarks), squeeze=False, sharex="col")
    for row, (cell, rows) in enumerate(cells):
        for column, benchmark in enumerate(benchmarks):
            panel = axes[row][column]
            _draw_scores(panel, rows[rows["benchmark"] == benchmark], methods)
            _method_axis(panel, methods, named=column == 0)
            _draw_base(panel, _base(scores, cell[0], benchmark, primary))
            named = " · ".join(cell) if column == 0 else ""
            panel.set_title(f"{named}\non {benchmark}", loc="left", color=INKS["ink"])
            panel.set_xlabel(primary if row == len(cells) - 1 else "")
    caption(figure, SCORES_NOTE)
    return figure


def score_panels(curves: DataFrame, scores: DataFrame, primary: str) -> Iterator[Panel]:
    """The same for the page, a panel per cell and benchmark."""
    trained = _trained(curves, scores, primary)
    methods = list(dict.fromkeys(trained["method"]))
    for cell, rows in by_cell(trained):
        for benchmark, own in rows.groupby("benchmark"):
            base = _base(scores, cell[0], str(benchmark), primary)

            def draw(axes: Axes, own: DataFrame = own, base: float = base) -> None:
                _draw_scores(axes, own, methods)
                _method_axis(axes, methods, named=True)
                _draw_base(axes, base)
                axes.set_xlabel(primary)

            means = own.groupby("method", sort=False)["value"].mean().sort_values(ascending=False)
            seen = ", ".join(f"{method} {mean:.3f}" for method, mean in means.items())
            title = f"{' · '.join(cell)}, on {benchmark}"
            size = (PANEL[0], 0.9 + 0.22 * len(methods))
            alt = f"{primary} of {title}: {seen}; base model {base:.3f} (means over seeds)."
            yield Panel(title, draw, alt, size, (longest(methods), 0))


def _trained(curves: DataFrame, scores: DataFrame, metric: str) -> DataFrame:
    """The scores of the trained runs in one metric, in the order of the runs."""
    return curves[RUN].drop_duplicates().merge(scores[scores["metric"] == metric], on=RUN)


def _base(scores: DataFrame, model: str, benchmark: str, metric: str) -> float:
    """The score of an untrained base model; NaN where it is not there."""
    own = scores[(scores["metric"] == metric) & (scores["method"] == "base") & (scores["model"] == model)]
    return float(own[own["benchmark"] == benchmark]["value"].mean())


def _draw_base(axes: Axes, score: float) -> None:
    axes.axvline(score, color=COLOURS["base"], linestyle=(0, (4, 3)), linewidth=1, label="base")


def _draw_scores(axes: Axes, rows: DataFrame, methods: Sequence[str]) -> None:
    for height, method in enumerate(methods):
        values = rows[rows["method"] == method]["value"].to_numpy()
        if values.size == 0:
            continue
        interval, own_colour = pooled_t([values]), colour(method, methods)
        if interval.lower is not None and interval.upper is not None:
            ends, few = [max(interval.lower, 0), min(interval.upper, 1)], values.size < ENOUGH_SEEDS
            look: dict[str, Any] = {"color": own_colour, "linewidth": 1.6, "alpha": 0.3 if few else 1}
            axes.plot(ends, [height, height], label=method, **look)
        sign = marker(method, methods)
        axes.plot(values, [height] * values.size, sign, color=own_colour, label=method, **DOTS)
        axes.plot(interval.mean, height, "|", color=own_colour, markersize=13, markeredgewidth=2, label=method)


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
    runs = _entropy_scores(costs, scores, primary)
    methods = list(dict.fromkeys(runs["method"]))
    if len(methods) > CROWDED:
        figure = _dots_per_method(runs, methods, primary)
        caption(figure, f"{ENTROPY_NOTE}   ·   black: {baseline_of(methods)}   ·   grey: the other methods")
        return figure
    figure, panels = cell_panels(runs)
    for cell, rows in by_cell(runs):
        _draw_dots(panels[cell], rows, methods, primary)
    caption(figure, ENTROPY_NOTE)
    return figure


def entropy_score_panels(costs: DataFrame, scores: DataFrame, primary: str) -> Iterator[Panel]:
    """The same for the page, a panel per cell with all methods."""
    runs = _entropy_scores(costs, scores, primary)
    methods = list(dict.fromkeys(runs["method"]))
    for cell, rows in by_cell(runs):

        def draw(axes: Axes, rows: DataFrame = rows) -> None:
            _draw_dots(axes, rows, methods, primary)

        means = rows.groupby("method", sort=False)[["final_entropy", "value"]].mean()
        seen = "; ".join(f"{row.Index} {row.final_entropy:.3g} and {row.value:.3f}" for row in means.itertuples())
        alt = f"Final entropy (nats/token) and {primary}, means over seeds: {seen}."
        yield Panel(" · ".join(cell), draw, alt, tall(PANEL, len(methods)), (6, longest(methods) + 1))


def _entropy_scores(costs: DataFrame, scores: DataFrame, primary: str) -> DataFrame:
    chosen = headline_scores(scores[scores["method"] != "base"], primary)
    return costs.merge(chosen.groupby(RUN)["value"].mean().reset_index(), on=RUN)


def _draw_dots(axes: Axes, rows: DataFrame, methods: Sequence[str], primary: str) -> None:
    ends = []
    for name, own in rows.groupby("method", sort=False):
        method = str(name)
        look: dict[str, Any] = {
            "marker": marker(method, methods),
            "color": colour(method, methods),
            "label": method,
            **DOTS,
        }
        axes.plot(own["final_entropy"], own["value"], linestyle="none", **look)
        ends.append((float(own["value"].mean()), method, colour(method, methods)))
    _entropy_axis(axes, rows)
    label_ends(axes, ends, leading=False)
    axes.set(xlabel="final entropy (nats/token)", ylabel=primary)


def _dots_per_method(runs: DataFrame, methods: Sequence[str], primary: str) -> Figure:
    figure, panels = method_panels(runs, ("final entropy (nats/token)", primary))
    for cell, rows in by_cell(runs):
        reference = rows[rows["method"] == baseline_of(methods)]
        for method, own in rows.groupby("method", sort=False):
            axes, dark = panels[cell][str(method)], colour(baseline_of(methods), methods)
            layers = ((rows, INKS["ghost"], 2.5), (reference, dark, 3), (own, colour(str(method), methods), 4.5))
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


def pass_k_panels(curves: DataFrame, scores: DataFrame) -> Iterator[Panel]:
    """pass@k over k, up to the largest that was scored, a panel per cell and benchmark; none where only one k was."""
    ks = {name: int(name[5:]) for name in set(scores["metric"]) if re.fullmatch(r"pass@\d+", name)}
    if len(ks) < 2:
        return
    found = scores[scores["metric"].isin(list(ks))]
    found = found.assign(k=found["metric"].map(ks))
    trained = curves[RUN].drop_duplicates().merge(found, on=RUN)
    methods = list(dict.fromkeys(trained["method"]))
    for cell, rows in by_cell(trained):
        for benchmark, own in rows.groupby("benchmark"):
            base = found[(found["method"] == "base") & (found["model"] == cell[0]) & (found["benchmark"] == benchmark)]

            def draw(axes: Axes, own: DataFrame = own, base: DataFrame = base) -> None:
                _draw_pass_k(axes, own, base, methods)

            last = own[own["k"] == own["k"].max()]
            ends = last.groupby("method", sort=False)["value"].mean().sort_values(ascending=False)
            seen = ", ".join(f"{method} {value:.3f}" for method, value in ends.items())
            title = f"{' · '.join(cell)}, on {benchmark}"
            alt = f"pass@k over k of {title}; at k = {own['k'].max()}: {seen} (means over seeds)."
            yield Panel(title, draw, alt, tall(PANEL, len(methods) + 1), (6, longest(methods) + 1))


def _draw_pass_k(axes: Axes, rows: DataFrame, base: DataFrame, methods: Sequence[str]) -> None:
    ends, ks = [], sorted(set(rows["k"]))
    for name, own in rows.groupby("method", sort=False):
        method = str(name)
        look: dict[str, Any] = {"color": colour(method, methods), "label": method}
        by_k = [own[own["k"] == k]["value"].to_numpy() for k in ks]
        if by_k[0].size > 1:
            low, high = zip(*map(_spread, by_k), strict=True)
            axes.fill_between(ks, low, high, alpha=0.15, linewidth=0, **look)
        means = [values.mean() for values in by_k]
        axes.plot(ks, means, marker=marker(method, methods), markersize=4, linewidth=1.5, **look)
        ends.append((float(means[-1]), method, colour(method, methods)))
    if len(base):
        values = base.set_index("k")["value"].reindex(ks)
        axes.plot(ks, values, color=COLOURS["base"], linestyle=(0, (4, 3)), linewidth=1, label="base")
        ends.append((float(values.iloc[-1]), "base", COLOURS["base"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, list(map(str, ks)))
    axes.minorticks_off()
    label_ends(axes, ends)
    axes.set(xlabel="k", ylabel="pass@k")


def _spread(values: Floats) -> tuple[float, float]:
    """The band at one k: the 95 % t interval of the mean, or the range where seeds are few."""
    interval = pooled_t([values])
    if values.size < ENOUGH_SEEDS or interval.lower is None or interval.upper is None:
        return float(values.min()), float(values.max())
    return interval.lower, interval.upper
