"""Values given by name: "y=1, x=2" and "(x,y)=(2,1)" are the same, and so is (2,1), the names in alphabetical order.

Runs in the worker only.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from entrobench.evaluation.grading.reading.scanning import enclosed, parts

_NAME = re.compile(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?'*")
_FUNCTION = re.compile(r"([a-zA-Z](?:_\{?\w+\}?)?)\s*\(\s*[a-z]\s*\)")
_LABEL = re.compile(r"[a-zA-Z]{2,}\s*:\s*-?[\d\\(]")
_AND = re.compile(r"\\text\s*\{\s*,?\s*and\s*,?\s*\}|(?<![a-zA-Z\\])and(?![a-z])|\\land(?![a-zA-Z])|;|\\\\")


def named_values(text: str) -> dict[str, str] | None:
    """The values of different names that a text states, two at least; None for any other text."""
    sides = parts(text, "=")
    if len(sides) == 2 and (names := _tuple(sides[0])) and (values := _tuple(sides[1])):
        pairs = list(zip(names, values, strict=False)) if len(names) == len(values) else []
    else:
        items = [_sides(item) for item in parts(_AND.sub(",", text), ",") if item]
        pairs = [(item[0], item[1]) for item in items if len(item) == 2] if all(len(i) == 2 for i in items) else []
    functions = [_FUNCTION.fullmatch(name.strip()) for name, _ in pairs]
    if all(functions):  # f(x) = x, g(x) = 2x: the variable's name is free, the function's is not
        pairs = [(match[1], f"{name}={value}") for match, (name, value) in zip(functions, pairs, strict=True) if match]
    found = {name.strip().lstrip("\\"): value for name, value in pairs}
    named = all(_NAME.fullmatch(name.strip()) for name, _ in pairs)
    return found if named and len(found) == len(pairs) > 1 and all(found.values()) else None


def _sides(item: str) -> list[str]:
    """The name and the value of "x = 1" or "Tom: 3"."""
    sides = parts(item, "=")
    return sides if len(sides) > 1 or not _LABEL.match(item) else parts(item, ":")


def _tuple(text: str) -> list[str]:
    pair = enclosed(text.strip())
    items = parts(pair[1], ",") if pair is not None and (pair[0], pair[2]) == ("(", ")") else []
    return items if len(items) > 1 else []


def _listed(text: str, named: dict[str, str]) -> list[str]:
    """The values of a bare list beside different names; roots x_1, x_2 of one name have no order."""
    stems = {name.partition("_")[0] for name in named}
    items = parts(_AND.sub(",", text), ",") if enclosed(text) is None and len(stems) > 1 else []
    return items if not any(len(parts(item, "=")) > 1 for item in items) else []


def named_values_equal(prediction: str, gold: str, equal: Callable[[str, str], bool]) -> bool | None:
    """Compare values by their names; None where the texts do not state any, or state other names."""
    mine, other = named_values(prediction), named_values(gold)
    if mine is not None and other is not None:
        return all(equal(mine[name], other[name]) for name in mine) if mine.keys() == other.keys() else None
    named = mine if mine is not None else other
    bare = gold if mine is not None else prediction
    ordered = _tuple(bare)
    if named is None or len(plain := ordered or _listed(bare, named)) != len(named):
        return None
    in_order = sorted(named, key=str.casefold)
    orders = [in_order] if ordered else [in_order, list(named)]
    lists = ([named[name] for name in order] for order in orders)
    sides = ((values, plain) if mine is not None else (plain, values) for values in lists)
    return any(all(equal(one, two) for one, two in zip(*side, strict=True)) for side in sides)
