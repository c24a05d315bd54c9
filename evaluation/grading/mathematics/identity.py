"""Are two expressions the same? Exactly where both are rational, else at points enough, of the right kind.

Real letters take real values of both signs and several sizes, letters that stand where only whole numbers may take
whole ones. What has too few values anywhere cannot be told, and that is no equality. Runs in the worker only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import mpmath
import sympy

from .letters import WHOLE_ARGUMENTS, complex_symbols, whole_symbols
from .residues import NotRational, residues
from .values import Evaluator, NoValue, hidden_digits

FEWEST_POINTS = 4  # with a value on both sides, ours
_JUMPS = (sympy.Abs, sympy.Max, sympy.Min, sympy.floor, sympy.ceiling, sympy.sign, *WHOLE_ARGUMENTS)
_STEPS = (sympy.floor, sympy.ceiling)
_SMALL_WHOLE = tuple(range(1, 14))
_LARGE_WHOLE = (16, 18, 24, 25, 30, 37, 48, 64)


def identical(first: sympy.Expr, second: sympy.Expr) -> bool:
    """Say whether two finite expressions are equal wherever both have a value; False too where we cannot tell."""
    if first == second:
        return True
    symbols = sorted(first.free_symbols | second.free_symbols, key=str)
    exact = _exactly(first, second, symbols)
    if exact is not None:
        return exact
    evaluator = Evaluator(hidden_digits(first, second))
    return _agree_at_points(first, second, symbols, evaluator)


def constant_ratio(first: sympy.Expr, second: sympy.Expr) -> int | None:
    """The sign of the real c with first = c * second everywhere; None where there is no such c other than zero."""
    symbols = sorted(first.free_symbols | second.free_symbols, key=str)
    evaluator = Evaluator(hidden_digits(first, second))
    quotients: list[Any] = []
    for point in _points(tuple(symbols), whole_symbols(first, second), _sizes(first, second)):
        try:
            above, below = evaluator.value(first, point), evaluator.value(second, point)
        except NoValue:
            continue
        if below == 0 or above == 0:
            if above != below:
                return None
            continue
        with mpmath.workdps(evaluator.digits):
            quotients.append(above / below)
        if not evaluator.agree(quotients[0], quotients[-1]) or isinstance(quotients[-1], mpmath.mpc):
            return None
    if len(quotients) < min(FEWEST_POINTS, len(symbols) + 1):
        return None
    return 1 if quotients[0] > 0 else -1


def _exactly(first: sympy.Expr, second: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> bool | None:
    """Compare rational expressions modulo a prime; None for others, and for numbers that the prime might divide."""
    if any(node.p.bit_length() > 128 for side in (first, second) for node in side.atoms(sympy.Rational)):
        difference = _difference_of_long(first, second, symbols)
        if difference is not None:
            return difference
    try:
        pairs = list(zip(residues(first, symbols), residues(second, symbols), strict=True))
    except NotRational:
        return None
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    return bool(known) and all(one == other for one, other in known)


def _difference_of_long(first: sympy.Expr, second: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> bool | None:
    """Numbers longer than the prime could be made to vanish modulo it: they must agree in value, too."""
    try:
        if residues(first, symbols) != residues(second, symbols):
            return False
    except NotRational:
        return None
    return _agree_at_points(first, second, symbols, Evaluator(hidden_digits(first, second)))


def _agree_at_points(
    first: sympy.Expr, second: sympy.Expr, symbols: Sequence[sympy.Symbol], evaluator: Evaluator
) -> bool:
    """Real values decide; only where too few are real on both sides do the complex ones."""
    real, others = 0, []
    off_axis = complex_symbols(first, second)
    points = _points(tuple(symbols), whole_symbols(first, second), _sizes(first, second), off_axis)
    for point in chain(points, _whole_points(symbols) if first.has(*_STEPS) or second.has(*_STEPS) else ()):
        try:
            one, other = evaluator.value(first, point), evaluator.value(second, point)
        except NoValue:
            continue
        agree = evaluator.agree(one, other)
        if isinstance(one, mpmath.mpc) or isinstance(other, mpmath.mpc):
            others.append(agree)
        elif not agree:
            return False
        else:
            real += 1
    if not symbols:
        return real == 1 or others == [True]
    if off_axis:  # |z|^2 is real where z^2 is not
        return real + len(others) >= FEWEST_POINTS and all(others)
    return real >= FEWEST_POINTS or (len(others) >= FEWEST_POINTS and all(others))


def _sizes(*expressions: sympy.Expr) -> tuple[int, ...]:
    """The sizes at which an expression may jump or bend: those of the numbers in it, where anything jumps at all."""
    if not any(side.has(*_JUMPS) or _has_root(side) for side in expressions):
        return ()
    numbers = {abs(node) for side in expressions for node in side.atoms(sympy.Rational)}
    sizes = {size for number in numbers if 3 < number < 10**9 for size in (int(number), int(sympy.sqrt(number)))}
    return (*sorted(sizes)[:6], 1_000, 1_000_000)


def _has_root(expression: sympy.Expr) -> bool:
    return any(not power.exp.is_Integer and power.base.free_symbols for power in expression.atoms(sympy.Pow))


def _points(
    symbols: tuple[sympy.Symbol, ...],
    whole: set[sympy.Symbol],
    sizes: tuple[int, ...],
    complex_: frozenset[sympy.Symbol] = frozenset(),
) -> Iterator[dict[sympy.Symbol, Any]]:
    """The fixed points, so that a verdict never depends on chance; one empty point where there is no letter."""
    if not symbols:
        yield {}
        return
    kinds = tuple(symbol in whole for symbol in symbols)
    for values in _coordinates(kinds, sizes):
        yield {
            symbol: _off_axis(value) if symbol in complex_ else value
            for symbol, value in zip(symbols, values, strict=True)
        }


@lru_cache(maxsize=256)
def _coordinates(whole: tuple[bool, ...], sizes: tuple[int, ...]) -> tuple[tuple[Any, ...], ...]:
    draw = random.Random("points of real numbers")
    plain = [(3, 1)] * 3 + [(1, 1)] * 2 + [(3, -1)] * 3 + [(3, 0)] * 3 + [(12, 1), (12, 0)]
    scales = plain + [(2 * size, sign) for size in sizes for sign in (1, 0, -1)]
    points = [tuple(_real(draw, scale, sign) for _ in whole) for scale, sign in scales]
    if not any(whole):
        return tuple(points)
    numbers = [*_SMALL_WHOLE, *_LARGE_WHOLE]
    columns = [draw.sample(numbers, len(numbers)) if sum(whole) > 1 else numbers for _ in whole]
    reals = [point for point, _ in zip(points * 2, numbers, strict=False)]
    return tuple(
        tuple(mpmath.mpf(column[row]) if is_whole else real[place] for place, (column, is_whole) in enumerate(both))
        for row, real in enumerate(reals)
        for both in [list(zip(columns, whole, strict=True))]
    )


def _whole_points(symbols: Sequence[sympy.Symbol]) -> Iterator[dict[sympy.Symbol, Any]]:
    """Where steps jump, and generic reals never come: floor(x) + 1 is no ceiling of x."""
    for start in (-3, 0, 2, 7):
        yield {symbol: mpmath.mpf(start + 2 * place) for place, symbol in enumerate(symbols)}


def _off_axis(value: Any) -> Any:
    return mpmath.mpc(value, value / 3 + 1)


def _real(draw: random.Random, scale: int, sign: int) -> Any:
    """A number of 40 random bits up to `scale`, of the given sign, 0 for either."""
    size = mpmath.mpf(draw.getrandbits(40) | 1) * scale / 2**40
    return -size if sign < 0 or (sign == 0 and draw.getrandbits(1)) else size
