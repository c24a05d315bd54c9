"""Values of expressions at points, by mpmath to as many digits as the numbers in them ask for.

Only what is listed here is computed, and only after its size was measured; the rest has no value, which is never taken
for agreement. Runs in the worker only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from mpmath.libmp import NoConvergence
from sympy.core.function import AppliedUndef

from .guards import Unparsable
from .letters import Gcd, Lcm

MOST_DIGITS = 6_000  # of a computation, ours; what needs more is not decided
LARGEST_ARGUMENT = 1_000_000  # of exponentials, gamma and angles, ours
MOST_TERMS = 1_000  # of a sum or product with a letter in its bounds, ours
SPARE_DIGITS = 35  # by which zero is told from noise, ours

Point = Mapping[sympy.Symbol, Any]


class NoValue(ValueError):
    """There is no finite value here: a pole, an argument too large, or nothing that we compute."""


_NAMES = (
    "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh coth sech csch asinh acosh atanh gamma erf "
    "LambertW zeta"
)
_FUNCTIONS: dict[type, Callable[..., Any]] = {
    getattr(sympy, name): getattr(mpmath.mp, name.lower()) for name in _NAMES.split()
}
_CONSTANTS = {sympy.pi: "pi", sympy.E: "e", sympy.EulerGamma: "euler", sympy.GoldenRatio: "phi"}
_CONSTANTS |= {sympy.Catalan: "catalan"}


class Evaluator:
    """Evaluates with enough digits for terms of one expression that differ by `hidden` digits in size."""

    def __init__(self, hidden: int) -> None:
        self.digits = 2 * hidden + SPARE_DIGITS + 15
        if self.digits > MOST_DIGITS:
            raise Unparsable(f"cannot tell: needs more than {MOST_DIGITS} digits")
        self.zero = mpmath.mpf(10) ** -(hidden + SPARE_DIGITS)

    def value(self, expression: sympy.Expr, point: Point) -> Any:
        """The value as mpf or mpc; raises NoValue."""
        with mpmath.workdps(self.digits):
            try:
                found = self._value(expression, point)
            except (ZeroDivisionError, OverflowError, ValueError, NoConvergence) as error:
                raise NoValue(str(error)) from error
            if not mpmath.isfinite(found):
                raise NoValue("infinite")
            return found

    def agree(self, first: Any, second: Any) -> bool:
        """Say whether two values are the same to all digits that cancellation leaves."""
        with mpmath.workdps(self.digits):
            return bool(abs(first - second) <= self.zero * max(abs(first), abs(second)))

    def _value(self, node: Any, point: Point) -> Any:
        if isinstance(node, sympy.Rational):
            return mpmath.mpf(int(node.p)) / int(node.q)
        if isinstance(node, sympy.Symbol):
            return point[node]
        if isinstance(node, AppliedUndef):
            raise NoValue("an unknown function")
        if node in _CONSTANTS:
            return +getattr(mpmath.mp, _CONSTANTS[node])
        if node is sympy.I:
            return mpmath.mpc(0, 1)
        if isinstance(node, sympy.Add):
            return self._sum([self._value(term, point) for term in node.args])
        if isinstance(node, sympy.Mul):
            return mpmath.fprod(self._value(factor, point) for factor in node.args)
        if isinstance(node, sympy.Sum | sympy.Product):
            return self._series(node, point)
        return self._applied(node, [self._value(argument, point) for argument in node.args])

    def _sum(self, terms: list[Any]) -> Any:
        """Add; what is left of terms that cancel to all their digits is zero and no value."""
        total = mpmath.fsum(terms)
        size = self.zero * max(abs(term) for term in terms)
        if abs(total) <= size:
            return mpmath.mpf(0)
        return total.real if isinstance(total, mpmath.mpc) and abs(total.imag) <= size else total

    def _applied(self, node: Any, values: list[Any]) -> Any:
        if isinstance(node, sympy.Pow):
            return self._real(self._power(*values))
        if isinstance(node, sympy.exp):
            return self._real(self._power(mpmath.e, values[0]))
        if isinstance(node, sympy.log):
            if values[0] == 0:
                raise NoValue("logarithm of zero")
            return self._real(mpmath.log(values[0]))
        if type(node) in _OTHERS:
            return _OTHERS[type(node)](*values)
        if type(node) not in _FUNCTIONS:
            raise NoValue(f"no value of {type(node).__name__}")
        if abs(values[0]) > LARGEST_ARGUMENT:
            raise NoValue("argument too large")
        found = self._real(_FUNCTIONS[type(node)](*values))
        at_a_zero = abs(values[0]) > 1 and abs(found) <= self.zero * abs(values[0])  # sin(3 pi)
        return mpmath.mpf(0) if at_a_zero else found

    def _power(self, base: Any, exponent: Any) -> Any:
        if base == 0:
            if mpmath.re(exponent) <= 0:
                raise NoValue("zero to a power that is not positive")
            return mpmath.mpf(0)
        if abs(exponent) * (1 + abs(mpmath.log(abs(base)))) > LARGEST_ARGUMENT:
            raise NoValue("power too large")
        if mpmath.isint(exponent):
            return base ** int(mpmath.re(exponent))
        return mpmath.power(base, exponent)

    def _real(self, value: Any) -> Any:
        """Drop an imaginary part that is noise."""
        noise = isinstance(value, mpmath.mpc) and abs(value.imag) <= self.zero * abs(value.real)
        return value.real if noise else value

    def _series(self, node: Any, point: Point) -> Any:
        if len(node.limits) != 1:
            raise NoValue("several indices")
        index, low, high = node.limits[0]
        first, last = (self._value(bound, point) for bound in (low, high))
        if not (mpmath.isint(first) and mpmath.isint(last)) or last - first > MOST_TERMS:
            raise NoValue("bounds are no whole numbers or too far apart")
        whole = range(int(first), int(last) + 1)
        terms = [self._value(node.function, {**point, index: mpmath.mpf(number)}) for number in whole]
        if isinstance(node, sympy.Sum):
            return self._sum([mpmath.mpf(0), *terms])
        return mpmath.fprod(terms)


def _real_only(value: Any) -> Any:
    if isinstance(value, mpmath.mpc) and value.imag != 0:
        raise NoValue("order of complex numbers")
    return mpmath.re(value)


def _whole(value: Any) -> int:
    if not mpmath.isint(value):
        raise NoValue("divisors of no whole number")
    return int(mpmath.re(value))


def _modulo(value: Any, divisor: Any) -> Any:
    if divisor == 0:
        raise NoValue("modulo zero")
    return _real_only(value) - divisor * mpmath.floor(_real_only(value) / _real_only(divisor))


def _gamma(value: Any) -> Any:
    if abs(value) > 10_000:
        raise NoValue("factorial too large")
    return mpmath.gamma(value + 1)


def _double_factorial(value: Any) -> Any:
    if abs(value) > 10_000:
        raise NoValue("factorial too large")
    return mpmath.fac2(value)


def _binomial(above: Any, below: Any) -> Any:
    if abs(above) > 10_000 or abs(below) > 10_000:
        raise NoValue("binomial too large")
    return mpmath.binomial(above, below)


_OTHERS: dict[type, Callable[..., Any]] = {
    sympy.Abs: abs,
    sympy.floor: lambda value: mpmath.floor(_real_only(value)),
    sympy.ceiling: lambda value: mpmath.ceil(_real_only(value)),
    sympy.sign: lambda value: mpmath.sign(_real_only(value)),
    sympy.Max: lambda *values: max(map(_real_only, values)),
    sympy.Min: lambda *values: min(map(_real_only, values)),
    sympy.re: mpmath.re,
    sympy.im: mpmath.im,
    sympy.conjugate: mpmath.conj,
    sympy.arg: mpmath.arg,
    sympy.Mod: _modulo,
    sympy.factorial: _gamma,
    sympy.factorial2: _double_factorial,
    sympy.binomial: _binomial,
    Gcd: lambda *values: mpmath.mpf(sympy.igcd(*map(_whole, values))),
    Lcm: lambda *values: mpmath.mpf(sympy.ilcm(*map(_whole, values))),
}


def real_value(expression: sympy.Expr) -> Fraction | None:
    """The value of a real constant to all digits that rounding it needs; None where it has none that we compute."""
    try:
        value = Evaluator(hidden_digits(expression)).value(expression, {})
    except NoValue:
        return None
    return None if isinstance(value, mpmath.mpc) else Fraction(*mpmath.libmp.to_rational(value._mpf_))


def hidden_digits(*expressions: sympy.Expr) -> int:
    """How many digits the numbers written in the expressions may set their terms apart: precision follows the text."""
    total = 0
    for expression in expressions:
        for node in sympy.preorder_traversal(expression):
            if isinstance(node, sympy.Rational):
                total += (int(node.p).bit_length() + int(node.q).bit_length()) * 3 // 10
            elif isinstance(node, sympy.Pow) and node.exp.is_Rational:
                total += min(MOST_DIGITS, int(abs(node.exp)))
            elif isinstance(node, sympy.Function | sympy.Pow) and node.is_number:
                total += _magnitude(node)
            elif isinstance(node, sympy.Sum | sympy.Product):
                total += sum(_magnitude(_term(node, bound)) for bound in node.limits[0][1:] if bound.is_Integer)
    return total


def _term(series: Any, number: sympy.Expr) -> sympy.Expr:
    return series.function.xreplace({series.limits[0][0]: number})


def _magnitude(number: sympy.Expr) -> int:
    """The power of ten of a constant, both ways."""
    if number.free_symbols:
        return 0
    try:
        value = Evaluator(0).value(number, {})
    except NoValue:
        return 0
    return 0 if value == 0 else int(abs(mpmath.log10(abs(value))))
