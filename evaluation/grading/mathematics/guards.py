"""What is measured before sympy may build or compute it, so that no answer asks for a number of a billion digits.

Runs in the worker only.
"""

from __future__ import annotations

from typing import Any

import sympy

LARGEST_POWER_BITS = 400_000  # ours
LARGEST_EXPONENT_BITS = 10_000  # of a power that is kept as a name, ours
LARGEST_FACTORIAL = 3_000  # ours
MOST_NODES = 300  # of a sympy tree, ours
MOST_SUM_TERMS = 1_000  # ours
MOST_LIMIT_NODES = 15  # ours
_MATRICES = (sympy.MatrixBase, sympy.MatrixExpr)


class Unparsable(ValueError):
    """The text is no mathematics that we read or may compute; the message says why."""


class Undefined(Unparsable):
    """The text is mathematics, and has no value: a division by zero, a sum up to no whole number."""


def number(token: str) -> sympy.Expr:
    """A number as written, exact: 12, 0.5, 1e3, 0.1\\overline{6}. Raises Unparsable for exponents beyond 1,000."""
    if "\\overline" in token:
        start, repeated = token.rstrip("}").split("\\overline{")
        places = len(start.partition(".")[2])
        return sympy.Rational(start.rstrip(".")) + sympy.Rational(int(repeated), 10**places * (10 ** len(repeated) - 1))
    mantissa, _, exponent = token.lower().partition("e")
    if abs(int(exponent or 0)) > 1_000:
        raise Unparsable("exponent too large")
    return sympy.Rational(mantissa.rstrip(".")) * sympy.Integer(10) ** int(exponent or 0)


def power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """base ** exponent. Raises Unparsable where it is undefined or would be too large to compute."""
    if base.is_zero and not exponent.is_positive:
        raise Undefined("zero to a power that is not positive")
    if exponent.is_Rational and (base.is_number or abs(exponent) > 10_000):
        bits = max(
            (abs(number.p).bit_length() + number.q.bit_length() for number in base.atoms(sympy.Rational)), default=1
        )
        if bits * abs(exponent) > LARGEST_POWER_BITS:
            return _unknown_power(base, exponent)
    elif base.is_number and exponent.is_number and not _is_moderate(exponent):
        raise Unparsable("power too large")
    return sympy.Pow(base, exponent)


def _unknown_power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """A whole power too long to write out, as a letter of its own: what holds for every value holds for this one."""
    whole = base.is_Integer and base > 1 and exponent.is_Integer and exponent > 0
    if not whole or int(exponent).bit_length() > LARGEST_EXPONENT_BITS:
        raise Unparsable("power too large")
    root, times = sympy.perfect_power(base) or (base, 1)
    return sympy.Symbol(f"{root}^{times * exponent}")


def _is_moderate(exponent: sympy.Expr) -> bool:
    if exponent.has(sympy.Sum, sympy.Product):
        return False
    value = exponent.evalf(5)
    return bool(value.is_finite) and bool(abs(value) <= 1_000)


def factorial(value: sympy.Expr) -> sympy.Expr:
    """value!. Raises Unparsable for a number that is too large or not whole."""
    if value.is_number and not (value.is_Integer and 0 <= value <= LARGEST_FACTORIAL):
        raise Unparsable("factorial too large or of no whole number")
    return sympy.factorial(value)


def double_factorial(value: sympy.Expr) -> sympy.Expr:
    """n!!, the product of every second whole number up to n; raises Unparsable for what is large or no whole number."""
    if value.is_number and not (value.is_Integer and 0 <= value <= LARGEST_FACTORIAL):
        raise Unparsable("double factorial of no small whole number")
    return sympy.factorial2(value)


def gamma(value: sympy.Expr) -> sympy.Expr:
    """The gamma function; raises Unparsable for numbers that are too large and at its poles."""
    if value.is_number and not (value.is_Rational and 0 < value <= LARGEST_FACTORIAL):
        raise Unparsable("gamma function of no small positive number")
    return sympy.gamma(value)


