"""The figure of what clamps take from a model's own answers: by p, by the token's entropy, by its position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.results import StudyFolder

from .figure_style import FURTHER, SEPARATOR, caption, label_ends
from .theory_figures import write_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

PUBLISHED = (0.25, 0.33)  # of the paper's two settings


def write_clamp_figure(folder: Path, name: str) -> list[Path]:
    """Draw the tables `folder`/laws/`name`.csv, -by-entropy and -by-position beside them, as SVG and PNG."""
    import pandas

    laws = StudyFolder(folder).laws
    tables = [pandas.read_csv(laws / f"{name}{part}.csv") for part in ("", "-by-entropy", "-by-position")]
    return write_figures(laws, {name: lambda: clamp_figure(*tables)})


def clamp_figure(whole: DataFrame, by_entropy: DataFrame, by_position: DataFrame) -> Figure:
    """Removed mass against p; then, for each p, removed mass and 1 − H̃/H by tenths of entropy, and mass by position."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 3.1), layout="constrained")
    first, *others = figure.subplots(1, 4)
    for dtype, own in whole.groupby("dtype", sort=False):
        first.plot(own["clamp"], own["mass"], marker="o", markersize=4, linewidth=1.3, label=str(dtype))
    first.set(xscale="logit", yscale="log", xlabel="p, the share of the vocabulary removed", ylabel="removed mass")
    first.legend(fontsize=7.5)
    first.set_title("all tokens", loc="left")
    mass, ratio, place = others
    _lines(mass, by_entropy, by_entropy["mass"], "removed mass by entropy")
    _lines(ratio, by_entropy, 1 - by_entropy["clamped_entropy"] / by_entropy["entropy"], "1 − H̃/H by entropy")
    _lines(place, by_position, by_position["mass"], "removed mass by position")
    for panel, text in (
        (mass, "tenth of tokens by H"),
        (ratio, "tenth of tokens by H"),
        (place, "tenth of the answer"),
    ):
        panel.set_xlabel(text)
    row = whole.iloc[0]
    said = [
        f"{row['model']}, vocabulary {row['vocabulary']:,}",
        f"{row['tokens']:,} tokens of its own answers at temperature {row['temperature']:g}",
        f"bold: the paper's p, {' and '.join(map(str, PUBLISHED))}",
    ]
    caption(figure, SEPARATOR.join(said))
    return figure


def _lines(panel: Axes, parts: DataFrame, values: Series[float], title: str) -> None:
    """A line per clamp over the parts, named at its end."""
    ends = []
    for number, (clamp, own) in enumerate(parts.assign(value=values).groupby("clamp")):
        colour, width = FURTHER[number % len(FURTHER)], 2.4 if clamp in PUBLISHED else 1.2
        panel.plot(own["part"], own["value"], color=colour, linewidth=width, marker="o", markersize=3)
        ends.append((float(own["value"].iloc[-1]), f"{clamp:g}", colour))
    panel.set_title(title, loc="left")
    panel.set_yscale("log", nonpositive="mask")
    label_ends(panel, ends)
