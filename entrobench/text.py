"""Text for people: model text made safe (control characters are shown, not obeyed), and columns of a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def printable(text: str) -> str:
    r"""Escape every character that is not printable.

    >>> printable("1\x1b[31m\u202e2\n")
    '1\\x1b[31m\\u202e2\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def visible(text: str) -> str:
    r"""Escape as `printable` does, but leave line breaks, tabs and every kind of space: text of several lines.

    >>> visible("1\u00a0\x1b[31m\n\u202e2")
    '1\xa0\\x1b[31m\n\\u202e2'
    """
    if text.isprintable():  # most are
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c) == "Zs" else printable(c) for c in text)


def excerpt(text: str, width: int) -> str:
    """The end of a text, where answers stand, in at most `width` printable characters."""
    shown = printable(text[-width:])
    cut = len(text) > width or len(shown) > width
    return f"…{shown[-(width - 1) :]}" if cut else shown


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text columns, each as wide as its widest cell."""
    cells = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
