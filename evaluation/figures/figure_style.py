"""How all figures look: colours, axes, direct labels and captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.results import FIGURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

# (on white, on dark): Okabe and Ito's and Tol's hues, made darker or lighter until text in them has a contrast of 4.5
PALETTE = {
    "base": ("#6b6b6b", "#a6a6a6"),
    "grpo": ("#222222", "#ececec"),
    "aent": ("#0072b2", "#5ab4f0"),
    "entropy_bonus": ("#b84d00", "#ff9a5c"),
    "clip_higher": ("#007a58", "#35c795"),
    "further 1": ("#b0447f", "#f09ac8"),
    "further 2": ("#8a6100", "#e3b341"),
    "further 3": ("#00758a", "#52c7dc"),
    "further 4": ("#332288", "#aaa2ff"),
    "further 5": ("#882255", "#e37ba9"),
    "further 6": ("#6b6b00", "#c4c45a"),
    "further 7": ("#1f776a", "#6fd1c0"),
    "further 8": ("#661100", "#e39a83"),
    "further 9": ("#8e3a92", "#d9a0de"),
}
INKS = {  # what is no method's: name of the page's variable -> colour on white
    "ink": "#333333",
    "soft": "#555555",
    "note": "#595f66",
    "axis": "#80888f",
    "grid": "#e6e6e6",
    "ghost": "#dddddd",
    "shade": "#dfe5ea",
}
COLOURS = {name: light for name, (light, _) in PALETTE.items() if not name.startswith("further")}
FURTHER = [light for name, (light, _) in PALETTE.items() if name.startswith("further")]
MARKERS = "osD^vPX*<>ph"  # matplotlib's; the colours of two methods may look alike, in grey most do
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INKS["axis"],
    "axes.labelcolor": INKS["ink"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INKS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": INKS["soft"],
    "ytick.color": INKS["soft"],
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "svg.fonttype": "none",  # text stays text
}
# the means of the other methods, pixels also in SVG: many panels of many lines would make megabytes
BACKGROUND: dict[str, Any] = {"color": INKS["ghost"], "linewidth": 0.7, "rasterized": True}
DPI = 144
DOTS: dict[str, Any] = {"markersize": 4.5, "alpha": 0.5, "markeredgewidth": 0}
PANEL = (4.4, 2.7)  # inches
NARROW = 2.6  # inches, of a panel of scores where there are many benchmarks
SEPARATOR = "   ·   "  # between the parts of a caption
CHARACTERS = 17  # of a caption, per inch
CROWDED = 8  # more methods than these get a panel each
MULTIPLES = (6, 1.75, 1.3)  # panels across, and width and height of one in inches
LOG_RATIO = 20  # positive values that span more than this are drawn on a logarithmic axis


def colour(method: str, methods: Sequence[str]) -> str:
    """The method's own colour, or one from the further palette by its place among the study's other methods."""
    others = sorted(set(methods) - set(COLOURS))
    return COLOURS[method] if method in COLOURS else FURTHER[others.index(method) % len(FURTHER)]


def marker(method: str, methods: Sequence[str]) -> str:
    """The method's sign, by its place in the study: up to as many methods as there are signs, all differ."""
    return MARKERS[list(methods).index(method) % len(MARKERS)] if method in methods else "d"


def by_cell(table: DataFrame) -> Iterator[tuple[tuple[str, str], DataFrame]]:
    """Yield ((model, dataset), rows) in the order of the table."""
    for (model, dataset), rows in table.groupby(["model", "dataset"], sort=False):
        yield (str(model), str(dataset)), rows


def cell_panels(table: DataFrame, height: float = PANEL[1]) -> tuple[Figure, dict[tuple[str, str], Axes]]:
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
                panel.set_title(f"{model} · {dataset}", loc="left", color=INKS["ink"])
                panels[model, dataset] = panel
    return figure, panels


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


