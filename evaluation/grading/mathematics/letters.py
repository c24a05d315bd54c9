"""Letters: their names, what they may stand for, and functions of whole numbers that stay while they hold letters.

sympy's own gcd and lcm compute those of polynomials, where gcd(m, n) of two letters is 1. Runs in the worker only.
"""

from __future__ import annotations

from typing import Any

import sympy

from entrobench.evaluation.grading.reading.scanning import word_set

GREEK = word_set(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi "
    "psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega varsigma hbar ell"
)
ACCENTS = word_set("overline bar vec hat widehat tilde dot ddot overrightarrow angle triangle")


class Gcd(sympy.Function):  # type: ignore[misc]  # sympy has no types
    """The greatest common divisor of whole numbers."""

    @classmethod
    def eval(cls, *arguments: sympy.Expr) -> Any:
        """Compute it for numbers; order and repetition of the arguments say nothing."""
        return _combined(cls, sympy.gcd, arguments)


class Lcm(sympy.Function):  # type: ignore[misc]  # sympy has no types
    """The least common multiple of whole numbers."""

    @classmethod
    def eval(cls, *arguments: sympy.Expr) -> Any:
        """Compute it for numbers; order and repetition of the arguments say nothing."""
        return _combined(cls, sympy.lcm, arguments)


def _combined(kind: Any, compute: Any, arguments: tuple[sympy.Expr, ...]) -> Any:
    if len(arguments) > 1 and all(argument.is_Rational for argument in arguments):
        return compute(list(arguments))
    canonical = tuple(sorted(set(arguments), key=sympy.default_sort_key))
    if len(canonical) == 1:
        return canonical[0]
    return None if canonical == arguments else kind(*canonical)


WHOLE_ARGUMENTS = (Gcd, Lcm, sympy.factorial, sympy.factorial2, sympy.binomial, sympy.Mod)


def whole_symbols(*expressions: sympy.Expr) -> set[sympy.Symbol]:
    """The letters that stand where only whole numbers may: powers of negative numbers, factorials, bounds of sums."""
    found: set[sympy.Symbol] = set()
    for expression in expressions:
        for node in sympy.preorder_traversal(expression):
            if isinstance(node, WHOLE_ARGUMENTS):
                found |= node.free_symbols
            elif isinstance(node, sympy.Pow) and node.base.is_number and node.exp.free_symbols:
                if not node.base.is_extended_nonnegative:
                    found |= node.exp.free_symbols
            elif isinstance(node, sympy.Sum | sympy.Product):
                found |= {symbol for limit in node.limits for bound in limit[1:] for symbol in bound.free_symbols}
    return found & {symbol for expression in expressions for symbol in expression.free_symbols}


_OF_COMPLEX_NUMBERS = (sympy.Abs, sympy.conjugate, sympy.re, sympy.im, sympy.arg)


def complex_symbols(*expressions: sympy.Expr) -> frozenset[sympy.Symbol]:
    """z and w, where an absolute value, conjugate or part of them is taken and no x or y makes them coordinates."""
    letters = {symbol for expression in expressions for symbol in expression.free_symbols}
    if letters & {sympy.Symbol("x"), sympy.Symbol("y")}:
        return frozenset()
    taken = {node for expression in expressions for node in expression.atoms(*_OF_COMPLEX_NUMBERS)}
    return frozenset(
        {sympy.Symbol("z"), sympy.Symbol("w")} & {symbol for node in taken for symbol in node.free_symbols}
    )
