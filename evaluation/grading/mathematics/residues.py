"""Rational expressions compared exactly: their values modulo a prime of 131 bits, at fixed points drawn once.

By Schwartz and Zippel a difference of degree d that is not zero vanishes at one such point with probability at most
d / 2^130, whatever the size of its coefficients, so POINTS agreements are an argument and no sample. The prime is 1
modulo 4: the imaginary unit is a root of -1 there. Runs in the worker only.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import sympy

PRIME = 2**130 + 169
IMAGINARY_UNIT = 209404533489808285211068488277043445786  # its square is -1 modulo PRIME
POINTS = 3
LARGEST_EXPONENT = 2**40  # of an unknown: keeps d / 2^130 below 2^-90


class NotRational(ValueError):
    """The expression is no rational function of its symbols with rational (or complex rational) coefficients."""


def residues(expression: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> list[int | None]:
    """Return the values modulo PRIME at the fixed points, None at a pole; raises NotRational."""
    return [_residue(expression, dict(zip(symbols, point, strict=True))) for point in _points(len(symbols))]


def _points(count: int) -> list[list[int]]:
    draw = random.Random("points modulo a prime")
    return [[draw.randrange(PRIME) for _ in range(count)] for _ in range(POINTS)]


def _residue(expression: sympy.Expr, point: dict[sympy.Symbol, int]) -> int | None:
    try:
        return _value(expression, point)
    except ZeroDivisionError:
        return None


def _value(node: sympy.Expr, point: dict[sympy.Symbol, int]) -> int:
    if isinstance(node, sympy.Rational):
        return int(node.p) % PRIME * _inverse(int(node.q)) % PRIME
    if isinstance(node, sympy.Symbol):
        return point[node]
    if node is sympy.I:
        return IMAGINARY_UNIT
    if isinstance(node, sympy.Add):
        return sum(_value(term, point) for term in node.args) % PRIME
    if isinstance(node, sympy.Mul):
        product = 1
        for factor in node.args:
            product = product * _value(factor, point) % PRIME
        return product
    if isinstance(node, sympy.Pow) and node.exp.is_Integer and abs(int(node.exp)) <= LARGEST_EXPONENT:
        base = _value(node.base, point)
        return pow(base if node.exp > 0 else _inverse(base), abs(int(node.exp)), PRIME)
    raise NotRational(type(node).__name__)


def _inverse(value: int) -> int:
    if value % PRIME == 0:
        raise ZeroDivisionError
    return pow(value, -1, PRIME)