def caption(figure: Figure, text: str) -> None:
    """A line under the figure that says what is drawn, broken where the figure is narrow."""
    lines: list[str] = []
    for part in text.split(SEPARATOR):
        joined = SEPARATOR.join([*lines[-1:], part])
        fits = lines and len(joined) <= figure.get_figwidth() * CHARACTERS
        lines = [*lines[:-1], joined] if fits else [*lines, part]
    figure.supxlabel("\n".join(lines), fontsize=7.5, color=INKS["note"], x=0.01, horizontalalignment="left")


def logarithmic_where_wide(axes: Axes, values: Series[float]) -> None:
    """Make the y axis logarithmic where the values span a wide range."""
    if is_wide(values):
        axes.set_yscale("log")
        plain_decades(axes.yaxis)


def is_wide(values: Series[float]) -> bool:
    """Whether all values are positive and the largest is more than LOG_RATIO times the smallest."""
    return bool(values.min() > 0 and values.max() > LOG_RATIO * values.min())


def plain_decades(axis: Axis) -> None:
    """Ticks 0.1, 0.2, 0.5, 1, ... in place of powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], leading: bool = True) -> None:
    """Write each line's name right of the panel at the line's end, moved apart where names would overlap.

    `leading`: a thin line leads from the end to a name that had to move.
    """
    axes.autoscale_view()  # the limits are otherwise set when the figure is drawn
    heights = [axes.transAxes.inverted().transform(axes.transData.transform((0, y)))[1] for y, _, _ in ends]
    gap = min(0.16 / (axes.bbox.height / axes.figure.dpi), 1 / len(ends))  # inches: a line of text
    for height, end, (_, name, text_colour) in zip(spread(heights, gap), heights, ends, strict=True):
        look: dict[str, Any] = {"color": text_colour, "transform": axes.transAxes, "label": name}
        axes.text(1.05, height, name, va="center", fontsize="small", **look)
        if leading and abs(height - end) > gap / 4:
            axes.plot([1.0, 1.04], [end, height], linewidth=0.6, clip_on=False, **look)


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


def method_panels(table: DataFrame, labels: tuple[str, str]) -> tuple[Figure, dict[tuple[str, str], dict[str, Axes]]]:
    """A figure with a panel per cell and method on common axes: {cell: {method: panel}}; labels of the x and y axis."""
    from matplotlib.figure import Figure

    across, width, height = MULTIPLES
    methods, cells = list(dict.fromkeys(table["method"])), [cell for cell, _ in by_cell(table)]
    down = -(-len(methods) // across)
    margin, head, foot = 0.75, 0.4, 0.7  # inches: left, above each cell, below all
    size = (margin + across * width, len(cells) * (head + down * height) + foot)
    figure = Figure(figsize=size)
    panels: dict[tuple[str, str], dict[str, Axes]] = {}
    for number, cell in enumerate(cells):
        top = size[1] - number * (head + down * height)
        figure.text(0.1 / size[0], (top - 0.2) / size[1], " · ".join(cell), fontsize=10, color=INKS["ink"])
        for place, method in enumerate(methods):
            row, column = divmod(place, across)
            left, bottom = margin + column * width, top - head - (row + 1) * height + 0.25
            box = (left / size[0], bottom / size[1], (width - 0.15) / size[0], (height - 0.45) / size[1])
            first = next(iter(panels[cell].values())) if cell in panels else None
            panel = figure.add_axes(box, sharex=first, sharey=first)
            last_row = place + across >= len(methods)
            panel.tick_params(labelleft=column == 0, labelbottom=last_row, labelsize=7.5)
            panel.set_title(method, loc="left", fontsize=8, color=colour(method, methods), pad=3)
            panels.setdefault(cell, {})[method] = panel
    figure.text(margin / size[0], 0.45 / size[1], labels[0], fontsize=9, color=INKS["ink"])
    figure.text(0.1 / size[0], 0.5, labels[1], rotation=90, va="center", fontsize=9, color=INKS["ink"])
    return figure, panels
