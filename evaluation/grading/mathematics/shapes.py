"""The shape of an answer: list, tuple, interval, set, matrix, relation or scalar, read from its top level.

Runs in the worker only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise, product

import sympy

from entrobench.evaluation.grading.reading.conditions import split_condition
from entrobench.evaluation.grading.reading.exact_numbers import may_be_list, read_number
from entrobench.evaluation.grading.reading.scanning import enclosed, parts, split_top
from entrobench.evaluation.grading.reading.units import without_leading_words
from entrobench.evaluation.grading.reading.words import plain_words

from .equations import SIGNS, is_name, read_relation, relation_value
from .expressions import parse_expression
from .guards import Unparsable
from .real_sets import ORDER

LONGEST_PROGRESSION = 60  # terms written out, ours
MOST_CHOICES = 64  # of signs in one answer, ours

CONNECTIVE = re.compile(
    r"\s*,?\s*(?:\\text\s*\{\s*,?\s*(?P<text>and|or)\s*,?\s*\}|(?<![a-zA-Z\\])(?P<plain>and|or)(?![a-z]))\s*"
)
_MATRIX = re.compile(
    r"\\begin\s*\{([pbvBV]?matrix|array|cases|smallmatrix)\}\s*(?:\{[clr|]*\})?((?:(?!\\end|\\begin).)*)\\end\s*\{\1\}",
    re.DOTALL,
)
SET_ALGEBRA = ("\\cup", "\\cap", "\\setminus")
SET_SIGNS = (*SET_ALGEBRA, "\\in", "\\ne", "\\emptyset", "\\mathbb", *ORDER)
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_ONLY_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_NAMED_POINT = re.compile(r"[A-Z]'?\s*\((?=[^()]*,)")  # P(1,2)
_CHOSEN = re.compile(r"C\s*\(\s*(\d{1,5})\s*,\s*(\d{1,5})\s*\)")  # ways to choose, no point
_ANSWER_IS = re.compile(
    r"^(?:\\text\s*\{\s*)?(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|solution|result)s?\s*"
    r"(?::|\bis\b|\bare\b)\s*:?\s*\}?",
    re.IGNORECASE,
)
_NAMED_KIND = re.compile(
    r"^(?:the\s+|an?\s+)?(?:ordered\s+)?(?:points?|vector|pairs?|triple|interval|set|coordinates|ratio|both|either)\s*(?=[\d(\[\\-])",
    re.IGNORECASE,
)
_ONE_NUMBER = re.compile(r"[1-9]\d{0,2}(?:,\d{3})*,0\d{2}(?:,\d{3})*")  # (1,024) holds no 24
_LETTER = re.compile(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?")
_ALL_WITH = re.compile(
    r"^(?:\\text\s*\{\s*)?(?:for\s+all|all|for)\s*\}?\s*(?=[a-z]\s*(?:\\ge|\\le|\\ne|\\in|<|>)(?![a-z]))"
)
_UNIT_VECTOR = re.compile(r"\\vec\{[ijk]\}")
_TRANSPOSED = re.compile(r"(?<=\))\s*\^\s*\{?\s*(?:T|\\top|\\text\{T\}|\\intercal)\s*\}?$")
_REALS = re.compile(
    r"(?:the )?(?:set of )?(?:(?:all|any|every) )?(?P<sign>positive|negative|non-?negative|non-?positive)? ?"
    r"(?P<kind>real numbers?|reals?|integers?|natural numbers?|rational numbers?)(?: [a-z])?"
    r"(?:\s*(?:except\s+(?:for\s+)?(?:[a-z]\s*=\s*)?|(?:[a-z]\s*)?\\ne\s*)(?P<but>.*))?",
    re.IGNORECASE,
)
_BOUND_LETTER = re.compile(
    r"(?:[,;(]|\\text\s*\{\s*,?\s*(?:where|for|with)[a-z ]*\})\s*\(?"
    r"(?:\\text\s*\{\s*(?:where|for|with|and)[a-z ]*\}\s*)?"
    r"([a-z])\s*(?:\\in\s*\\mathbb\{[A-Z]\}|(?:\\text\s*\{)?\s*(?:is\s+)?(?:an?|any)\s+(?:integer|real))"
)
_NO_SOLUTION = ("no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set")
_TUPLES = re.compile(r"(?:\([^()]*,[^()]*\)\s*){2,}")  # (1,2)(3,4)
_CASE_WORD = re.compile(r"\\text\s*\{\s*(?:if|for|when|where)?\s*\}|\b(?:if|for|when)\b")
_ENUMERATED = re.compile(r"\((?:\d|i{1,3}|[a-d])\)\s*(?=[^\s,;])")


@dataclass(frozen=True)
class Shape:
    """An answer taken apart: its kind and its items (texts, or rows of texts for a matrix)."""

    kind: str  # scalar, list, tuple, brackets, half-open, set, matrix, relation
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    closing: str = ""

    @property
    def is_ordered(self) -> bool:
        """Whether the order of the items matters."""
        return self.kind in ("tuple", "brackets", "half-open")


def clean(text: str) -> str:
    """Take off what says nothing about the value: qualifiers, brackets round the whole, a point's name."""
    text = _without_labels(text)
    words = _ONLY_TEXT.fullmatch(text)
    text = words[1].strip() if words else text
    if plain_words(text) in _NO_SOLUTION:
        return "\\emptyset"
    chosen = _CHOSEN.fullmatch(text)
    if chosen is not None and int(chosen[1]) >= int(chosen[2]):
        return f"\\binom{{{chosen[1]}}}{{{chosen[2]}}}"
    point = _NAMED_POINT.match(text)
    text = text[point.end() - 1 :] if point and enclosed(text[point.end() - 1 :]) else text
    pair = enclosed(text)
    while (
        pair is not None and pair[0] in ("(", "{") and pair[2] in (")", "}") and len(parts(pair[1], ",", ";", "|")) == 1
    ):
        if pair[0] == "(" and split_top(pair[1], ("=", *ORDER))[0][1]:
            break
        text = pair[1]
        pair = enclosed(text)
    return text


