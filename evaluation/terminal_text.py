"""Model text made safe for a terminal: control and bidirectional characters are shown, not obeyed."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Escape every character that is not printable.

    >>> printable("1\x1b[31m\u202e2\n")
    '1\\x1b[31m\\u202e2\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def excerpt(text: str, width: int) -> str:
    """The end of a text, where answers stand, in at most `width` printable characters."""
    shown = printable(text[-width:])
    cut = len(text) > width or len(shown) > width
    return f"…{shown[-(width - 1) :]}" if cut else shown
