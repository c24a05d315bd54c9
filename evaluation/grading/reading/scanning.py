"""Bracket-aware walking through LaTeX text: matching braces, splitting at top level, unwrapping."""

from __future__ import annotations

import re
from collections.abc import Iterator

_OPEN = {"(": 1, "[": 1, "{": 1, "\\{": 1, "\\begin": 1, "\\lfloor": 1, "\\lceil": 1, "\\langle": 1}
_CLOSE = {")": 1, "]": 1, "}": 1, "\\}": 1, "\\end": 1, "\\rfloor": 1, "\\rceil": 1, "\\rangle": 1}
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)


def tokens(text: str) -> Iterator[tuple[str, int]]:
    """Yield (token, start) for each LaTeX command or character."""
    return ((match[0], match.start()) for match in _TOKEN.finditer(text))


_LONG_SPACE = re.compile(r"\s{20,}")


def shorten_spaces(text: str) -> str:
    """Cut long runs of white space, on which patterns that skip spaces would take quadratic time."""
    return _LONG_SPACE.sub(lambda run: "\n\n" if "\n" in run[0] else " ", text)


def matching_brace(text: str, start: int) -> int:
    """Return the index of the bracket that closes the one at `start`, or -1; escaped braces count as characters."""
    opening = text[start]
    closing = {"{": "}", "(": ")", "[": "]"}[opening]
    depth = 0
    for match in re.finditer(r"\\.|[" + re.escape(opening + closing) + "]", text[start:]):
        depth += (match[0] == opening) - (match[0] == closing)
        if depth == 0:
            return start + match.start()
    return -1


def split_top(text: str, separators: tuple[str, ...]) -> list[tuple[str, str]]:
    """Split outside all brackets; returns (piece, separator that follows it), the last with an empty separator.

    ( and [ may close each other, as in half-open intervals. Separators are single tokens: a command or a character.
    """
    pieces: list[tuple[str, str]] = []
    depth, begin = 0, 0
    for token, start in tokens(text):
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0 and token in separators:
            pieces.append((text[begin:start].strip(), token))
            begin = start + len(token)
    pieces.append((text[begin:].strip(), ""))
    return pieces


def parts(text: str, *separators: str) -> list[str]:
    """Split outside all brackets and drop the separators."""
    return [piece for piece, _ in split_top(text, separators)]


def is_balanced(text: str) -> bool:
    """Say whether no bracket closes before it opens and all that open close."""
    depth = 0
    for token, _ in tokens(text):
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth < 0:
            return False
    return depth == 0


def enclosed(text: str) -> tuple[str, str, str] | None:
    """Return (opening, inside, closing) when one pair of brackets encloses the whole text, else None."""
    depth, first = 0, ""
    for token, start in tokens(text):
        first = first or token
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0:
            whole = (
                first in ("(", "[", "{", "\\{") and token in (")", "]", "}", "\\}") and start + len(token) == len(text)
            )
            return (first, text[len(first) : start].strip(), token) if whole else None
    return None


def unwrap_command(text: str) -> str:
    """Take off braces that group the whole text and are those of no set: without a comma and a bar."""
    pair = enclosed(text)
    if (
        pair is not None
        and pair[0] == "{"
        and pair[2] == "}"
        and len(parts(pair[1], ",")) == len(parts(pair[1], "|")) == 1
    ):
        return f"\\{{{pair[1]}\\}}" if pair[1] == "\\emptyset" else pair[1]
    return text


def word_set(text: str) -> frozenset[str]:
    """The words of a constant table written as one string."""
    return frozenset(text.split())
