"""A page as text: style, script and drawings are inside it, and Jinja escapes every value that is put in.

What no reader could see, or what would move the text around it (control characters, bidirectional marks, halves of
characters), is written out, for answers of models stand on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from entrobench.evaluation.figures.figure_style import CROWDED, PALETTE, colour, marker
from entrobench.evaluation.figures.panels import VARIABLES
from entrobench.text import visible

from .blocks import Page

PILLS = {  # how a verdict looks
    "better": "better",
    "worse": "worse",
    "no difference shown": "none",
    "too few seeds": "few",
    "no audited interval": "few",
    "A/A arm": "none",
    "agrees": "better",
    "higher": "worse",
    "lower": "worse",
    "cannot tell": "few",
}


def render(page: Page) -> str:
    """The HTML of a page."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    folder = Path(__file__).parent
    loader = FileSystemLoader(folder)
    environment = Environment(autoescape=True, finalize=_shown, trim_blocks=True, lstrip_blocks=True, loader=loader)
    environment.filters["drawing"] = Markup  # what `panels.inline` drew
    named = ["base", *page.methods]
    return environment.get_template("page.html").render(
        page=page,
        pills=PILLS,
        crowded=CROWDED,
        colours={method: VARIABLES[colour(method, page.methods)] for method in named},
        signs=_signs(page.methods),
        style=Markup(_palette() + (folder / "style.css").read_text()),
        script=Markup((folder / "script.js").read_text()),
    )


def _shown(value: Any) -> Any:
    """A value as it is put in; Markup is the page's own."""
    return visible(value) if type(value) is str else value


def _palette() -> str:
    """The methods' colours as variables, for light and for dark pages; print is light."""
    light, dark = (
        "".join(f"--{name.replace(' ', '-').replace('_', '-')}: {pair[shade]}; " for name, pair in PALETTE.items())
        for shade in (0, 1)
    )
    return f":root {{ {light}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"


def _signs(methods: Sequence[str]) -> dict[str, str]:
    """The sign of each method as the points of a polygon in a square of 20."""
    import numpy
    from matplotlib.markers import MarkerStyle

    found = {}
    for method in methods:
        style = MarkerStyle(marker(method, methods))
        (outline, *_) = style.get_path().transformed(style.get_transform()).to_polygons()
        points = numpy.asarray(outline, dtype=float)
        points = 10 + 9 * points * [1, -1] / numpy.abs(points).max()
        found[method] = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return found