def _without_labels(text: str) -> str:
    """Take off what only announces the value: "Answer:", "the point", \\text{The area is }, a transposition sign."""
    text = without_leading_words(_ANSWER_IS.sub("", text) or text)
    text = _ALL_WITH.sub("", _NAMED_KIND.sub("", text))
    text = f"({text[1:-1]})" if text.startswith("<") and text.endswith(">") and "," in text else text
    return _TRANSPOSED.sub("", text)


def with_same_letter(prediction: str, gold: str) -> str:
    """Write the prediction's bound letter ("k in Z", "t in R") in the gold's, where both name one."""
    mine, wanted = _BOUND_LETTER.findall(prediction), _BOUND_LETTER.findall(gold)
    if len(mine) != 1 or len(wanted) != 1 or mine == wanted or _has_letter(prediction, wanted[0]):
        return prediction
    return re.sub(rf"(?<![a-zA-Z\\]){mine[0]}(?![a-zA-Z])|(?<=\d){mine[0]}(?![a-zA-Z])", wanted[0], prediction)


def _has_letter(text: str, letter: str) -> bool:
    return letter in re.sub(r"\\[a-zA-Z]+\s*(?:\{[a-zA-Z ]*\})?", "", text)


def described(text: str) -> str:
    """A set-builder as the element that it spells out, "all reals except 2" as a set, any other text as it is."""
    reals = _REALS.fullmatch(_TEXT.sub(r"\1 ", text).strip())
    if reals is not None and (whole := _named_set(reals)):
        return f"{whole}\\setminus\\{{{reals['but']}\\}}" if reals["but"] else whole
    return _described_element(text) or text


_OF_SIGN = {"positive": "(0,\\infty)", "negative": "(-\\infty,0)", "nonnegative": "[0,\\infty)"}
_OF_SIGN |= {"nonpositive": "(-\\infty,0]"}


def _named_set(words: re.Match[str]) -> str:
    """The set that "all positive real numbers" names, "" where we have no sign for it."""
    sign, kind = (words["sign"] or "").replace("-", "").lower(), words["kind"].lower()
    if kind.startswith("real"):
        return _OF_SIGN.get(sign, "\\mathbb{R}")
    if kind.startswith("integer"):
        return {"": "\\mathbb{Z}", "positive": "\\mathbb{Z}^+"}.get(sign, "")
    return "" if sign else "\\mathbb{N}" if kind.startswith("natural") else "\\mathbb{Q}"


def _described_element(text: str) -> str | None:
    """ "{x | x = 2k pi, k in Z}": the element that the set-builder spells out."""
    pair = enclosed(text)
    sides = parts(pair[1], "|", ":") if pair is not None and pair[0] in ("{", "\\{") else []
    if len(sides) != 2:
        return None
    if not _LETTER.fullmatch(sides[0]):
        return None if "\\in" in sides[0] or "," in sides[0] else f"{sides[0]}, \\text{{where }} {sides[1]}"
    condition, qualifier = split_condition(sides[1])
    name, *value = parts(condition, "=")
    if len(value) != 1 or name != sides[0] or len(parts(condition, *SIGNS)) != 2:
        return None
    return f"{value[0]}, \\text{{where }} {qualifier}" if qualifier else value[0]


