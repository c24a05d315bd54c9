"""Equations and inequalities: the value that "x = 5" states, and relations compared up to a factor.

Runs in the worker only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import sympy
from sympy.core.function import AppliedUndef

from entrobench.evaluation.grading.reading.exact_numbers import read_number, rounds_to
from entrobench.evaluation.grading.reading.scanning import parts, split_top
from entrobench.evaluation.grading.reading.units import split_unit

from .expressions import parse_expression
from .guards import Undefined, Unparsable
from .identity import constant_ratio
from .symbolic import expressions_equal, scalars_equal
from .values import real_value

EQUAL = "="
SIGNS = ("=", "<", ">", "\\le", "\\ge", "\\ne", "\\in", "\\approx", "\\equiv", "\\sim")
_SUBSCRIPT = r"(?:_(?:\{[^{}]*\}|[a-zA-Z0-9]))?"
_LETTER = rf"(?:\\[a-zA-Z]+|[a-zA-Z]){_SUBSCRIPT}'*"
_PARAMETER = rf"(?![xyzt])[a-zA-Z]{_SUBSCRIPT}"  # x + y = 5 is an equation, m + n = 5 what a problem asks for
_SIDE = rf"(?:[A-Z]{{2,3}}'?|{_LETTER})"  # a side of a figure, AB, or a letter
_NAME = re.compile(
    rf"(?:\\(?:angle|triangle|overline|bar|overrightarrow|vec|widehat|hat)\s*)?\{{?[A-Za-z]{{1,4}}\}}?{_SUBSCRIPT}'*|{_LETTER}"
    rf"|{_LETTER}(?:\^\{{?-1\}}?)?\s*\((?:[^()]|\([^()]*\))*\)|\({_LETTER}\s*\\circ\s*{_LETTER}\)\s*\([^()]*\)|\|[^|=]*\||\\\|[^|=]*\\\|"
    r"|\\frac\{d[a-zA-Z]?\}\{d[a-zA-Z]\}\s*[a-zA-Z]?|d[a-zA-Z]\s*/\s*d[a-zA-Z]"
    rf"|\\text\s*\{{[^{{}}]*\}}{_SUBSCRIPT}\s*(?:\([^()]*\)|(?:\\(?:triangle|angle|overline|widehat)\s*)?\{{?[A-Z]{{1,4}}\}}?)?"
    r"|[a-zA-Z]{2,}(?: [a-zA-Z]+){0,3}"
    rf"|\((?:\s*{_LETTER}\s*,?)+\)|{_LETTER}\s*:\s*{_LETTER}|(?:{_LETTER}\s*){{2,3}}"
    # Quantities that problems ask for: m+n, a/b, [ABC], E[X], P(A \mid B), \max f.
    rf"|{_PARAMETER}(?:\s*[+-]\s*{_PARAMETER}){{1,4}}|\\frac\s*\{{{_SIDE}\}}\s*\{{{_SIDE}\}}|{_SIDE}\s*(?:/|:|\\cdot)\s*{_SIDE}"
    r"|\\(?:int|iint|oint|lim|sum|prod)(?![a-zA-Z]).*"
    r"|\[\s*[A-Z](?:\s*[A-Z]'?){2,5}\s*\]|(?:\\(?:mathbb|mathrm|text|operatorname)\s*\{\s*)?(?:E|P|Var|Cov|Pr|V|S|A)\s*\}?\s*(?:_\{?\w+\}?)?"
    r"\s*(?:\([^()=]*(?:\([^()=]*\)[^()=]*)?\)|\[[^\[\]=]*\])"
    rf"|\\(?:max|min|sup|inf)\s*(?:_\{{[^{{}}]*\}})?\s*(?:{_LETTER}(?:\([^()]*\))?|\\?\{{[^{{}}]*\}})"
)
_COMPUTABLE = re.compile(r"\\(?:lim|sum|prod)(?![a-zA-Z])")
_MATRIX_NAME = re.compile(rf"(?:[A-Z]{_SUBSCRIPT}(?:\s*\^\s*\{{?\s*(?:-?\d+|T|\\top|n|k)\s*\}}?)?\s*[+-]?\s*){{1,4}}")
_UNITS = re.compile(r"\\text\s*\{[a-zA-Z ]*\}|\\\$")  # 5 kg + 3 kg, \$5
_SEQUENCE = re.compile(r"\s*([a-zA-Z])_\{?([a-zA-Z])\}?\s*")
_FUNCTION = re.compile(r"\s*([a-zA-Z])\s*\(\s*([a-zA-Z])\s*\)\s*")


def read_relation(text: str) -> list[tuple[str, str]] | None:
    """Split at the top-level relation signs; None where there is none. Returns (piece, sign after it)."""
    chain = split_top(text, SIGNS)
    return chain if len(chain) > 1 else None


def is_name(text: str) -> bool:
    """Say whether a left side merely names a value: x, a_1, f(x), |AB|, (x, y), S:T."""
    return _NAME.fullmatch(text.strip()) is not None


def relation_value(text: str) -> str | None:
    """Return the value that "name = .. = value (about ..)" states, the set in "x in S", or None for a condition."""
    chain = read_relation(text)
    if chain is None:
        return None
    approximate = next((place for place, (_, sign) in enumerate(chain) if sign == "\\approx"), None)
    if approximate == 0:
        if is_name(chain[0][0]) and not _is_constant(chain[0][0]):
            return chain[1][0] if _is_constant(chain[1][0]) or not is_name(chain[1][0]) else None
        return chain[0][0]
    exact = chain if approximate is None else chain[: approximate + 1]
    left, right = exact[0][0], exact[-1][0]
    if _says_nothing([piece for piece, _ in exact]):
        return None
    signs = {sign for _, sign in exact[:-1]}
    if len(exact) == 2 and signs <= {"\\in", "\\equiv"}:
        return right if is_name(left) else None
    return _equal_value(left, right) if signs == {EQUAL} else None


def _says_nothing(pieces: list[str]) -> bool:
    """x = x, 2 + 2 = 5 and x = 3 = 4; the last number may be the one before it, rounded, or in another unit."""
    if len({_compact(piece) for piece in pieces}) == 1:
        return True
    constants = [piece for piece in pieces if _is_constant(piece)]
    if len(constants) < len(pieces):
        constants = [piece for piece in constants if not _UNITS.search(piece)]
    return any(not (_same_number(one, two) or _rounded(one, two)) for one, two in pairwise(constants))


def _same_number(first: str, second: str) -> bool:
    """Whether two constants agree; what is no scalar (a matrix) or cannot be told is not held against a chain."""
    try:
        return scalars_equal(first, second) or "\\begin" in first + second
    except Unparsable:
        return True


def _rounded(exact: str, decimal: str) -> bool:
    number = read_number(decimal)
    if number is None or number.places is None:
        return False
    value = real_value(parse_expression(split_unit(exact)[0]))
    return value is not None and rounds_to(value, number, least_digits=1)


def _equal_value(left: str, right: str) -> str | None:
    for one, two in ((left, right), (right, left)):
        if _COMPUTABLE.match(one) and not is_name(two) and not _may_be_equal(one, two):
            return None
    if _is_constant(left):
        return right if _is_constant(right) else left if is_name(right) else None
    if right.startswith("\\begin") and _MATRIX_NAME.fullmatch(left):
        return right
    named = is_name(left) or all(is_name(side) for side in parts(left, ":"))
    return right if right and named else None


def _may_be_equal(left: str, right: str) -> bool:
    """Whether a sum or limit has the value that is stated for it, as far as we can compute it."""
    try:
        value = parse_expression(left)
    except Undefined:
        return False
    except Unparsable:
        return True
    unknown = value.atoms(AppliedUndef) or any(re.search(r"[_(]", str(symbol)) for symbol in value.free_symbols)
    return bool(unknown) or _same_number(left, right)


def asked_value(text: str) -> str | None:
    """The number that "expression = number" gives, where a problem may ask for the expression; None for others."""
    sides = parts(text, EQUAL)
    if len(sides) != 2 or not _is_constant(sides[1]) or _is_constant(sides[0]) or sides[1] == "0":
        return None
    return sides[1] if _is_asked_for(sides[0]) else None


def _is_asked_for(text: str) -> bool:
    """An expression in parameters that a problem may ask for: ab + bc + ca, a^2 + b^2, AB \\cdot AC; not x^2 + y^2."""
    try:
        value = parse_expression(text)
    except Unparsable:
        return False
    symbols = value.free_symbols
    if len(symbols) < 2 or any(str(symbol) in "xyzt" for symbol in symbols) or not value.is_rational_function():
        return False
    return bool(value.as_independent(*symbols, as_Add=True)[0] == 0)


def _is_constant(text: str) -> bool:
    try:
        return not parse_expression(split_unit(_UNITS.sub(" ", text))[0]).free_symbols
    except Unparsable:
        return "\\begin" in text


def equations_equal(prediction: str, gold: str, equal: Callable[[str, str], bool]) -> bool:
    """Compare two relations: the same stated value of the same name, else the same relation up to a factor."""
    values = relation_value(prediction), relation_value(gold)
    if values[0] is not None and values[1] is not None:
        left = [parts(text, *SIGNS)[0] for text in (prediction, gold)]
        if _compact(left[0]) == _compact(left[1]) or not is_name(left[0]) or not is_name(left[1]):
            return equal(values[0], values[1])
        if any(_is_graph(*names) for names in (left, left[::-1])):
            return equal(values[0], values[1])
        renamed = _rename_bound_variable(left[0], left[1], values[0])
        if renamed is not None:
            return equal(renamed, values[1])
    return _same_relation(prediction, gold)


def _is_graph(left: str, other: str) -> bool:
    """y = .. is the graph of f(x) = .."""
    function = _FUNCTION.fullmatch(left)
    return function is not None and function[2] == "x" and other.strip() == "y"


def _compact(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)


def _rename_bound_variable(left: str, gold_left: str, value: str) -> str | None:
    """f(m) = 2m for f(n) = 2n: write the value in the gold's variable."""
    mine, other = _FUNCTION.fullmatch(left), _FUNCTION.fullmatch(gold_left)
    if mine is None or other is None:
        mine, other = _SEQUENCE.fullmatch(left), _SEQUENCE.fullmatch(gold_left)
    if mine is None or other is None or (mine[1] != other[1] and mine.re is not _FUNCTION):
        return None
    if mine[2] != other[2] and re.search(rf"(?<![a-zA-Z\\]){other[2]}(?![a-zA-Z])", value):
        return None  # the other name has a meaning of its own here
    return re.sub(rf"(?<![a-zA-Z\\]){mine[2]}(?![a-zA-Z])|(?<=\d){mine[2]}(?![a-zA-Z])", other[2], value)


