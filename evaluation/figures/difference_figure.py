"""The forest plot: every method's difference to the baseline over the whole study, and what could have been shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.tables.entries import signed

from .figure_style import INKS, caption, colour, marker
from .panels import Panel, longest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTE = (
    "mark and line: difference and its 95 % paired t interval   ·   shaded: less than what had an 80 % chance to show"
)
ROW = 0.24  # inches of height per method
WIDTH = 4.9  # inches
CAPTION = 0.6


def difference_figure(statistics: Mapping[str, Any], metric: str) -> Figure:
    """Differences in one headline metric, a row per method."""
    from matplotlib.figure import Figure

    rows = _rows(statistics, metric)
    width, height = _size(rows)
    figure = Figure(figsize=(width, height + CAPTION), layout="constrained")
    _draw(figure.subplots(), rows, statistics, metric)
    caption(figure, NOTE)
    return figure


def difference_panels(statistics: Mapping[str, Any]) -> Iterator[Panel]:
    """The same for the page, a panel per headline metric; none where there is nothing to compare with."""
    for metric in statistics["metrics"]:
        if not (rows := _rows(statistics, metric)):
            continue

        def draw(axes: Axes, rows: Sequence[Mapping[str, Any]] = rows, metric: str = metric) -> None:
            _draw(axes, rows, statistics, metric)

        names, texts = [row["method"] for row in rows], [_text(row) for row in rows]
        seen = "; ".join(f"{row['method']} {_text(row)}, {row['verdict']}" for row in rows)
        alt = f"Difference in {metric} to {statistics['baseline']} with its 95 % interval: {seen}."
        title = f"{metric}: difference to {statistics['baseline']}, whole study"
        yield Panel(title, draw, alt, _size(rows), (longest(names), longest(texts) + 1))


def _rows(statistics: Mapping[str, Any], metric: str) -> list[Mapping[str, Any]]:
    return [row for row in statistics["comparisons"] if row["scope"] == "study" and row["metric"] == metric]


def _size(rows: Sequence[object]) -> tuple[float, float]:
    return (WIDTH, 0.75 + ROW * max(len(rows), 1))


def _text(row: Mapping[str, Any]) -> str:
    interval = "" if row["lower"] is None else f" [{signed(row['lower'])}, {signed(row['upper'])}]"
    return signed(row["difference"]) + interval


def _draw(axes: Axes, rows: Sequence[Mapping[str, Any]], statistics: Mapping[str, Any], metric: str) -> None:
    methods = list(dict.fromkeys(row["method"] for row in statistics["aggregates"]))
    axes.axvline(0, color=INKS["axis"], linewidth=1)
    for height, row in enumerate(rows):
        method = row["method"]
        look: dict[str, Any] = {"color": colour(method, methods), "label": method}
        if row["detectable"] is not None:
            reach = row["detectable"]
            axes.fill_betweenx([height - 0.5, height + 0.5], -reach, reach, color=INKS["shade"], linewidth=0)
        if row["lower"] is not None:
            axes.plot([row["lower"], row["upper"]], [height, height], linewidth=1.8, solid_capstyle="butt", **look)
        axes.plot(row["difference"], height, marker(method, methods), markersize=5.5, **look)
        axes.text(1.02, height, _text(row), transform=axes.get_yaxis_transform(), va="center", fontsize="small", **look)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [row["method"] for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(colour(row["method"], methods))
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.locator_params(axis="x", nbins=3)  # the axis is narrow beside its numbers
    axes.set_xlabel(f"difference in {metric} to {statistics['baseline']}")
