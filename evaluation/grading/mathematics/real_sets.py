"""Sets of real numbers: intervals, unions, inequalities and set-builders as sympy sets, compared piece by piece.

Runs in the worker only. Inequalities are solved only where the variable stands in one linear place (or inside one
absolute value), so nothing here can run long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import sympy

from entrobench.evaluation.grading.reading.scanning import enclosed, parts, split_top

from .expressions import parse_expression
from .guards import Unparsable

ORDER = {"<": "<", ">": ">", "\\le": "<=", "\\ge": ">="}
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NAMED = {
    **dict.fromkeys(("\\mathbb{R}", "\\mathbb R", "\\R", "\\Re", "\\text{all real numbers}", "R"), sympy.Reals),
    **{"\\text{all reals}": sympy.Reals, "all real numbers": sympy.Reals, "all reals": sympy.Reals},
    **{"\\mathbb{Z}": sympy.Integers, "\\mathbb{N}": sympy.Naturals, "\\mathbb{Q}": sympy.Rationals},
    **{"\\emptyset": sympy.EmptySet, "\\text{empty set}": sympy.EmptySet, "\\{\\}": sympy.EmptySet},
    **dict.fromkeys(
        ("\\mathbb{R}^+", "\\mathbb{R}^{+}", "\\mathbb{R}_+", "\\mathbb{R}_{+}"), sympy.Interval.open(0, sympy.oo)
    ),
    **dict.fromkeys(("\\mathbb{R}_{>0}", "\\mathbb{R}_{> 0}"), sympy.Interval.open(0, sympy.oo)),
    **dict.fromkeys(("\\mathbb{R}_{\\ge0}", "\\mathbb{R}_{\\ge 0}"), sympy.Interval(0, sympy.oo)),
    **dict.fromkeys(("\\mathbb{R}^-", "\\mathbb{R}^{-}"), sympy.Interval.open(-sympy.oo, 0)),
    **dict.fromkeys(("\\mathbb{Z}^+", "\\mathbb{Z}^{+}", "\\mathbb{N}^*", "\\mathbb{N}^{*}"), sympy.Naturals),
    **{"\\mathbb{C}": sympy.Complexes, "\\text{no solution}": sympy.EmptySet},
}
_BARE_LETTER = re.compile(r"\\?[a-zA-Z]+\s*(?:\\in.*)?")
_BUILDER_BAR = ("|", ":")
MOST_MEMBERS = 200  # of a set of whole numbers, ours


class NoSet(ValueError):
    """The text is no set of real numbers that we read."""


def read_set(text: str) -> sympy.Set:
    """Read a normalised text as a set of reals; raises NoSet. Points and bare values are sets in set algebra only."""
    text = text.strip()
    if text in _NAMED:
        return _NAMED[text]
    for separators, combine in _ALGEBRA:
        pieces = parts(text, *separators)
        if len(pieces) > 1:
            return combine(*(read_set(piece) for piece in pieces))
    difference = re.match(r"(.*[)\]}])\s*-\s*(\\?\{.*\})$", text)
    if difference is not None and len(parts(text, "-")) == 2:
        return read_set(difference[1]) - read_set(difference[2])
    pair = enclosed(text)
    if pair is not None:
        return _read_enclosed(*pair)
    return read_condition(text)


def _read_enclosed(opening: str, inside: str, closing: str) -> sympy.Set:
    if opening in ("{", "\\{") and closing in ("}", "\\}"):
        return _read_braces(inside)
    ends = parts(inside, ",") if len(parts(inside, ",")) > 1 else parts(inside, ";")
    if len(ends) == 1:
        return read_set(inside)
    if len(ends) != 2 or opening not in ("(", "[") or closing not in (")", "]"):
        raise NoSet("no interval")
    low, high = (real_value(end) for end in ends)
    return sympy.Interval(low, high, opening == "(", closing == ")")


def _read_braces(inside: str) -> sympy.Set:
    for bar in _BUILDER_BAR:
        pieces = parts(inside, bar)
        if len(pieces) == 2:
            if not _BARE_LETTER.fullmatch(pieces[0]):
                raise NoSet("elements that are no letter")
            domain = parts(pieces[0], "\\in")
            return _within(read_condition(pieces[1]), read_set(domain[1]) if len(domain) == 2 else sympy.Reals)
    return sympy.FiniteSet(*(real_value(element) for element in parts(inside.replace(";", ","), ",") if element))


def _within(solutions: sympy.Set, domain: sympy.Set) -> sympy.Set:
    """The members of a domain among the reals that solve a condition: whole numbers one by one, where they are few."""
    if domain not in (sympy.Integers, sympy.Naturals):
        return sympy.Intersection(solutions, domain)
    low, high = solutions.inf, solutions.sup
    if not (low.is_finite and high.is_finite and high - low <= MOST_MEMBERS):
        raise NoSet("whole numbers without end")
    whole = (sympy.Integer(number) for number in range(int(sympy.ceiling(low)), int(sympy.floor(high)) + 1))
    return sympy.FiniteSet(*(number for number in whole if number in domain and number in solutions))


def real_value(text: str) -> sympy.Expr:
    """Read one end point or element: a real number or an infinity."""
    try:
        value = parse_expression(text)
    except Unparsable as reason:
        raise NoSet(str(reason)) from reason
    if not value.is_extended_real:
        raise NoSet(f"{text} is no real number")
    return value


def read_condition(text: str) -> sympy.Set:
    """Solve a condition on one variable: x in S, x != a, a < x <= b, joined by commas, and, or."""
    for word, combine in (("\\lor", sympy.Union), ("\\land", sympy.Intersection)):
        pieces = parts(text, word)
        if len(pieces) > 1:
            return combine(*(read_condition(piece) for piece in pieces))
    pieces = _with_repeated_sign(parts(text, ","))
    if len(pieces) > 1:
        solved = [read_condition(piece) for piece in pieces]
        common = sympy.Intersection(*solved)
        return sympy.Union(*solved) if common is sympy.EmptySet else common
    membership = parts(text, "\\in")
    if len(membership) == 2:
        return read_set(membership[1])
    chain = [(_as_unknown(piece), sign) for piece, sign in split_top(text, ("=", "\\ne", *ORDER))]
    if len(chain) == 1:
        raise NoSet("no condition")
    links = [_solve(left, sign, right) for (left, sign), (right, _) in pairwise(chain)]
    return sympy.Intersection(*links)


def _with_repeated_sign(pieces: list[str]) -> list[str]:
    """x != 1, 2 excludes both."""
    first = split_top(pieces[0], ("\\ne",))
    excluded = len(first) == 2 and not any(split_top(piece, ("=", "\\ne", *ORDER))[0][1] for piece in pieces[1:])
    return [pieces[0], *(f"{first[0][0]}\\ne {piece}" for piece in pieces[1:])] if excluded else pieces


def _as_unknown(piece: str) -> str:
    """A lone e or i between bounds names an unknown (an eccentricity, an index), not the constant."""
    return "x" if piece in ("e", "i") else piece


def _solve(left: str, sign: str, right: str) -> sympy.Set:
    """Solve `left sign right`, linear in the one variable or in its absolute value."""
    try:
        sides = parse_expression(left), parse_expression(right)
    except Unparsable as reason:
        raise NoSet(str(reason)) from reason
    if any(side.is_infinite for side in sides):
        return _all_reals(sides, sign)
    difference = sympy.expand(sides[0] - sides[1])
    unknowns = [atom for atom in difference.atoms(sympy.Symbol, sympy.Abs) if not isinstance(atom, sympy.Abs)]
    magnitudes = list(difference.atoms(sympy.Abs))
    if len(unknowns) != 1 or len(magnitudes) > 1:
        raise NoSet("not one variable")
    unknown = sympy.Dummy("unknown", real=True)
    slope, rest = _linear(difference.xreplace({magnitudes[0] if magnitudes else unknowns[0]: unknown}), unknown)
    if not (slope.is_real and rest.is_real):
        raise NoSet("an order of numbers that are not real")
    solution = _half_line(sign, -rest / slope, flipped=bool(slope < 0))
    if not magnitudes:
        return solution
    slope, rest = _linear(magnitudes[0].args[0], unknowns[0])
    inner = _of_magnitude(solution)  # the values of slope * x + rest
    return sympy.imageset(sympy.Lambda(_X, (_X - rest) / slope), inner)


def _linear(expression: sympy.Expr, unknown: sympy.Symbol) -> tuple[sympy.Expr, sympy.Expr]:
    """(a, b) of a * unknown + b; raises NoSet for anything else."""
    expression = sympy.expand(expression)
    if expression.free_symbols != {unknown} or not expression.is_polynomial(unknown):
        raise NoSet("not linear")
    if sympy.degree(expression, unknown) != 1:
        raise NoSet("not linear")
    return expression.coeff(unknown, 1), expression.coeff(unknown, 0)


def _all_reals(sides: tuple[sympy.Expr, sympy.Expr], sign: str) -> sympy.Set:
    """-oo < x and x < oo hold for every real x."""
    low, high = sides if ORDER.get(sign, "=")[0] == "<" else sides[::-1]
    if sign in ORDER and ((low == -sympy.oo and high.is_Symbol) or (high == sympy.oo and low.is_Symbol)):
        return sympy.Reals
    raise NoSet("no bound")


def _half_line(sign: str, bound: sympy.Expr, flipped: bool) -> sympy.Set:
    if sign in ("=", "\\ne"):
        point = sympy.FiniteSet(bound)
        return point if sign == "=" else sympy.Reals - point
    order = _FLIPPED[ORDER[sign]] if flipped else ORDER[sign]
    if order[0] == "<":
        return sympy.Interval(-sympy.oo, bound, True, order == "<")
    return sympy.Interval(bound, sympy.oo, order == ">", True)


def _of_magnitude(magnitudes: sympy.Set) -> sympy.Set:
    """The reals whose absolute value lies in the given set."""
    positive = sympy.Intersection(magnitudes, sympy.Interval(0, sympy.oo))
    return sympy.Union(positive, sympy.imageset(sympy.Lambda(_X, -_X), positive))


_X = sympy.Symbol("x", real=True)
_ALGEBRA: tuple[tuple[tuple[str, ...], Callable[..., sympy.Set]], ...] = (
    (("\\lor",), sympy.Union),
    (("\\cup",), sympy.Union),
    (("\\setminus",), lambda first, *rest: first - sympy.Union(*rest)),
    (("\\cap",), sympy.Intersection),
)


def sets_equal(first: sympy.Set, second: sympy.Set, equal: Callable[[sympy.Expr, sympy.Expr], bool]) -> bool:
    """Say whether two sets have the same intervals and points, their ends compared by `equal`."""
    if first == second:
        return True
    pieces, others = _pieces(first), _pieces(second)
    if pieces is None or others is None or len(pieces) != len(others):
        return False
    return all(
        one[2:] == other[2:] and equal(one[0], other[0]) and equal(one[1], other[1])
        for one, other in zip(pieces, others, strict=True)
    )


def _pieces(whole: sympy.Set) -> list[tuple[sympy.Expr, sympy.Expr, bool, bool]] | None:
    """The intervals (points as intervals of no length) from left to right, or None for other sets."""
    found: list[tuple[sympy.Expr, sympy.Expr, bool, bool]] = []
    for piece in whole.args if isinstance(whole, sympy.Union) else (whole,):
        if isinstance(piece, sympy.Interval):
            found.append((piece.start, piece.end, bool(piece.left_open), bool(piece.right_open)))
        elif isinstance(piece, sympy.FiniteSet):
            found.extend((point, point, False, False) for point in piece)
        else:
            return None
    return sorted(found, key=lambda piece: (float(piece[0]), float(piece[1])))
