"""Figures as blocks of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from entrobench.evaluation.figures.panels import Panel, inline

from .blocks import Block, Drawing


def drawing(
    name: str, title: tuple[str, str], panels: Iterable[Panel], methods: Sequence[str], note: str = ""
) -> list[Block]:
    """A figure of these panels under a title and a sentence; nothing where there is no panel."""
    drawn = [(panel.title, inline(panel, methods, f"{name}-{place}")) for place, panel in enumerate(panels)]
    return [Drawing(*title, drawn, note)] if drawn else []
