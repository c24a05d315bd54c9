"""Calls of functions as sympy, Python and calculators write them, brought to LaTeX: binomial(10, 3), Union(a, b)."""

from __future__ import annotations

import re
from collections.abc import Callable

from .scanning import matching_brace, parts

_Form = str | Callable[[list[str]], str | None]


def _piecewise(cases: list[str]) -> str | None:
    """Pairs (value, condition), the last condition maybe True."""
    rows = [parts(case[1:-1], ",") for case in cases]
    if any(len(row) != 2 for row in rows):
        return None
    otherwise = {"True": "\\text{otherwise}"}
    body = "\\\\ ".join(f"{value} & {otherwise.get(condition, condition)}" for value, condition in rows)
    return f"\\begin{{cases}}{body}\\end{{cases}}"


def _series(command: str) -> Callable[[list[str]], str | None]:
    """Sum(term, (index, low, high))."""

    def written(arguments: list[str]) -> str | None:
        bounds = parts(arguments[1][1:-1], ",") if len(arguments) == 2 else []
        low_high = f"_{{{bounds[0]}={bounds[1]}}}^{{{bounds[2]}}}" if len(bounds) == 3 else ""
        return f"\\{command}{low_high}({arguments[0]})" if low_high else None

    return written


# {0} and {1} are the arguments; a separator alone joins them.
_TWO: dict[str, _Form] = {
    **dict.fromkeys(("binomial", "binom", "nCr", "comb"), "\\binom{{{0}}}{{{1}}}"),
    **dict.fromkeys(("nPr", "perm"), "\\frac{{({0})!}}{{({0}-({1}))!}}"),
    **dict.fromkeys(("Eq", "Equality"), "{0}={1}"),
    **{"root": "\\sqrt[{1}]{{{0}}}", "Rational": "\\frac{{{0}}}{{{1}}}", "Pow": "({0})^{{{1}}}"},
    **{"log": "\\log_{{{1}}}({0})", "Ne": "{0}\\ne {1}", "Complement": "{0}\\setminus {1}"},
    **{"Interval": "[{0},{1}]", "Interval.open": "({0},{1})", "Interval.Lopen": "({0},{1}]"},
    **{"Interval.Ropen": "[{0},{1})"},
}
_ONE: dict[str, _Form] = {
    **{"factorial": "({0})!", "factorial2": "({0})!!", "log2": "\\log_{{2}}({0})", "log10": "\\log_{{10}}({0})"},
    **{"Abs": "|{0}|", "ceiling": "\\lceil {0}\\rceil ", "gamma": "\\Gamma({0})", "Not": "\\text{{not }}{0}"},
}
_ANY: dict[str, _Form] = {
    **dict.fromkeys(("Point", "Point2D", "Point3D", "Tuple"), lambda arguments: f"({','.join(arguments)})"),
    **{"FiniteSet": lambda arguments: f"\\{{{','.join(arguments)}\\}}", "Union": "\\cup ".join},
    **{"Intersection": "\\cap ".join, "Or": "\\text{ or }".join, "And": "\\text{ and }".join},
    **{"Max": lambda arguments: f"\\max({','.join(arguments)})", "Piecewise": _piecewise},
    **{"Min": lambda arguments: f"\\min({','.join(arguments)})", "Sum": _series("sum"), "Product": _series("prod")},
}
_FORMS = {1: {**_ANY, **_ONE}, 2: {**_ANY, **_TWO}}
_NAMES = sorted({*_ONE, *_TWO, *_ANY}, key=len, reverse=True)
_CALL = re.compile(rf"(?<![a-zA-Z\\.])({'|'.join(map(re.escape, _NAMES))})\(")
_JOINED = re.compile(r"\(([^()]*[<>=][^()]*)\)\s*([&|])\s*(?=\()")
_LAST_JOINED = re.compile(r"(?<=\\text\{ and \})\(([^()]*)\)$|(?<=\\text\{ or \})\(([^()]*)\)$")
_SETS = {"Reals": "R", "Integers": "Z", "Naturals": "N", "Rationals": "Q", "Complexes": "C"}
_SET_NAME = re.compile(rf"(?:S\.)?\b({'|'.join(_SETS)})\b")
_EMPTY_SET = re.compile(r"(?:S\.)?\bEmptySet\b(?:\(\))?")


def without_calls(text: str) -> str:
    """Write the calls that we know as LaTeX, the innermost last; text without such calls stays as it is."""
    if text[:1] == "(" and _JOINED.match(text):  # (x > 1) & (x < 3)
        text = _JOINED.sub(lambda side: f"{side[1]}\\text{{ {'and' if side[2] == '&' else 'or'} }}", text)
        text = _LAST_JOINED.sub(lambda side: side[1] or side[2], text)
    text = _EMPTY_SET.sub(r"\\emptyset ", _SET_NAME.sub(lambda name: f"\\mathbb{{{_SETS[name[1]]}}}", text))
    place = 0
    while (call := _CALL.search(text, place)) is not None:
        end = matching_brace(text, call.end() - 1)
        written = _written(call[1], text[call.end() : end]) if end > 0 else None
        if written is None:
            place = call.end()
            continue
        text = text[: call.start()] + written + text[end + 1 :]
        place = call.start()
    return text


def _written(name: str, inside: str) -> str | None:
    arguments = [argument.strip() for argument in parts(inside, ",")]
    form = _FORMS.get(len(arguments), _ANY).get(name)
    if form is None:
        return None
    return form.format(*arguments) if isinstance(form, str) else form(arguments)
