"""The shape of an answer: lists, tuples, sets, matrices, equations, ratios, words; shapes compared, scalars handed on.

Runs in the worker only. Policy (order, open and closed ends, named values): see `compare`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from .equations import SIGNS, equations_equal, is_name, read_relation, relation_value
from .exact_numbers import has_decimal_comma, read_number
from .expressions import parse_expression, parse_matrix
from .guards import Unparsable
from .real_sets import ORDER, NoSet, read_set, sets_equal
from .scanning import enclosed, is_balanced, parts, split_top
from .symbolic import expressions_equal, is_scalar, scalars_equal
from .words import is_text, plain_words, texts_equal

_CONNECTIVE = re.compile(
    r"\s*,?\s*(?:\\text\s*\{\s*,?\s*(?P<text>and|or)\s*,?\s*\}|(?<![a-zA-Z\\])(?P<plain>and|or)(?![a-z]))\s*"
)
_QUALIFIER = re.compile(
    r"[,;]?\s*(?:\\text\s*\{\s*)?(?:where|for (?:all|any|every|some)|with|such that|\\forall)\b.*$"
    r"|(?<=\S)\s*[,;]\s*\(?[a-z]\s*\\in\s*\\mathbb.*$",
    re.DOTALL,
)
_BASE = re.compile(
    r"\(?([0-9A-Fa-f.]+)\)?\s*_\s*\{?\s*(?:\\text\s*\{)?\s*(\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|sixteen)\s*\}*"
)
_MATRIX = re.compile(
    r"\\begin\s*\{([pbvBV]?matrix|array|cases|smallmatrix)\}\s*(?:\{[clr|]*\})?((?:(?!\\end|\\begin).)*)\\end\s*\{\1\}",
    re.DOTALL,
)
_SET_ALGEBRA = ("\\cup", "\\cap", "\\setminus")
_SET_SIGNS = (*_SET_ALGEBRA, "\\in", "\\ne", "\\emptyset", "\\mathbb", *ORDER)
_ONLY_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_NAMED_POINT = re.compile(r"[A-Z]'?\s*\((?=[^()]*,)")  # P(1,2)
_LETTERS = re.compile(r"[A-H](?:\s*(?:,|\band\b)?\s*[A-H])+")
_NO_SOLUTION = ("no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set")
_ENUMERATED = re.compile(r"\((?:\d|i{1,3}|[a-d])\)\s*(?=[^\s,;])")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:\\text\s*\{)?\s*([ap]\s*\.?\s*m\.?)?\s*\}?", re.IGNORECASE)


@dataclass(frozen=True)
class Shape:
    """An answer taken apart: its kind and its items (texts, or rows of texts for a matrix)."""

    kind: str  # scalar, list, tuple, brackets, half-open, set, matrix, relation
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    closing: str = ""


def compare(prediction: str, gold: str) -> bool:
    """Say whether two normalised answers are equal; raises Unparsable when the prediction is nothing that we read.

    Order matters in (..) and [..], not in {..} nor in bare lists; an interval equals its inequality; x = 5 equals 5;
    equations are equal up to a factor; a base may be missing in the prediction.
    """
    prediction, gold = _clean(prediction), _clean(gold)
    if prediction == gold:
        return True
    for rule in (_numbers, _choices, _texts, _bases, _clocks):
        verdict = rule(prediction, gold)
        if verdict is not None:
            return verdict
    return _compare_shapes(prediction, gold)


def is_readable(text: str) -> bool:
    """Say whether a normalised text alone is an answer that we read, whatever it is compared with."""
    text = _clean(text)
    if not is_balanced(text):
        return False
    return read_shape(text).kind != "scalar" or is_text(text) or bool(_BASE.fullmatch(text)) or is_scalar(text)


def _clean(text: str) -> str:
    unqualified = _QUALIFIER.sub("", text).strip()
    text = unqualified if unqualified and is_balanced(unqualified) else text
    words = _ONLY_TEXT.fullmatch(text)
    text = words[1].strip() if words else text
    if plain_words(text) in _NO_SOLUTION:
        return "\\emptyset"
    text = _described_element(text) or text
    point = _NAMED_POINT.match(text)
    text = text[point.end() - 1 :] if point and enclosed(text[point.end() - 1 :]) else text
    pair = enclosed(text)
    while (
        pair is not None and pair[0] in ("(", "{") and pair[2] in (")", "}") and len(parts(pair[1], ",", ";", "|")) == 1
    ):
        if pair[0] == "(" and split_top(pair[1], ("=", *ORDER))[0][1]:
            break
        text = pair[1]
        pair = enclosed(text)
    return text


def _described_element(text: str) -> str | None:
    """ "{x | x = 2k pi, k in Z}": the element that the set-builder spells out."""
    pair = enclosed(text)
    sides = parts(pair[1], "|", ":") if pair is not None and pair[0] in ("{", "\\{") else []
    if len(sides) != 2:
        return None
    condition = _QUALIFIER.sub("", sides[1])
    name, *value = parts(condition, "=")
    return value[0] if len(value) == 1 and name == sides[0] and len(parts(condition, *SIGNS)) == 2 else None


def _numbers(prediction: str, gold: str) -> bool | None:
    first, second = read_number(prediction), read_number(gold)
    if first is None or second is None:
        return None
    return scalars_equal(prediction, gold) or None if "," in prediction + gold else scalars_equal(prediction, gold)


def _texts(prediction: str, gold: str) -> bool | None:
    if not is_text(gold) and not is_text(prediction):
        return None
    if texts_equal(prediction, gold):
        return True
    return None if _CONNECTIVE.search(prediction) or _CONNECTIVE.search(gold) or "," in prediction + gold else False


def _choices(prediction: str, gold: str) -> bool | None:
    """Several choice letters: AC, "A, C" and "A and C" are the same."""
    if not (_LETTERS.fullmatch(prediction) and _LETTERS.fullmatch(gold)) or "," not in prediction + gold:
        return None
    return sorted(re.findall("[A-H]", prediction)) == sorted(re.findall("[A-H]", gold))


def _bases(prediction: str, gold: str) -> bool | None:
    first, second = _BASE.fullmatch(prediction), _BASE.fullmatch(gold)
    if second is None:
        return _numbers(first[1], gold) if first is not None and first[2] == "10" else None
    if first is not None:
        return (first[1].lower().lstrip("0"), first[2]) == (second[1].lower().lstrip("0"), second[2])
    return prediction.strip("()").lower().lstrip("0") == second[1].lower().lstrip("0")


def _clocks(prediction: str, gold: str) -> bool | None:
    first, second = _CLOCK.fullmatch(prediction), _CLOCK.fullmatch(gold)
    if first is None or second is None or not any(match[group] for match in (first, second) for group in (3, 4)):
        return None
    return _seconds(first) == _seconds(second)


def _seconds(clock: re.Match[str]) -> int:
    hours = int(clock[1])
    if clock[4]:
        hours = hours % 12 + (12 if clock[4].lower().startswith("p") else 0)
    return hours * 3600 + int(clock[2]) * 60 + int(clock[3] or 0)


@lru_cache(maxsize=8_192)
def read_shape(text: str) -> Shape:
    """Take one cleaned answer apart at its top level."""
    if read_number(text) is not None and not has_decimal_comma(text):
        return Shape("scalar", (text,))
    matrix = _MATRIX.fullmatch(text.strip("() ") if text.startswith("(\\begin") else text)
    if matrix is not None:
        return _read_rows(matrix[1], matrix[2])
    items = _list_items(text)
    if len(items) > 1:
        return Shape("list", tuple(items))
    pair = enclosed(text)
    if pair is not None and pair[0] in ("(", "[", "{", "\\{"):
        return _read_enclosed(*pair, text)
    if read_relation(text) is not None:
        return Shape("relation", (text,))
    plus_minus = _expand_plus_minus(text)
    return Shape("list", tuple(plus_minus)) if len(plus_minus) > 1 else Shape("scalar", (text,))


def _read_rows(name: str, body: str) -> Shape:
    rows = [row.strip() for row in re.split(r"\\\\|\\cr", body)]
    if len(rows) == 1 and "&" in body:
        rows = re.split(r"\\(?=\s|-?\d)", body)  # a line break that lost one backslash
    table = tuple(tuple(cell.strip() for cell in row.split("&")) for row in rows if row.strip())
    if name == "cases" or (name == "array" and all(len(row) == 1 and read_relation(row[0]) for row in table)):
        return Shape("list", tuple(" ".join(row) for row in table))
    if name in ("vmatrix", "Vmatrix"):
        return Shape("scalar", (f"\\begin{{{name}}}{body}\\end{{{name}}}",))
    return Shape("matrix", rows=table)


def _list_items(text: str) -> list[str]:
    """Split a bare list: semicolons first, then and/or, then commas; groups of equal length become tuples."""
    text = _CONNECTIVE.sub(" \\\\andor ", text) if _CONNECTIVE.search(text) else text
    groups = [parts(group, ",") for group in parts(text, ";", "\\andor", "\\lor", "\\land")]
    groups = [[item for item in group if item] for group in groups]
    groups = [group for group in groups if group]
    if len(groups) > 1 and all(_ENUMERATED.match(group[0]) for group in groups):  # (1) 3; (2) 5
        groups = [[_ENUMERATED.sub("", group[0], count=1), *group[1:]] for group in groups]
    if len(groups) > 1 and all(len(group) == len(groups[0]) > 1 for group in groups):
        return [f"({','.join(_right_sides(group))})" for group in groups]
    items = [item for group in groups for item in group]
    if len(items) < 2:
        return items
    return [element for item in _without_repeated_name(items) for element in _expand_plus_minus(item)]


def _right_sides(group: list[str]) -> list[str]:
    return [relation_value(item) or item for item in group]


def _without_repeated_name(items: list[str]) -> list[str]:
    """ "n = 1, 2, 3" names only its first element: take the name off."""
    chain = split_top(items[0], ("=",))
    rest_named = any(len(parts(item, "=")) > 1 for item in items[1:])
    if len(chain) == 2 and is_name(chain[0][0]) and not rest_named:
        return [chain[1][0], *items[1:]]
    return items


def _expand_plus_minus(text: str) -> list[str]:
    if "\\pm" not in text and "\\mp" not in text:
        return [text]
    upper = text.replace("\\pm", "+").replace("\\mp", "-")
    lower = text.replace("\\pm", "-").replace("\\mp", "+")
    return [upper, lower]


def _read_enclosed(opening: str, inside: str, closing: str, text: str) -> Shape:
    if opening in ("{", "\\{"):
        if len(parts(inside, "|", ":")) == 2 and any(sign in inside for sign in _SET_SIGNS):
            return Shape("relation", (text,))
        elements = _list_items(inside) if inside else []
        return Shape("set", tuple(element for item in elements for element in _expand_plus_minus(item)))
    separator = "," if len(parts(inside, ",")) > 1 else ";"
    items = tuple(parts(inside, separator))
    if opening == "[" and all(item.startswith("[") for item in items):
        return Shape("matrix", rows=tuple(tuple(parts(item[1:-1], ",")) for item in items))
    kind = {"()": "tuple", "[]": "brackets"}.get(opening + closing, "half-open")
    return Shape(kind, items, closing=closing) if len(items) > 1 else Shape("scalar", (text,))


def _compare_shapes(prediction: str, gold: str) -> bool:
    if not is_balanced(prediction):
        raise Unparsable("brackets do not match")
    as_sets = _compare_as_sets(prediction, gold)
    if as_sets is not None:
        return as_sets
    first, second = read_shape(prediction), read_shape(gold)
    kinds = (first.kind, second.kind)
    if "matrix" in kinds:
        return _compare_matrices(first, second)
    if kinds == ("relation", "relation"):
        return equations_equal(prediction, gold, compare)
    if "relation" in kinds:
        return _compare_value_of_relation(prediction, gold, first)
    if _is_ordered(first) and _is_ordered(second):
        same_ends = (kinds[0] == kinds[1] and first.closing == second.closing) or len(first.items) > 2
        return same_ends and _same_order(first.items, second.items)
    if _is_ordered(first) or _is_ordered(second):
        return _list_and_tuple(first, second)
    if "scalar" in kinds and kinds != ("scalar", "scalar"):
        return _single_element(first, second)
    if kinds == ("scalar", "scalar"):
        return _compare_scalars(prediction, gold)
    return same_elements(first.items, second.items, as_set="set" in kinds)


def _compare_as_sets(prediction: str, gold: str) -> bool | None:
    """Set algebra, intervals against inequalities; None where that does not decide."""
    if not any(sign in prediction + gold for sign in _SET_SIGNS):
        return None
    algebra = [any(sign in text for sign in _SET_ALGEBRA) for text in (prediction, gold)]
    both = [_CONNECTIVE.sub(lambda word: f" \\l{word['text'] or word['plain']} ", text) for text in (prediction, gold)]
    try:
        sets = [read_set(text) for text in both]
    except NoSet:
        return False if algebra[0] != algebra[1] else None
    return sets_equal(sets[0], sets[1], expressions_equal)


def _compare_matrices(first: Shape, second: Shape) -> bool:
    if "scalar" in (first.kind, second.kind):
        return _compare_computed_matrices(first, second)
    rows = [shape.rows or tuple((item,) for item in shape.items) for shape in (first, second)]
    if "list" in (first.kind, second.kind):
        return False
    if [len(row) for row in rows[0]] != [len(row) for row in rows[1]]:
        return False
    return all(
        compare(one, other) for row, row2 in zip(*rows, strict=True) for one, other in zip(row, row2, strict=True)
    )


def _compare_computed_matrices(first: Shape, second: Shape) -> bool:
    """One side is a sum or product of matrices: compute it."""
    values = [
        parse_matrix(shape.items[0])
        if shape.kind == "scalar"
        else [[parse_expression(cell) for cell in row] for row in shape.rows]
        for shape in (first, second)
    ]
    if [len(row) for row in values[0]] != [len(row) for row in values[1]]:
        return False
    return all(expressions_equal(*cells) for rows in zip(*values, strict=True) for cells in zip(*rows, strict=True))


def _compare_value_of_relation(prediction: str, gold: str, first: Shape) -> bool:
    relation, other = (prediction, gold) if first.kind == "relation" else (gold, prediction)
    value = relation_value(relation)
    if value is None:
        return False
    return compare(value, other) if first.kind == "relation" else compare(other, value)


def _is_ordered(shape: Shape) -> bool:
    return shape.kind in ("tuple", "brackets", "half-open")


def _same_order(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return len(first) == len(second) and all(compare(one, other) for one, other in zip(first, second, strict=True))


def _list_and_tuple(first: Shape, second: Shape) -> bool:
    """A bare list against one tuple: the same values in the same order, brackets forgotten."""
    other = second if _is_ordered(first) else first
    ordered = first if _is_ordered(first) else second
    if other.kind != "list" or ordered.kind != "tuple":
        return False
    return _same_order(*(tuple(_right_sides(list(shape.items))) for shape in (first, second)))


def _single_element(first: Shape, second: Shape) -> bool:
    """One value against a list or set: equal only when that holds this one value, maybe written twice."""
    many = first if first.kind != "scalar" else second
    return len(_distinct(many.items)) == 1 and compare(first.items[0], second.items[0])


def same_elements(first: tuple[str, ...], second: tuple[str, ...], as_set: bool) -> bool:
    """Match elements one to one, in any order; repetitions are forgotten; names go when one side has none."""
    if any(len(parts(item, "=")) > 1 for item in first) != any(len(parts(item, "=")) > 1 for item in second):
        first, second = tuple(_right_sides(list(first))), tuple(_right_sides(list(second)))
    if as_set or len(first) != len(second):  # a list of another length may only repeat itself
        first, second = _distinct(first), _distinct(second)
    if len(first) != len(second):
        return False
    remaining = list(second)
    for item in first:
        match = next((other for other in remaining if _quietly_equal(item, other)), None)
        if match is None:
            return False
        remaining.remove(match)
    return True


def _distinct(items: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    for item in items:
        if not any(_quietly_equal(item, other) for other in kept):
            kept.append(item)
    return tuple(kept)


def _quietly_equal(first: str, second: str) -> bool:
    try:
        return compare(first, second)
    except Unparsable:
        return False


def _compare_scalars(prediction: str, gold: str) -> bool:
    ratios = [parts(text, ":") for text in (prediction, gold)]
    if any(len(ratio) > 1 for ratio in ratios):
        return _compare_ratios(ratios[0], ratios[1])
    return scalars_equal(prediction, gold)


def _compare_ratios(first: list[str], second: list[str]) -> bool:
    """a:b is the quotient; longer ratios are proportional term by term."""
    if len(first) == len(second) > 2:
        return all(
            scalars_equal(f"({a})*({y})", f"({b})*({x})")
            for (a, b), (x, y) in zip(pairwise(first), pairwise(second), strict=True)
        )
    if len(first) > 2 or len(second) > 2:
        return False
    quotients = [f"\\frac{{{ratio[0]}}}{{{ratio[1]}}}" if len(ratio) == 2 else ratio[0] for ratio in (first, second)]
    return scalars_equal(quotients[0], quotients[1])
