"""Scalar expressions to sympy: a small parser of our own for plain and LaTeX arithmetic, latex2sympy for the rest.

The parser knows a fixed table of names and builds sympy objects itself; no text is ever evaluated. Every power,
factorial and binomial is measured before it is built, so that no answer can ask for a number of a billion digits.
Runs in the worker only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sympy

from entrobench.evaluation.grading.reading.scanning import word_set

from .guards import (
    Undefined,
    Unparsable,
    binomial,
    double_factorial,
    factorial,
    gamma,
    largest,
    modulo,
    number,
    power,
    quotient,
    refuse_large_tree,
    refuse_uncounted,
    smallest,
)
from .letters import ACCENTS, GREEK, Gcd, Lcm
from .through_latex2sympy import computed, read_with_latex2sympy

_TOKEN = re.compile(
    r"\s*(?P<number>\d+(?:\.\d+)?(?:\.?\\overline\{\d+\})?(?:[eE][+-]?\d+(?![\d.]))?|\.\d+|\d+\.(?!\d))"
    r"|\s*(?P<name>\\[a-zA-Z]+|[a-zA-Z]'*)|\s*(?P<mark>\\[{}%$|]|\S)"
)
_ANGULAR = word_set("sin cos tan cot sec csc cis")
_FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    **{name: getattr(sympy, name) for name in word_set("sin cos tan cot sec csc sinh cosh tanh coth exp")},
    **{f"arc{name}": getattr(sympy, f"a{name}") for name in _ANGULAR - {"cis"}},
    "cis": lambda angle: sympy.cos(angle) + sympy.I * sympy.sin(angle),
    **{"ln": sympy.log, "lg": lambda argument: sympy.log(argument, 10)},
    **{f"arc{name}": getattr(sympy, f"a{name}") for name in word_set("sinh cosh tanh")},
    **{"arsinh": sympy.asinh, "arcosh": sympy.acosh, "artanh": sympy.atanh, "sech": sympy.sech, "csch": sympy.csch},
}
_MANY: dict[str, Callable[..., sympy.Expr]] = {"max": largest, "min": smallest, "gcd": Gcd, "lcm": Lcm}
_INFINITY = sympy.Symbol("\\infty")  # until a whole value is read: sympy would compute with its own
_INFINITIES = {_INFINITY: sympy.oo, -_INFINITY: -sympy.oo}
_LETTERS = {"i": sympy.I, "I": sympy.I, "e": sympy.E}
_SERIES = {"sum": sympy.Sum, "prod": sympy.Product}
_BRACKETS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_TIMES = frozenset({"*", "\\cdot", "\\times"})
_DIVIDED = frozenset({"/", "\\div"})
DEEPEST_FRACTION = 16  # of fractions with letters, ours; sympy takes seconds for forty
DEEPEST = 40  # values inside of values, ours
MOST_SIGNS = 3  # in a row, ours: 5 - -(-3)
_STOPS = frozenset({")", "]", "}", "\\}", "|", ",", "\\rfloor", "\\rceil", "+", "-", "", "\\mod", "&"})


class _Parser:
    """Recursive descent over the tokens of one expression; each method consumes what it names."""

    def __init__(self, text: str) -> None:
        self.tokens = [match[0].strip() for match in _TOKEN.finditer(text)]
        self.place = 0
        self.factor = 0  # where the last factor began
        self.bound: list[str] = []  # the indices of the sums that we are inside of
        self.fractions = 0  # how many fractions we are inside of
        self.depth = 0  # how many values we are inside of
        self.infinities = 0  # how many were read since the whole value or bound began
        self.angles = 0  # how many trigonometric arguments we are inside of: degrees are radians there

    @property
    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.next
        if not token or (expected is not None and token != expected):
            raise Unparsable(f"expected {expected or 'more'}, found {token or 'the end'}")
        self.place += 1
        return token

    def whole(self) -> sympy.Expr:
        value = self.ending(self.total)
        if self.next:
            raise Unparsable(f"unexpected {self.next!r}")
        return value

    def ending(self, read: Callable[[], Any]) -> Any:
        """A whole value or bound that `read` reads: infinity may stand there alone, with a sign, and nowhere else."""
        outside, self.infinities = self.infinities, 0
        value = read()
        if self.infinities and (self.infinities > 1 or value not in _INFINITIES):
            raise Undefined("infinity is computed with")
        self.infinities = outside
        return _INFINITIES.get(value, value)

    def nested(self, read: Callable[[], Any]) -> Any:
        """What `read` reads, one level deeper; raises Unparsable where that is too deep."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unparsable(f"more than {DEEPEST} values inside of each other")
        value = read()
        self.depth -= 1
        return value

    def total(self) -> sympy.Expr:
        terms = [self.signed_product()]
        while self.next in ("+", "-"):
            terms.append(self.signed_product())
        value = sympy.Add(*terms)
        if self.next == "\\mod":
            self.take()
            return modulo(value, self.total())
        return value

    def signed_product(self) -> sympy.Expr:
        return self.sign() * self.product()

    def sign(self) -> int:
        """1 or -1, the signs that stand here together; a long run of them is no mathematics."""
        start, sign = self.place, 1
        while self.next in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        if self.place - start > MOST_SIGNS:
            raise Unparsable(f"more than {MOST_SIGNS} signs in a row")
        return sign

    def product(self, inside_function: bool = False) -> sympy.Expr:
        value = self.power_of_atom()
        while self.next not in _STOPS:
            if self.next in _DIVIDED:
                if inside_function and self.is_function(self.tokens[self.place + 1 : self.place + 2]):
                    break
                self.take()
                value = quotient(value, self.factor_after_sign())
            elif self.next in _TIMES:
                if inside_function:
                    break
                self.take()
                value = value * self.factor_after_sign()
            elif inside_function and self.is_function([self.next]):
                break
            else:
                value = self.juxtaposed(value)
        return value

    def juxtaposed(self, value: sympy.Expr) -> sympy.Expr:
        """Two factors side by side, not two numbers; an integer before a proper fraction is a mixed number."""
        before = self.tokens[self.factor : self.place]
        if self.next[0].isdigit() and (before[0] == "\\frac" or (len(before) == 1 and before[0][0].isdigit())):
            raise Unparsable("two numbers side by side")
        mixed = value.is_Integer and self.next == "\\frac" and self.tokens[self.place - 1].isdigit()
        factor = self.power_of_atom()
        if mixed and factor.is_Rational and 0 < factor < 1:
            return value + factor
        return value * factor

    def factor_after_sign(self) -> sympy.Expr:
        return self.sign() * self.power_of_atom()

    @staticmethod
    def is_function(tokens: list[str]) -> bool:
        return bool(tokens) and tokens[0].lstrip("\\") in _FUNCTIONS | {"log": sympy.log} and tokens[0].startswith("\\")

    def power_of_atom(self) -> sympy.Expr:
        start = self.place
        value = self.postfix(self.atom())
        if self.next == "^":
            self.take()
            exponent = self.exponent()
            degrees = sympy.pi / 180 if self.angles else 1
            value = self.postfix(value * degrees if exponent is None else power(value, exponent))
        self.factor = start
        return value

    def exponent(self) -> sympy.Expr | None:
        """The exponent after ^; None for a degree sign."""
        return self.nested(self.exponent_here)

    def exponent_here(self) -> sympy.Expr | None:
        if self.next == "\\circ":
            self.take()
            return None
        if self.tokens[self.place : self.place + 3] == ["{", "\\circ", "}"]:
            self.place += 3
            return None
        if self.next in ("-", "+"):
            return -self.power_of_atom() if self.take() == "-" else self.power_of_atom()
        base = self.atom()
        if self.next == "^":  # right-associative: a^b^c
            self.take()
            return power(base, self.exponent() or sympy.Integer(1))
        return base

    def postfix(self, value: sympy.Expr) -> sympy.Expr:
        while self.next in ("!", "\\%", "%"):
            if self.tokens[self.place : self.place + 2] == ["!", "!"]:
                self.place += 2
                value = double_factorial(value)
            else:
                value = factorial(value) if self.take() == "!" else value / 100
        return value

    def atom(self) -> sympy.Expr:
        return self.nested(self.atom_here)

    def atom_here(self) -> sympy.Expr:
        token = self.take()
        if token[-1].isdigit() or token[0].isdigit():
            return number(token)
        if token in _BRACKETS:
            value = self.total()
            self.take(_BRACKETS[token])
            return value
        if token in ("|", "\\|"):
            value = self.total()
            self.take(token)
            return sympy.Abs(value)
        if token in ("\\lfloor", "\\lceil"):
            value = self.total()
            self.take("\\r" + token[2:])
            return (sympy.floor if token == "\\lfloor" else sympy.ceiling)(value)
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isalpha():
            return self.symbol(token)
        raise Unparsable(f"unexpected {token!r}")

    def group(self) -> sympy.Expr:
        if self.next != "{":
            return self.atom()
        self.take("{")
        value = self.total()
        self.take("}")
        return value

    def command(self, name: str) -> sympy.Expr:
        if name == "pi":
            return sympy.pi
        if name == "infty":
            return self.infinity()
        if name == "Gamma" and self.next == "(":
            return gamma(self.atom())
        if name in GREEK:
            return self.symbol(name)
        if name in _FUNCTIONS or name == "log":
            return self.function(name)
        if name in ("frac", "binom"):
            self.fractions += 1
            above, below = self.group(), self.group()
            if self.fractions > DEEPEST_FRACTION and below.free_symbols:
                raise Unparsable(f"more than {DEEPEST_FRACTION} fractions in each other")
            self.fractions -= 1
            return quotient(above, below) if name == "frac" else binomial(above, below)
        if name == "sqrt":
            return self.root()
        if name in _SERIES:
            return self.series(_SERIES[name])
        if name in _MANY:
            return _MANY[name](*self.arguments())
        if name in ("overline", "bar") and (conjugate := self.conjugate()) is not None:
            return conjugate
        if name in ACCENTS:
            return self.symbol(name + " " + self.raw_group(capitals=True))
        raise Unparsable(f"unknown command \\{name}")

    def infinity(self, sign: int = 1) -> sympy.Expr:
        self.infinities += 1
        return sign * _INFINITY

    def series(self, kind: Any) -> sympy.Expr:
        """A sum or product over one index with both bounds; what follows it up to the next sign is under it."""
        index, low, high = "", None, None
        for _ in range(2):
            if self.next == "^":
                self.take()
                high = self.ending(self.exponent)
            else:
                self.take("_")
                self.take("{")
                index = self.take().lstrip("\\")
                self.take("=")
                low = self.ending(self.total)
                self.take("}")
        if low is None or high is None or not index.isalpha():
            raise Unparsable("a sum without bounds")
        self.bound.append(index)
        body = self.product()
        self.bound.remove(index)
        refuse_uncounted(low, high)
        value = computed(kind(body, (sympy.Symbol(index), low, high)))
        return self.infinity(1 if value > 0 else -1) if value in (sympy.oo, -sympy.oo) else value

    def conjugate(self) -> sympy.Expr | None:
        """The conjugate of a complex number, z or w under a bar; None, nothing consumed, for anything else under it."""
        start = self.place
        if self.next in ("{", "z", "w"):
            value = self.group()
            if (value.is_number and value.has(sympy.I)) or str(value) in ("z", "w"):
                return sympy.conjugate(value)
        self.place = start
        return None

    def root(self) -> sympy.Expr:
        degree: sympy.Expr = sympy.Integer(2)
        if self.next == "[":
            self.take("[")
            degree = self.total()
            self.take("]")
        radicand = self.group()
        if degree.is_Integer and degree % 2 == 1 and radicand.is_number and radicand.is_negative:
            return -power(-radicand, 1 / degree)  # the real root
        return power(radicand, 1 / degree)

    def function(self, name: str) -> sympy.Expr:
        base, exponent = None, None
        while self.next in ("^", "_"):
            if self.take() == "^":
                exponent = self.exponent()
            else:
                base = self.group()
        self.angles += name in _ANGULAR
        argument = self.argument()
        self.angles -= name in _ANGULAR
        if exponent == -1 and f"arc{name}" in _FUNCTIONS:
            return _FUNCTIONS[f"arc{name}"](argument)
        if name == "log":
            value = sympy.log(argument) if base is None else sympy.log(argument, base)
        else:
            value = _FUNCTIONS[name](argument)
        if value.is_infinite or value is sympy.nan:
            raise Undefined("undefined value")
        return value if exponent is None else power(value, exponent)

    def argument(self) -> sympy.Expr:
        """What a function is applied to: a bracketed group alone, else the factors up to the next sign or function."""
        if self.next in ("(", "{", "["):
            value = self.atom()
            return self.postfix(value)
        if self.next in ("-", "+"):
            return self.factor_after_sign()
        return self.product(inside_function=True)

    def arguments(self) -> list[sympy.Expr]:
        opening = self.take()
        if opening not in _BRACKETS:
            raise Unparsable(f"unexpected {opening!r}")
        closing = _BRACKETS[opening]
        values = [self.total()]
        while self.next == ",":
            self.take(",")
            values.append(self.total())
        self.take(closing)
        return values

    def symbol(self, name: str) -> sympy.Expr:
        subscript = ""
        if self.next == "_":
            self.take("_")
            subscript = "_" + self.raw_group()
        if self.next == "(" and (name[0] in "fghI" or self.tokens[self.place + 1 : self.place + 3] == ["0", ")"]):
            return sympy.Symbol(f"{name}{subscript}({', '.join(map(str, self.arguments()))})")  # applied, no product
        if not subscript and name in _LETTERS and name not in self.bound:
            return _LETTERS[name]
        return sympy.Symbol(name + subscript)

    def raw_group(self, capitals: bool = False) -> str:
        """The text of one token or braced group, without spaces: a subscript or what an accent stands on."""
        if self.next != "{":
            letters = self.take()
            while capitals and letters.isupper() and self.next.isalpha() and self.next.isupper():  # \angle ABC
                letters += self.take()
            return letters
        self.take("{")
        depth, text = 1, ""
        while depth:
            token = self.take()
            depth += (token == "{") - (token == "}")
            text += token if depth else ""
        return text.replace("{", "").replace("}", "").replace("\\text", "")


@lru_cache(maxsize=8_192)
def parse_expression(text: str) -> sympy.Expr:
    """Read one scalar expression; raises Unparsable (also for undefined values and trees above 300 nodes)."""
    try:
        value = _Parser(text).whole()
    except Unparsable as reason:
        value = read_with_latex2sympy(text, reason)
    if value.has(sympy.nan, sympy.zoo):
        raise Undefined("undefined value")
    refuse_large_tree(value)
    return value