def _same_relation(prediction: str, gold: str) -> bool:
    first, second = split_top(prediction, SIGNS), split_top(gold, SIGNS)
    if len(first) != len(second):
        return False
    if len(first) > 2:
        return _same_chain(first, second) or _same_chain(_reversed(first), second)
    mine, sign = _difference(first)
    other, other_sign = _difference(second)
    if mine == 0 or other == 0 or mine.free_symbols != other.free_symbols:
        return sign == other_sign and expressions_equal(mine, other)
    ratio_sign = constant_ratio(mine, other)
    if ratio_sign is None:
        return False
    if sign in (EQUAL, "\\ne"):
        return sign == other_sign
    return other_sign == (sign if ratio_sign > 0 else _MIRRORED.get(sign, ""))


_MIRRORED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}


def _difference(relation: list[tuple[str, str]]) -> tuple[sympy.Expr, str]:
    """What an equation sets to zero, without its denominators; both sides' difference for other relations."""
    (left, sign), (right, _) = relation
    difference = parse_expression(left) - parse_expression(right)
    return (sympy.fraction(sympy.together(difference))[0] if sign == EQUAL else difference), sign


def _same_chain(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> bool:
    return all(
        sign == other_sign and expressions_equal(parse_expression(piece), parse_expression(other))
        for (piece, sign), (other, other_sign) in zip(first, second, strict=True)
    )


def _reversed(chain: list[tuple[str, str]]) -> list[tuple[str, str]]:
    signs = [_MIRRORED.get(sign, sign) for _, sign in chain[:-1]][::-1]
    return list(zip([piece for piece, _ in chain[::-1]], [*signs, ""], strict=True))
