"""Score and entropy over a swept value, with the values that a study uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .figure_style import DOTS, INKS, PANEL, caption, colour, logarithmic_where_wide, save
from .panels import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from entrobench.evaluation.statistics.intervals import Floats

UsedValues = Mapping[tuple[str, str], Sequence[float]]  # (method, key) -> the values that the study's runs have
NOTE = "dots: seeds   ·   line: their mean   ·   dashed: used in the study"


def sweep_figure(sweep: DataFrame, used: UsedValues) -> Figure:
    """Score and final entropy over the swept value of each method's key; dashed lines mark the values in `used`.

    Columns of `sweep`: method, key, value, seed, metric, score, entropy; one row per run.
    """
    from matplotlib.figure import Figure

    groups = list(sweep.groupby(["method", "key"], sort=False))
    figure = Figure(figsize=(PANEL[0] * len(groups), 1.8 * PANEL[1]), layout="constrained")
    axes = figure.subplots(2, len(groups), squeeze=False, sharex="col")
    for column, ((method, key), rows) in enumerate(groups):
        own = used.get((str(method), str(key)), [])
        for panel, quantity in zip(axes[:, column], ("score", "entropy"), strict=True):
            _draw_sweep(panel, rows, quantity, colour(str(method), list(sweep["method"])), own)
        axes[0][column].set_title(str(method), loc="left", color=INKS["ink"])
        axes[1][column].set_xlabel(str(key))
    caption(figure, NOTE)
    return figure


def sweep_panels(sweep: DataFrame, used: UsedValues) -> Iterator[Panel]:
    """The same for the page, a panel per method, key and quantity."""
    for (method, key), rows in sweep.groupby(["method", "key"], sort=False):
        own, paint = used.get((str(method), str(key)), []), colour(str(method), list(sweep["method"]))
        for quantity, label in (("score", f"validation {rows['metric'].iloc[0]}"), ("entropy", "final entropy")):

            def draw(
                axes: Axes,
                rows: DataFrame = rows,
                name: str = quantity,
                look: tuple[str, Sequence[float]] = (paint, own),
            ) -> None:
                _draw_sweep(axes, rows, name, *look)
                axes.set_xlabel(str(rows["key"].iloc[0]))

            means = rows.groupby("value")[quantity].mean()
            seen = f"{label} over {key} of {method}: " + ", ".join(f"{v:g}: {mean:.3g}" for v, mean in means.items())
            yield Panel(f"{method} · {label}", draw, f"{seen} (means over seeds).", PANEL)


def _draw_sweep(axes: Axes, rows: DataFrame, quantity: str, paint: str, used: Sequence[float]) -> None:
    mean = rows.groupby("value")[quantity].mean()
    axes.plot(rows["value"], rows[quantity], "o", color=paint, **DOTS)
    axes.plot(mean.index, mean, color=paint, linewidth=1.7)
    for value in used:
        axes.axvline(value, color=INKS["note"], linestyle=(0, (4, 3)), linewidth=1)
    _value_axis(axes, mean.index.to_numpy(dtype=float))
    if quantity == "entropy":
        logarithmic_where_wide(axes, rows["entropy"])
    axes.set_ylabel("final entropy (nats/token)" if quantity == "entropy" else f"validation {rows['metric'].iloc[0]}")


def _value_axis(axes: Axes, values: Floats) -> None:
    """Logarithmic in the swept value, with a place for 0, and a tick at every value."""
    positive = values[values > 0]
    if positive.size and positive.max() > 5 * positive.min():
        axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.5)
    axes.set_xticks(values, [f"{value:g}" for value in values], rotation=45, ha="right")
    axes.minorticks_off()


def write_sweep_figure(sweep: DataFrame, used: UsedValues, folder: Path) -> list[Path]:
    """Draw a sweep alone as sweep.svg and sweep.png into `folder`; returns the files."""
    return save(lambda: sweep_figure(sweep, used), "sweep", folder)
