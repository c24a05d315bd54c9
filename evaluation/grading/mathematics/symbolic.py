"""Scalars compared with sympy: by structure, then by value at fixed points, to 30 digits. Runs in the worker only."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

import sympy

from entrobench.evaluation.grading.reading.exact_numbers import Number, numbers_equal, read_number, rounds_to
from entrobench.evaluation.grading.reading.units import split_unit, units_differ

from .expressions import parse_expression
from .guards import Unparsable

DIGITS = 30  # of numerical evaluation, ours
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)")
TOLERANCE = sympy.Float("1e-20", DIGITS)  # relative, ours
MANY_DIGITS = 350  # for constants that agree so far, ours
FINE_TOLERANCE = sympy.Float("1e-320", MANY_DIGITS)
# Fixed, so that a verdict never depends on chance: no symmetric or whole numbers alone, both signs, whole numbers too.
POINTS = (
    ("1.3172", "0.7390", "2.2361", "0.4135", "1.8713", "0.9237"),
    ("0.3719", "1.6127", "0.5813", "2.7134", "1.1717", "0.6319"),
    ("-0.8134", "1.2719", "-1.4431", "0.6718", "-2.1397", "1.5238"),
    ("1.7351", "-0.5237", "0.8642", "-1.3853", "0.2791", "-0.7713"),
    ("3", "2", "5", "7", "4", "11"),
    ("2", "5", "3", "4", "9", "7"),
    ("6.1357", "3.2718", "4.8125", "7.1129", "5.3391", "8.2713"),
)


def scalars_equal(prediction: str, gold: str) -> bool:
    """Say whether two normalised scalar texts are the same answer; raises Unparsable where neither rule reads them."""
    numbers = read_number(prediction), read_number(gold)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers_equal(numbers[0], numbers[1])
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
        return _same_value(sympy.Rational(number.value) * sympy.pi / 180, expression)
    readings = (number, number.fraction_of_one) if number.percent else (number,)
    least = 4 if numbers[0] is not None else 3
    return any(_rounds(expression, reading, least) for reading in readings)


def _rounds(expression: sympy.Expr, number: Number, least_digits: int) -> bool:
    value = expression.evalf(DIGITS)
    if not value.is_Float:
        return False
    exact = sympy.Rational(value)
    return rounds_to(Fraction(int(exact.p), int(exact.q)), number, least_digits)


def _degrees_as_radians(prediction: str, gold: str, first: sympy.Expr, second: sympy.Expr) -> bool:
    """Inside an expression, a degree sign on one side and pi on the other: compare as radians."""
    if ("\\circ" in prediction) == ("\\circ" in gold):
        return False
    in_degrees, other = (prediction, second) if "\\circ" in prediction else (gold, first)
    return bool(other.has(sympy.pi)) and expressions_equal(
        parse_expression(_DEGREES.sub(r"(\1\\pi/180)", in_degrees)), other
    )


def expressions_equal(first: sympy.Expr, second: sympy.Expr) -> bool:
    """Say whether two expressions agree: same structure, else same value, at every point where both are real."""
    if first == second:
        return True
    if first in (sympy.oo, -sympy.oo) or second in (sympy.oo, -sympy.oo):
        return False
    symbols = sorted(first.free_symbols | second.free_symbols, key=str)
    if not symbols:
        return _same_value(first, second)
    if not first.free_symbols or not second.free_symbols:
        return _agrees_at_points(sympy.expand(first - second), sympy.Integer(0), symbols)
    return _agrees_at_points(first, second, symbols)


def _same_value(first: sympy.Expr, second: sympy.Expr) -> bool:
    if first.is_Rational and second.is_Rational:
        return bool(first == second)
    if not _close(first.evalf(DIGITS), second.evalf(DIGITS)):
        return False
    if first.has(sympy.Sum, sympy.Product, sympy.Limit) or second.has(sympy.Sum, sympy.Product, sympy.Limit):
        return True  # these take long to so many digits
    return _close(first.evalf(MANY_DIGITS), second.evalf(MANY_DIGITS), FINE_TOLERANCE)  # 2^(1/2^1000) is not 1


def _close(one: sympy.Expr, other: sympy.Expr, tolerance: sympy.Expr = TOLERANCE) -> bool:
    if not (is_value(one) and is_value(other)):
        return False
    size = max(abs(one), abs(other))
    return bool(abs(one - other) <= tolerance * size) or bool(size < tolerance)


def is_value(number: sympy.Expr) -> bool:
    """Say whether an evaluated number is finite, real or complex."""
    real, imaginary = number.as_real_imag()
    return bool(real.is_Number and imaginary.is_Number and real.is_finite and imaginary.is_finite)


def _agrees_at_points(first: sympy.Expr, second: sympy.Expr, symbols: list[sympy.Symbol]) -> bool:
    """Real points decide; only where no point is real on both sides do the complex ones."""
    real: list[bool] = []
    complex_: list[bool] = []
    for point in POINTS:
        values = dict(zip(symbols, _coordinates(point, len(symbols)), strict=True))
        one, other = (side.evalf(DIGITS, subs=values) for side in (first, second))
        if not (is_value(one) and is_value(other)):
            continue
        is_real = bool(one.is_real) and bool(other.is_real)
        (real if is_real else complex_).append(_close(one, other))
        if is_real and not real[-1]:
            return False
    decisive = real or complex_
    return bool(decisive) and all(decisive)


def _coordinates(point: tuple[str, ...], count: int) -> list[sympy.Rational]:
    base = [sympy.Rational(coordinate) for coordinate in point]
    return [base[place % len(base)] + sympy.Rational(place // len(base), 7) for place in range(count)]


@lru_cache(maxsize=8_192)
def is_scalar(text: str) -> bool:
    """Say whether a text reads as one scalar expression."""
    try:
        parse_expression(split_unit(text)[0])
    except Unparsable:
        return False
    return True
