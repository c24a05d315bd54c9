"""What latex2sympy reads (sums, products, limits, derivatives, matrices): computed where cheap and exact, else kept.

What is kept is compared by its values or not at all. A name with the index in its subscript depends on the index.
Runs in the worker only.
"""

from __future__ import annotations

import re
from typing import Any

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy

from entrobench.evaluation.grading.reading.scanning import tokens

from .guards import MOST_SUM_TERMS, Undefined, Unparsable, is_matrix, refuse_costly, refuse_uncounted

MOST_BITS = 20_000  # of an exact sum or product, ours; longer ones stay as they are
MOST_TOKENS = 200  # of a text for its grammar, which takes a second for a thousand, ours
_CONFIG = ConversionConfig(lowercase_symbols=False)
# Commands whose meaning we leave to latex2sympy; anything else unknown is no mathematics.
_READABLE = re.compile(
    r"\\(?:sum|prod|lim|det|partial|frac\s*\{\s*(?:d|\\partial)\b|begin\{[pvbBV]?matrix\}|operatorname\{(?:rank|det)\})"
)
_TOWER = re.compile(r"\^\s*\{[^{}]*\^|([_^])\s*\w\s*\1")
_RUN = re.compile(r"(\\[a-zA-Z]+|[-+|])(?:\s*(?:\1|[-+])){3}")
_ENDS = re.compile(  # where infinity is a bound, and no operand
    r"\\to\s*[-+]?\s*\\infty|=\s*-\s*\\infty\s*\}"
    r"|\\(?:sum|prod)\s*(?:_\s*\{[^{}]*\})?\s*\^\s*(?:\{\s*[-+]?\s*\\infty\s*\}|\\infty)"
)
_IMAGINARY = {sympy.Symbol("i"): sympy.I, sympy.Symbol("e"): sympy.E}


def read_with_latex2sympy(text: str, reason: Unparsable) -> sympy.Expr:
    """Read and compute a scalar; raises `reason` for what the library is not asked for, else Unparsable."""
    if isinstance(reason, Undefined) or not _READABLE.search(text):
        raise reason
    if "\\int" in text:
        raise Unparsable("cannot tell: an integral")
    if "\\infty" in _ENDS.sub("", text):
        raise Undefined("infinity is computed with")
    parsed = _parsed(text, reason)
    if not isinstance(parsed, sympy.Expr) or is_matrix(parsed):
        raise Unparsable("no scalar")
    try:
        refuse_costly(parsed)
        value = computed(parsed)
    except Unparsable:
        raise
    except Exception as error:  # by which sympy refuses what hostile text built: an order of complex numbers, shapes
        raise Unparsable(f"no value: {type(error).__name__}") from error
    if is_matrix(value) or value.has(sympy.MatrixExpr):
        raise Unparsable("no scalar")
    return value


def parse_matrix(text: str) -> list[list[sympy.Expr]]:
    """Read and compute an expression of matrices; raises Unparsable."""
    if "\\begin" not in text:
        raise Unparsable("no matrix")
    parsed = _parsed(text, Unparsable("no matrix"))
    try:
        refuse_costly(parsed)
        value = parsed.doit()
        if not isinstance(value, sympy.MatrixBase):
            raise Unparsable("no matrix")
        return [[cell.doit() for cell in value.row(row)] for row in range(value.rows)]
    except Unparsable:
        raise
    except Exception as error:  # shapes that do not fit, a power of what is not square
        raise Unparsable(f"no matrix: {type(error).__name__}") from error


def _parsed(text: str, reason: Unparsable) -> Any:
    if _TOWER.search(text) or _RUN.search(text):  # its grammar alone takes seconds
        raise Unparsable("a limit, sum or matrix with powers in powers or a run of signs") from reason
    if sum(1 for _ in tokens(text)) > MOST_TOKENS:
        raise Unparsable(f"a limit, sum or matrix of more than {MOST_TOKENS} signs") from reason
    try:
        return _Latex2Sympy(is_real=None, config=_CONFIG).parse(text)
    except Exception as error:  # the library raises bare Exception for every syntax error
        raise Unparsable(str(reason)) from error


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
    arguments = [computed(argument) for argument in node.args]
    if any(argument.is_infinite for argument in arguments) and not (node.is_Mul and -1 in arguments):
        raise Undefined("infinity is computed with")
    value = node.func(*arguments)
    return value.doit(deep=False) if hasattr(value, "doit") else value


def _finished(node: Any) -> sympy.Expr:
    """What sympy computes completely; raises Unparsable for what it leaves standing."""
    if isinstance(node, sympy.Limit) and node.args[2].is_finite and str(node.args[3]) == "+":
        node = node.func(*node.args[:3], "+-")  # the library's default for a limit from both sides
    try:
        value = node.doit()
    except Exception as error:  # by which sympy says that it knows no value
        raise Unparsable(f"cannot tell: {type(node).__name__}") from error
    if value.has(sympy.zoo, sympy.nan):
        raise Undefined("undefined value")
    if value.has(sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative, sympy.Integral, sympy.Piecewise):
        raise Unparsable(f"cannot tell: {type(node).__name__}")
    return computed(value)


def _series(node: Any) -> sympy.Expr:
    if len(node.limits) != 1:
        return _finished(node)
    index, low, high = node.limits[0]
    low, high = computed(low), computed(high)
    refuse_uncounted(low, high)
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
