"""Functions by cases: the same values on the same sets of reals, in any order; "otherwise" is what the others leave.

Runs in the worker only.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sympy

from entrobench.evaluation.grading.reading.words import plain_words

from .guards import Unparsable
from .real_sets import NoSet, read_condition, sets_equal
from .symbolic import expressions_equal

_CASES = re.compile(
    r"(?:(?P<name>[^=]*)=\s*)?\\begin\s*\{cases\}(?P<body>(?:(?!\\begin).)*)\\end\s*\{cases\}", re.DOTALL
)
_OTHERWISE = re.compile(r"\W*(?:otherwise|else|elsewhere|in all other cases)\W*", re.IGNORECASE)
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_LEADING = re.compile(r"^[\s,]*(?:if|for|when|where|whenever|as)?\s+|^[\s,]+")

Piece = tuple[str, sympy.Set]


def piecewise_equal(prediction: str, gold: str, equal: Callable[[str, str], bool]) -> bool | None:
    """Compare two functions by cases; None where one is none or its conditions are no sets of one variable."""
    both = [_CASES.fullmatch(text.strip()) for text in (prediction, gold)]
    if both[0] is None or both[1] is None:
        return None
    try:
        mine, other = (_pieces(match["body"]) for match in both if match)
    except (NoSet, Unparsable):
        return _same_rows(both[0]["body"], both[1]["body"], equal)
    remaining = list(other)
    for value, where in mine:
        same = next((one for one in remaining if _same(where, one[1]) and equal(value, one[0])), None)
        if same is None:
            return False
        remaining.remove(same)
    return not remaining


def _same_rows(first: str, second: str, equal: Callable[[str, str], bool]) -> bool | None:
    """Cases under conditions in words ("n is even"): the same value under the same words, in any order."""
    mine, other = _worded(first), _worded(second)
    if mine is None or other is None:
        return None
    return mine.keys() == other.keys() and all(equal(value, other[words]) for words, value in mine.items())


def _worded(body: str) -> dict[str, str] | None:
    rows = [row.split("&") for row in re.split(r"\\\\|\\cr", body) if row.strip()]
    if any(len(row) != 2 for row in rows):
        return None
    return {plain_words(_LEADING.sub("", _TEXT.sub(r" \1 ", words))): value.strip(" ,") for value, words in rows}


def _same(first: sympy.Set, second: sympy.Set) -> bool:
    return sets_equal(first, second, expressions_equal)


def _pieces(body: str) -> list[Piece]:
    rows = [row.split("&") for row in re.split(r"\\\\|\\cr", body) if row.strip()]
    if any(len(row) != 2 for row in rows):
        raise NoSet("no cases of a function")
    pieces: list[Piece] = []
    rest: list[str] = []
    for value, condition in rows:
        words = _TEXT.sub(r" \1 ", condition)
        if _OTHERWISE.fullmatch(words):
            rest.append(value)
        else:
            pieces.append((value.strip(" ,"), read_condition(_LEADING.sub("", words).strip(" ,."))))
    if len(rest) > 1:
        raise NoSet("two cases are left over")
    covered = sympy.Union(*(where for _, where in pieces))
    return [*pieces, *((value.strip(" ,"), sympy.Reals - covered) for value in rest)]