@lru_cache(maxsize=8_192)
def read_shape(text: str) -> Shape:
    """Take one cleaned answer apart at its top level."""
    if read_number(text) is not None and not may_be_list(text):
        return Shape("scalar", (text,))
    matrix = _MATRIX.fullmatch(text.strip("()[] ") if text.startswith(("(\\begin", "[\\begin")) else text)
    if matrix is not None:
        return _read_rows(matrix[1], matrix[2])
    items = _list_items(text)
    if len(items) > 1:
        return Shape("list", tuple(items))
    pair = enclosed(text)
    if pair is not None and pair[0] == "(" and len(pairs := _expand_plus_minus(text)) > 1:
        return Shape("list", tuple(pairs))
    if pair is not None and pair[0] in ("(", "[", "{", "\\{"):
        return _read_enclosed(pair, text)
    if read_relation(text) is not None:
        return Shape("relation", (text,))
    if _UNIT_VECTOR.search(text) and (components := _components(text)):
        return Shape("tuple", components, closing=")")
    plus_minus = _expand_plus_minus(text)
    return Shape("list", tuple(plus_minus)) if len(plus_minus) > 1 else Shape("scalar", (text,))


def _components(text: str) -> tuple[str, ...]:
    """The coordinates of a sum of the unit vectors i, j, k; none for any other expression."""
    value = sympy.expand(parse_expression(text))
    vectors = [sympy.Symbol(f"vec {letter}") for letter in "ijk"]
    coordinates = [value.coeff(vector) for vector in vectors]
    rest = value - sum(coordinate * vector for coordinate, vector in zip(coordinates, vectors, strict=True))
    if sympy.expand(rest) != 0 or any(coordinate.has(*vectors) for coordinate in coordinates):
        return ()
    known = coordinates if vectors[2] in value.free_symbols else coordinates[:2]
    return tuple(sympy.latex(coordinate) for coordinate in known)


def _read_rows(name: str, body: str) -> Shape:
    rows = [row.strip() for row in re.split(r"\\\\|\\cr", body)]
    if len(rows) == 1 and "&" in body:
        rows = re.split(r"\\(?=\s|-?\d)", body)  # a line break that lost one backslash
    table = tuple(tuple(cell.strip() for cell in row.split("&")) for row in rows if row.strip())
    if name == "cases" or (name == "array" and all(len(row) == 1 and read_relation(row[0]) for row in table)):
        return Shape("list", tuple(" ".join(_CASE_WORD.sub("", cell).strip(" ,") for cell in row) for row in table))
    if name in ("vmatrix", "Vmatrix"):
        return Shape("scalar", (f"\\begin{{{name}}}{body}\\end{{{name}}}",))
    return Shape("matrix", rows=table)


def _list_items(text: str) -> list[str]:
    """Split a bare list: semicolons first, then and/or, then commas; groups of equal length become tuples."""
    text = CONNECTIVE.sub(" \\\\andor ", text) if CONNECTIVE.search(text) else text
    text = re.sub(r"\)\s*\(", "),(", text) if _TUPLES.fullmatch(text) else text
    groups = [parts(group, ",") for group in parts(text, ";", "\\andor", "\\lor", "\\land")]
    groups = [[item for item in group if item] for group in groups]
    groups = [group for group in groups if group]
    if len(groups) > 1 and all(_ENUMERATED.match(group[0]) for group in groups):  # (1) 3; (2) 5
        groups = [[_ENUMERATED.sub("", group[0], count=1), *group[1:]] for group in groups]
    if len(groups) > 1 and all(len(group) == len(groups[0]) > 1 for group in groups):
        return [f"({','.join(right_sides(group))})" for group in groups]
    items = _spelled_out([item for group in groups for item in group])
    if len(items) < 2:
        return items
    return [element for item in _without_repeated_name(items) for element in _expand_plus_minus(item)]


