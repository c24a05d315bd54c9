"""Panels for the page: one drawing each, as SVG that is part of the page and takes its colours from it.

On a phone the panels of a figure stack, their text keeps its size, and it stays text. Colours become variables of the
page, which a dark page sets otherwise; what belongs to a method says so in `data-method`, so a page can show one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .figure_style import CROWDED, INKS, PALETTE, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHARACTER, GAP = 0.08, 0.14  # inches of width of a character, and beside the text
BELOW, ABOVE = 0.52, 0.26  # inches for ticks and label of the x axis, and for the title
LABEL = 0.17  # inches of height per name where methods are many
TEXT = 10  # points: on a phone they become as many pixels
PAGE = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    **dict.fromkeys(("axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize"), TEXT),
    "font.size": 11,
}
SVG = re.compile(r'<svg [^>]*viewBox="(?P<box>[^"]+)"[^>]*>(?P<content>.*)</svg>', re.DOTALL)
DROPPED = re.compile(
    r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>| transform=\"rotate\(-0 [^\"]*\"", re.DOTALL
)
FONT = re.compile(r"font-family: [^;\"]*;? ?")
COLOUR = re.compile(r"(?<=: )#[0-9a-f]{6}")
NUMBER = re.compile(r"-?\d+\.\d+")
GEOMETRY = re.compile(r'\b(?:d|x|y|width|height|transform|points)="[^"]*"')


@dataclass(frozen=True)
class Panel:
    """One drawing: its title, how it is drawn on axes, what is seen on it in words, and its size in inches.

    `beside`: characters of text left and right of the axes. Its room is set aside without measuring: matplotlib's own
    layout draws everything twice.
    """

    title: str
    draw: Callable[[Axes], None]
    alt: str
    size: tuple[float, float]
    beside: tuple[int, int] = (6, 0)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of the axes, as shares of the figure."""
        (width, height), (left, right) = self.size, (CHARACTER * count + GAP for count in self.beside)
        return left / width, BELOW / height, 1 - (left + right) / width, 1 - (BELOW + ABOVE) / height


def longest(names: Iterable[str]) -> int:
    """Characters of the longest name."""
    return max(map(len, names), default=0)


def tall(size: tuple[float, float], methods: int) -> tuple[float, float]:
    """The size of a panel that names so many methods at the ends of their lines."""
    return (size[0], max(size[1], 1.0 + LABEL * methods)) if methods > CROWDED else size


def inline(panel: Panel, methods: Sequence[str], key: str) -> str:
    """Draw a panel as an SVG element of the page; `key` makes its ids unique there."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE | PAGE | {"svg.hashsalt": key}):
        figure = Figure(figsize=panel.size)
        axes = figure.add_axes(panel.box)
        panel.draw(axes)
        axes.set_title(axes.get_ylabel(), loc="left", color=INKS["soft"])  # beside the axis it would be cut
        axes.set_ylabel("")
        _mark(figure, {*methods, "base"})
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return to_page(file.getvalue(), panel.alt, key)


def _mark(figure: Figure, methods: set[str]) -> None:
    """Let everything that carries a method's name as its label be found by it."""
    for artist in figure.axes[0].get_children():
        if (name := artist.get_label()) in methods:
            artist.set_gid(f"{'band' if hasattr(artist, 'get_paths') else 'method'}:{name}")


def to_page(svg: str, alt: str, key: str) -> str:
    """Make matplotlib's SVG part of a page: no ids that another drawing has, no fonts, and the page's colours."""
    from markupsafe import escape

    found = SVG.search(DROPPED.sub("", svg))
    assert found, "matplotlib writes an svg element with a viewBox"
    content = re.sub(r">\s+<", "><", found["content"]).replace("xlink:href", "href").replace("\n", "")
    content = COLOUR.sub(lambda match: VARIABLES.get(match[0], match[0]), FONT.sub("", content))
    content = GEOMETRY.sub(lambda match: NUMBER.sub(_rounded, match[0]), content)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', content))
    content = re.sub(r' id="([^"]*)"', lambda match: _id(match[1], used, key), content)
    content = re.sub(r'(url\(|href=")#', rf"\1#{key}-", content)
    return f'<svg viewBox="{found["box"]}" role="img" aria-label="{escape(alt)}">{content}</svg>'


def _id(name: str, used: set[str], key: str) -> str:
    kind, _, method = name.partition(":")
    if method:
        return f' data-method="{method}"' + ' class="band"' * (kind == "band")
    return f' id="{key}-{name}"' if name in used else ""


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


VARIABLES = {light: f"var(--{name.replace(' ', '-').replace('_', '-')})" for name, (light, _) in PALETTE.items()}
VARIABLES |= {value: f"var(--{name})" for name, value in INKS.items()}
