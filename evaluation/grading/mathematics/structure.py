"""Answers compared by their shapes: lists, tuples, sets, matrices, equations, ratios, words; scalars are handed on.

Runs in the worker only. Policy (order, open and closed ends, named values): see `compare`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from entrobench.evaluation.grading.reading.conditions import conditions_agree, split_condition
from entrobench.evaluation.grading.reading.exact_numbers import read_number
from entrobench.evaluation.grading.reading.notations import (
    BASE,
    arrangements_equal,
    bases_equal,
    choices_equal,
    clocks_equal,
    dates_equal,
    measures_equal,
    moduli_differ,
)
from entrobench.evaluation.grading.reading.scanning import is_balanced, parts
from entrobench.evaluation.grading.reading.units import split_unit
from entrobench.evaluation.grading.reading.words import is_text, texts_equal

from .equations import asked_value, equations_equal, relation_value
from .expressions import parse_expression
from .guards import Unparsable
from .named_values import named_values_equal
from .piecewise import piecewise_equal
from .real_sets import ORDER, NoSet, read_set, sets_equal
from .shapes import (
    CONNECTIVE,
    SET_ALGEBRA,
    SET_SIGNS,
    Shape,
    clean,
    described,
    read_shape,
    right_sides,
    with_same_letter,
)
from .symbolic import expressions_equal, is_scalar, scalars_equal
from .through_latex2sympy import parse_matrix

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_CROSS = re.compile(r"\\vec\s*(?:\{[^{}]*\}|\w)\s*\\times(?![a-zA-Z])")  # no product of numbers
_SHORT_LIST = re.compile(r"-?\d+,\d|\d{1,2}(?:,\d{2})+,\d{3}")  # 1,2 as a gold is a list
_EVERY = re.compile(r"^(?:the set of )?(?:all|every|any) (?=[a-z]{4})")  # "all multiples of 3" and "multiples of 3"


def compare(prediction: str, gold: str) -> bool:
    """Say whether two normalised answers are equal; raises Unparsable when the prediction is nothing that we read."""
    return decide(prediction, gold)[0]


def decide(prediction: str, gold: str) -> tuple[bool, str]:
    """Say whether two normalised answers are equal, and as what; raises Unparsable.

    Order matters in (..) and [..], not in {..} nor in bare lists; an interval equals its inequality; x = 5 equals 5;
    equations are equal up to a factor; a base may be missing in the prediction.
    """
    if _compact(prediction) == _compact(gold):
        return True, "the same spelling"
    prediction, gold = described(prediction), described(gold)
    prediction = with_same_letter(prediction, gold)
    (prediction, condition), (gold, other) = split_condition(prediction), split_condition(gold)
    if not conditions_agree(condition, other, _quietly_equal):
        return False, f"conditions ({printable_condition(condition)}; {printable_condition(other)})"
    if _is_interval(prediction) != _is_interval(gold) and any(map(_is_of_whole_numbers, (condition, other))):
        return False, "whole numbers and an interval"
    if _other_connective(prediction, gold):
        return False, "and against or"
    if _CROSS.search(prediction) or _CROSS.search(gold):
        return False, "cannot tell: a product of vectors"
    arrangements = arrangements_equal(prediction, gold)
    if arrangements is not None:
        return arrangements, "ordered choices"
    prediction, gold = clean(prediction), clean(gold)
    if _compact(prediction) == _compact(gold):
        return True, "the same spelling"
    for name, rule in _RULES.items():
        verdict = rule(prediction, gold)
        if verdict is not None:
            return verdict, name
    return _compare_shapes(prediction, gold)


def _other_connective(first: str, second: str) -> bool:
    """p \\lor q is not p \\land q; in words, a list of solutions may be joined by either."""
    if any("\\lor" in one and "\\land" in other for one, other in ((first, second), (second, first))):
        return True
    joined = [{word["text"] or word["plain"] for word in CONNECTIVE.finditer(text)} for text in (first, second)]
    bounded = all(any(sign in text for sign in ORDER) for text in (first, second))
    return bounded and len(joined[0]) == len(joined[1]) == 1 and joined[0] != joined[1]


def _is_interval(text: str) -> bool:
    return text[:1] in ("(", "[") and text[-1:] in (")", "]") and ("," in text or "\\cup" in text)


def _is_of_whole_numbers(condition: str) -> bool:
    return re.search(r"\\in\s*\\mathbb\{[ZN]\}", condition) is not None


def printable_condition(condition: str) -> str:
    """A condition for a reason, or "none"."""
    return condition[:60] or "none"


def _compact(text: str) -> str:
    """A text without the spaces that part nothing; the one after a comma tells "32, 349" from "32,349"."""
    opened = _EVERY.sub("", re.sub(r"\s+", " ", _TEXT.sub(r" \1 ", text)).strip())
    return re.sub(r"(?<![\w,]) | (?!\w)", "", opened)


def is_readable(text: str) -> bool:
    """Say whether a normalised text alone is an answer that we read, whatever it is compared with."""
    text = clean(split_condition(described(text))[0])
    if not is_balanced(text):
        return False
    try:
        kind = read_shape(text).kind
    except Unparsable:
        return False
    return kind != "scalar" or is_text(text) or bool(BASE.fullmatch(text)) or is_scalar(text)


def _numbers(prediction: str, gold: str) -> bool | None:
    first, second = read_number(prediction), read_number(gold)
    if first is None or second is None or _SHORT_LIST.fullmatch(gold):
        return None
    return scalars_equal(prediction, gold) or None if "," in prediction + gold else scalars_equal(prediction, gold)


def _texts(prediction: str, gold: str) -> bool | None:
    if not is_text(gold) and not is_text(prediction):
        return None
    if texts_equal(prediction, gold):
        return True
    return None if CONNECTIVE.search(prediction) or CONNECTIVE.search(gold) or "," in prediction + gold else False


_RULES: dict[str, Callable[[str, str], bool | None]] = {
    "numbers": _numbers,
    "choice letters": choices_equal,
    "words": _texts,
    "digits in a base": bases_equal,
    "times of day": clocks_equal,
    "dates": dates_equal,
    "durations and measures": measures_equal,
    "functions by cases": lambda prediction, gold: piecewise_equal(prediction, gold, _quietly_equal),
    "values by name": lambda prediction, gold: named_values_equal(prediction, gold, _quietly_equal),
    "residues": moduli_differ,
}


def describe(text: str) -> str:
    """How a normalised answer is read, in words: its kind and its parts, scalars as sympy has them."""
    text, condition = split_condition(described(text))
    reading = _read_as(clean(text))
    return f"{reading}, under the condition {condition}" if condition else reading


def _read_as(text: str) -> str:
    if is_text(text):
        return f"words {text}"
    shape = read_shape(text)
    if shape.kind != "scalar":
        items = ["  ".join(row) for row in shape.rows] or shape.items
        return f"{shape.kind}: {'; '.join(items)}"
    try:
        return f"expression {parse_expression(split_unit(text)[0])}"
    except Unparsable as reason:
        return f"no expression: {reason}"


def _compare_shapes(prediction: str, gold: str) -> tuple[bool, str]:
    if not is_balanced(prediction):
        raise Unparsable("brackets do not match")
    as_sets = _compare_as_sets(prediction, gold)
    if as_sets is not None:
        return as_sets, "sets of reals"
    first, second = read_shape(prediction), read_shape(gold)
    name = first.kind if first.kind == second.kind else f"{first.kind} and {second.kind}"
    return _compare_kinds(prediction, gold, first, second), name


def _compare_kinds(prediction: str, gold: str, first: Shape, second: Shape) -> bool:
    kinds = (first.kind, second.kind)
    if kinds.count("relation") == 1 and "matrix" in kinds:
        return _compare_value_of_relation(prediction, gold, first)
    if "matrix" in kinds:
        return _compare_matrices(first, second)
    if kinds == ("relation", "relation"):
        return equations_equal(prediction, gold, compare)
    if "relation" in kinds:
        return _compare_value_of_relation(prediction, gold, first)
    if first.is_ordered and second.is_ordered:
        same_ends = kinds[0] == kinds[1] and first.closing == second.closing
        vectors = len(first.items) > 2 and "half-open" not in kinds  # [1,2,3] is no interval
        return (same_ends or vectors) and _same_order(first.items, second.items)
    if first.is_ordered or second.is_ordered:
        return _list_and_tuple(first, second)
    if "scalar" in kinds and kinds != ("scalar", "scalar"):
        return _single_element(first, second)
    if kinds == ("scalar", "scalar"):
        return _compare_scalars(prediction, gold)
    return same_elements(first.items, second.items, as_set="set" in kinds)


def _compare_as_sets(prediction: str, gold: str) -> bool | None:
    """Set algebra, intervals against inequalities; None where that does not decide."""
    prediction, gold = _without_event(prediction), _without_event(gold)
    if not any(sign in prediction + gold for sign in SET_SIGNS):
        return None
    unknowns = [_unknowns(text) for text in (prediction, gold)]
    if (all(unknowns) and unknowns[0] != unknowns[1]) or max(map(len, unknowns)) > 1:
        return None  # a > 0, b < 0 says which letter is which
    algebra = [any(sign in text for sign in SET_ALGEBRA) for text in (prediction, gold)]
    both = [CONNECTIVE.sub(lambda word: f" \\l{word['text'] or word['plain']} ", text) for text in (prediction, gold)]
    try:
        sets = [read_set(text) for text in both]
    except NoSet:
        return False if algebra[0] != algebra[1] else None
    return sets_equal(sets[0], sets[1], expressions_equal)


def _without_event(text: str) -> str:
    """P(A \\cap B) = 1/6 states a number, not a set."""
    event = re.match(r"[A-Z]\s*\([^()]*\)\s*=", text)
    return text[event.end() :] if event else text


def _unknowns(condition: str) -> set[str]:
    """The letters of a condition in the open, none for a set-builder, whose letter is bound."""
    bare = re.sub(r"\\(?:text|mathbb)\s*\{[^{}]*\}", "", condition)
    return (
        set()
        if "\\{" in bare
        else set(re.findall(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])|\\(?:alpha|lambda|mu|theta)", bare))
    )


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
    value = relation_value(relation) or (asked_value(prediction) if first.kind == "relation" else None)
    if value is None:
        return False
    return compare(value, other) if first.kind == "relation" else compare(other, value)


def _same_order(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return len(first) == len(second) and all(compare(one, other) for one, other in zip(first, second, strict=True))


def _list_and_tuple(first: Shape, second: Shape) -> bool:
    """A bare list against one tuple: the same values in the same order, brackets forgotten."""
    other = second if first.is_ordered else first
    ordered = first if first.is_ordered else second
    if other.kind != "list" or ordered.kind != "tuple":
        return False
    return _same_order(*(tuple(right_sides(list(shape.items))) for shape in (first, second)))


def _single_element(first: Shape, second: Shape) -> bool:
    """One value against a list: equal only when that holds this one value, maybe written twice."""
    many, one = (first, second) if first.kind != "scalar" else (second, first)
    if one.items[0] == "\\emptyset" or "\\emptyset" in many.items:
        return False  # the set that holds the empty set is not empty
    if many.kind == "set" and re.fullmatch(r"[a-zA-Z]", one.items[0]):
        return False  # {x} is what x leaves above its floor, or a set
    return bool(many.items) and all(_quietly_equal(item, one.items[0]) for item in many.items)


_SUBSCRIPT = re.compile(r"_(?:\{[^{}]*\}|\w)$")


def same_elements(first: tuple[str, ...], second: tuple[str, ...], as_set: bool) -> bool:
    """Match elements one to one, in any order; repetitions are forgotten; names go when one side has none."""
    if any(len(parts(item, "=")) > 1 for item in first) != any(len(parts(item, "=")) > 1 for item in second):
        first, second = tuple(right_sides(list(first))), tuple(right_sides(list(second)))
    names = {_SUBSCRIPT.sub("", parts(item, "=")[0]) for item in (*first, *second) if len(parts(item, "=")) == 2}
    if len(names) == 1 and first and second:  # x_1 = 2, x_2 = 3 and x = 2, x = 3
        first, second = tuple(right_sides(list(first))), tuple(right_sides(list(second)))
    if as_set or len(first) != len(second):  # a list of another length may only repeat itself
        first, second = _distinct(first), _distinct(second)
    if len(first) != len(second):
        return False
    remaining = list(second)
    for item in first:
        match = next((other for other in remaining if _same_depth(item, other) and _quietly_equal(item, other)), None)
        if match is None:
            return False
        remaining.remove(match)
    return True


def _same_depth(first: str, second: str) -> bool:
    """A set is no element of itself: {1} is not 1 inside of a set."""
    return first.startswith("\\{") == second.startswith("\\{") or "\\emptyset" in (first, second)


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