def _spelled_out(items: list[str]) -> list[str]:
    """1, 2, ..., 10: an arithmetic progression of whole numbers, written out where it is short, else its three ends."""
    if items[-1:] == ["\\ldots"] or (items[-2:-1] == ["\\ldots"] and read_number(items[-1]) is None):
        return _shown_start(items)
    if items.count("\\ldots") != 1 or items.index("\\ldots") != len(items) - 2 or len(items) < 3:
        return items
    shown = [read_number(item) for item in (*items[:-2], items[-1])]
    if any(number is None or number.value.denominator != 1 for number in shown):
        return items
    *start, last = (int(number.value) for number in shown if number is not None)
    step = start[1] - start[0] if len(start) > 1 else 1
    whole = range(start[0], last + (1 if step > 0 else -1), step) if step else range(0)
    if len(whole) <= len(start) or list(whole[: len(start)]) != start or whole[-1] != last:
        return items
    ends = [whole[0], whole[1]]
    return (
        [str(number) for number in whole]
        if len(whole) <= LONGEST_PROGRESSION
        else [*map(str, ends), "\\ldots", str(last)]
    )


def _shown_start(items: list[str]) -> list[str]:
    """1, 3, 5, ... and 1, 3, 5, 7, ..., n: of an arithmetic progression without a last number, its first two terms."""
    place = items.index("\\ldots")
    numbers = [read_number(item) for item in items[:place]]
    values = [number.value for number in numbers if number is not None]
    steps = {two - one for one, two in pairwise(values)}
    return items[:2] + items[place:] if len(values) == place > 2 and len(steps) == 1 else items


def _without_repeated_name(items: list[str]) -> list[str]:
    """ "n = 1, 2, 3" names only its first element: take the name off."""
    chain = split_top(items[0], ("=",))
    rest_named = any(len(parts(item, "=")) > 1 for item in items[1:])
    if len(chain) == 2 and is_name(chain[0][0]) and not rest_named:
        return [chain[1][0], *items[1:]]
    return items


def _expand_plus_minus(text: str) -> list[str]:
    if "\\pm" not in text and "\\mp" not in text:
        return [text]
    pair = enclosed(text)
    coordinates = parts(pair[1], ",") if pair is not None and pair[0] == "(" else []
    if len(coordinates) > 1 and "\\mp" not in text:
        return [f"({','.join(choice)})" for choice in _choices(coordinates)]
    if text.count("\\pm") > 1 and "\\mp" not in text:
        return ["".join(choice) for choice in _choices(re.split(r"(?=\\pm)", text))]
    upper = text.replace("\\pm", "+").replace("\\mp", "-")
    lower = text.replace("\\pm", "-").replace("\\mp", "+")
    return [upper, lower]


def _choices(pieces: list[str]) -> list[tuple[str, ...]]:
    """Every choice of signs, each piece taking its own; raises Unparsable where they are too many."""
    choices = list(islice(product(*map(_expand_plus_minus, pieces)), MOST_CHOICES + 1))
    if len(choices) > MOST_CHOICES:
        raise Unparsable(f"more than {MOST_CHOICES} choices of signs")
    return choices


def _read_enclosed(pair: tuple[str, str, str], text: str) -> Shape:
    opening, inside, closing = pair
    if opening in ("{", "\\{"):
        if len(parts(inside, "|", ":")) == 2 and any(sign in inside for sign in SET_SIGNS):
            return Shape("relation", (text,))
        elements = _list_items(inside) if inside else []
        return Shape("set", tuple(element for item in elements for element in _expand_plus_minus(item)))
    if _ONE_NUMBER.fullmatch(inside):
        return Shape("scalar", (inside,))
    rows = [tuple(parts(row, ",")) for row in parts(inside, ";")]
    if opening == "[" and len(rows) > 1 and all(len(row) == 1 and " " in row[0] for row in rows):  # [1 2; 3 4]
        rows = [tuple(row[0].split()) for row in rows]
    if opening == "[" and len(rows) > 1 and len(rows[0]) > 1:  # [1, 2; 3, 4]
        return Shape("matrix", rows=tuple(rows))
    separator = "," if len(parts(inside, ",")) > 1 else ";"
    items = tuple(parts(inside, separator))
    if opening == "[" and all(item.startswith("[") for item in items):
        return Shape("matrix", rows=tuple(tuple(parts(item[1:-1], ",")) for item in items))
    kind = {"()": "tuple", "[]": "brackets"}.get(opening + closing, "half-open")
    return Shape(kind, items, closing=closing) if len(items) > 1 else Shape("scalar", (text,))


def right_sides(group: list[str]) -> list[str]:
    """The values that named items state; items without a name as they are."""
    return [relation_value(item) or item for item in group]
