"""Sums, products, limits and derivatives that latex2sympy read: computed where that is cheap and exact, else kept.

What is kept is compared by its values or not at all. A name with the index in its subscript depends on the index.
Runs in the worker only.
"""

from __future__ import annotations

import re
from typing import Any

import sympy

from .guards import MOST_SUM_TERMS, Unparsable

MOST_BITS = 20_000  # of an exact sum or product, ours; longer ones stay as they are
_IMAGINARY = {sympy.Symbol("i"): sympy.I, sympy.Symbol("e"): sympy.E}


def computed(node: Any) -> sympy.Expr:
    """Compute a parsed expression from its leaves up; decimals become exact rationals."""
    if isinstance(node, sympy.Float):
        return sympy.Rational(str(node))
    if isinstance(node, sympy.Sum | sympy.Product):
        return _series(node)
    if not node.args:
        return _IMAGINARY.get(node, node)
    if isinstance(node, sympy.Integral):
        raise Unparsable("cannot tell: an integral")
    if isinstance(node, sympy.Limit | sympy.Derivative):
        return _finished(node)
    value = node.func(*(computed(argument) for argument in node.args))
    return value.doit(deep=False) if hasattr(value, "doit") else value


def _finished(node: Any) -> sympy.Expr:
    """What sympy computes completely; raises Unparsable for what it leaves standing."""
    value = node.doit()
    if value.has(sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative, sympy.Integral, sympy.Piecewise):
        raise Unparsable(f"cannot tell: {type(node).__name__}")
    return computed(value)


def _series(node: Any) -> sympy.Expr:
    if len(node.limits) != 1:
        return _finished(node)
    index, low, high = node.limits[0]
    low, high = computed(low), computed(high)
    marker = sympy.Symbol("the index", integer=True)
    body = _with_marked_index(node.function, index, marker)
    body = computed(body.xreplace({index: marker}))
    if low.is_Integer and high.is_Integer:
        whole = _exact(node, body, marker, int(low), int(high))
        return whole if whole is not None else node.func(body, (marker, low, high))
    kept = node.func(body, (marker, low, high))
    if low.is_infinite or high.is_infinite:
        if isinstance(node, sympy.Product):
            raise Unparsable("cannot tell: an infinite product")
        if any(_is_tower(power, marker) for power in body.atoms(sympy.Pow)):
            raise Unparsable("cannot tell: an infinite sum of powers in powers")
        return _finished(kept)
    return kept


def _is_tower(power: sympy.Pow, index: sympy.Symbol) -> bool:
    """n^n, x^(n^2): sympy knows no such sum, and searches long."""
    return index in power.exp.free_symbols and (index in power.base.free_symbols or not power.exp.diff(index).is_number)


def _exact(node: Any, body: sympy.Expr, marker: sympy.Symbol, low: int, high: int) -> sympy.Expr | None:
    """Add or multiply term by term; None where the result grows too long."""
    if high - low > MOST_SUM_TERMS:
        raise Unparsable(f"more than {MOST_SUM_TERMS} terms")
    total = sympy.Integer(node.func is sympy.Product)
    for number in range(low, high + 1):
        term = body.xreplace({marker: sympy.Integer(number)})
        total = total * term if node.func is sympy.Product else total + term
        if total.is_Rational and total.p.bit_length() + total.q.bit_length() > MOST_BITS:
            return None
        if len(total.args) > 100:
            return None
    return total


def _with_marked_index(body: sympy.Expr, index: sympy.Symbol, marker: sympy.Symbol) -> sympy.Expr:
    """a_k under a sum over k is a function of k, whatever the index is called."""
    name = re.compile(rf"(?<![a-zA-Z\\]){re.escape(str(index))}(?![a-zA-Z])")
    dependent = {}
    for symbol in body.free_symbols - {index}:
        stem, _, subscript = str(symbol).partition("_")
        if name.search(subscript):
            dependent[symbol] = sympy.Function(f"{stem}_{name.sub('#', subscript)}")(marker)
    return body.xreplace(dependent)