def binomial(above: sympy.Expr, below: sympy.Expr) -> sympy.Expr:
    """The binomial coefficient. Raises Unparsable for numbers that are too large or not whole."""
    if any(value.is_number and not (value.is_Integer and abs(value) <= LARGEST_FACTORIAL) for value in (above, below)):
        raise Unparsable("binomial too large or of no whole number")
    return sympy.binomial(above, below)


def quotient(above: sympy.Expr, below: sympy.Expr) -> sympy.Expr:
    """above / below. Raises Unparsable for a division by zero, which sympy would go on computing with."""
    if below == 0:
        raise Undefined("division by zero")
    return above / below


def modulo(value: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr:
    """value modulo divisor. Raises Unparsable for a divisor of zero, and for what has no remainder that we know."""
    if divisor.is_zero:
        raise Undefined("modulo zero")
    refuse_unordered(value, divisor)
    if value.is_number and not value.is_Integer and divisor.free_symbols:
        raise Undefined("a fraction modulo a letter")
    if not divisor.is_Integer and value.has(sympy.factorial, sympy.binomial):
        raise Unparsable("a count modulo no whole number")
    return sympy.Mod(value, divisor)


def largest(*values: sympy.Expr) -> sympy.Expr:
    """The maximum. Raises Unparsable for numbers that are not real."""
    refuse_unordered(*values)
    return sympy.Max(*values)


def smallest(*values: sympy.Expr) -> sympy.Expr:
    """The minimum. Raises Unparsable for numbers that are not real."""
    refuse_unordered(*values)
    return sympy.Min(*values)


def refuse_unordered(*values: sympy.Expr) -> None:
    """Raise Unparsable for numbers that are not real: there is no larger one of two, and no remainder."""
    if any(value.is_number and not value.is_real for value in values):
        raise Undefined("an order of numbers that are not real")


def refuse_uncounted(low: sympy.Expr, high: sympy.Expr) -> None:
    """Raise Unparsable for the bounds of a sum or product that are no whole numbers, letters or infinities."""
    for bound in (low, high):
        if not isinstance(bound, sympy.Expr) or is_matrix(bound):
            raise Undefined("a sum with a bound that is no number")
        if bound.is_number and not (bound.is_Integer or bound in (sympy.oo, -sympy.oo)):
            raise Undefined("a sum with a bound that is no whole number")


def is_matrix(value: Any) -> bool:
    """Say whether sympy has a matrix here, which is an expression to it."""
    return isinstance(value, _MATRICES)


def refuse_large_tree(value: sympy.Expr) -> None:
    """Raise Unparsable for an expression of more than MOST_NODES nodes."""
    for count, _ in enumerate(sympy.preorder_traversal(value)):
        if count > MOST_NODES:
            raise Unparsable(f"more than {MOST_NODES} nodes")


def refuse_costly(value: sympy.Expr) -> None:
    """Walk an unevaluated tree and refuse what would not end: huge powers, factorials, sums, limits."""
    refuse_large_tree(value)
    for node in sympy.preorder_traversal(value):
        if isinstance(node, sympy.Pow) and node.exp.is_number and node.base.is_number:
            power(node.base.doit() if node.base.is_Atom else sympy.Integer(2), node.exp)
        elif isinstance(node, sympy.factorial) and node.args[0].is_number:
            factorial(node.args[0])
        elif isinstance(node, sympy.Limit):
            _refuse_large_limit(node)
        elif isinstance(node, sympy.Sum | sympy.Product):
            _refuse_long_sum(node)


def _refuse_large_limit(node: Any) -> None:
    if sum(1 for _ in sympy.preorder_traversal(node.args[0])) > MOST_LIMIT_NODES:
        raise Unparsable("a limit this large may not end")


def _refuse_long_sum(node: Any) -> None:
    for limit in node.limits:
        if len(limit) != 3:
            raise Unparsable("a sum without bounds")
        refuse_uncounted(*limit[1:])
        span = limit[2] - limit[1]
        if span.is_number and span.is_finite and span > MOST_SUM_TERMS:
            raise Unparsable(f"more than {MOST_SUM_TERMS} terms")
