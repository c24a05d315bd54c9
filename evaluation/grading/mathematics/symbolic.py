"""Scalars compared: units, percent, decimals that round, and expressions that are the same. Runs in the worker only."""

from __future__ import annotations

import re
from functools import lru_cache

import sympy

from entrobench.evaluation.grading.reading.exact_numbers import (
    Number,
    is_float_of,
    numbers_equal,
    read_number,
    rounds_to,
)
from entrobench.evaluation.grading.reading.units import split_unit, units_differ

from .expressions import parse_expression
from .guards import Unparsable
from .identity import identical
from .values import real_value

_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)")
_INFINITE = (sympy.oo, -sympy.oo)


def scalars_equal(prediction: str, gold: str) -> bool:
    """Say whether two normalised scalar texts are the same answer; raises Unparsable where neither rule reads them."""
    numbers = read_number(prediction), read_number(gold)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers_equal(numbers[0], numbers[1])
    prediction, gold = _with_products(prediction, gold), _with_products(gold, prediction)
    prediction_value, prediction_unit = split_unit(prediction)
    gold_value, gold_unit = split_unit(gold)
    if units_differ(prediction_unit, gold_unit):
        return False
    first, second = _expression(prediction_value, numbers[0]), _expression(gold_value, numbers[1])
    if expressions_equal(first, second):
        return True
    if numbers[0] is not None or numbers[1] is not None:
        return _number_and_expression(numbers, (first, second))
    return _degrees_as_radians(prediction, gold, first, second)


def _with_products(text: str, other: str) -> str:
    """g(a + b) as a product where the other side has g alone, else it is a function of a + b."""
    for letter in "fgh":
        alone = rf"(?<![a-zA-Z\\_]){letter}(?![a-zA-Z(]| \()"
        applied = rf"(?<![a-zA-Z\\_]){letter} ?(?=\()"
        if re.search(applied, text) and re.search(alone, other) and not re.search(applied, other):
            text = re.sub(applied, f"{letter}\\\\cdot ", text)
    return text


def _expression(text: str, number: Number | None) -> sympy.Expr:
    return parse_expression(text) if number is None else sympy.Rational(number.value)


def _number_and_expression(numbers: tuple[Number | None, Number | None], both: tuple[sympy.Expr, sympy.Expr]) -> bool:
    """Decimals round to exact values; a percent is divided out; degrees are radians where the other side has pi."""
    number = numbers[0] or numbers[1]
    expression = both[1] if numbers[0] is not None else both[0]
    assert number is not None
    if expression.free_symbols or not expression.is_number:
        return False
    if number.degrees and expression.has(sympy.pi):
        return expressions_equal(sympy.Rational(number.value) * sympy.pi / 180, expression)
    readings = (number, number.fraction_of_one) if number.percent else (number,)
    least = 4 if numbers[0] is not None else 3
    return any(_rounds(expression, reading, least) for reading in readings)


def _rounds(expression: sympy.Expr, number: Number, least_digits: int) -> bool:
    exact = real_value(expression)
    return exact is not None and (rounds_to(exact, number, least_digits) or is_float_of(exact, 0, number))


def _degrees_as_radians(prediction: str, gold: str, first: sympy.Expr, second: sympy.Expr) -> bool:
    """Inside an expression, a degree sign on one side and pi on the other: compare as radians."""
    if ("\\circ" in prediction) == ("\\circ" in gold):
        return False
    in_degrees, other = (prediction, second) if "\\circ" in prediction else (gold, first)
    return bool(other.has(sympy.pi)) and expressions_equal(
        parse_expression(_DEGREES.sub(r"(\1\\pi/180)", in_degrees)), other
    )


def expressions_equal(first: sympy.Expr, second: sympy.Expr) -> bool:
    """Say whether two expressions agree: same structure, else the same by an exact argument or at points enough."""
    if first == second:
        return True
    if first in _INFINITE or second in _INFINITE:
        return False
    return identical(first, second)


@lru_cache(maxsize=8_192)
def is_scalar(text: str) -> bool:
    """Say whether a text reads as one scalar expression."""
    try:
        parse_expression(split_unit(text)[0])
    except Unparsable:
        return False
    return True
