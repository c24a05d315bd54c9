"""English number words: "eighty", "one hundred and five", "two thirds", read into exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_UNITS |= {"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16}
_UNITS |= {"seventeen": 17, "eighteen": 18, "nineteen": 19}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7}
_PARTS |= {"eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100, "thousandth": 1000}
_PARTS |= {f"{name}s": value for name, value in _PARTS.items() if name not in ("half", "halves")}
_SIGNS = ("minus", "negative")
LONGEST = 12  # words, ours


def read_number_words(text: str) -> Fraction | None:
    """The number that a text spells out and nothing else; None for any other text."""
    names = re.findall(r"[a-z]+", text.casefold())
    if not names or len(names) > LONGEST or re.search(r"[^a-zA-Z\s-]", text.strip()):
        return None
    sign = -1 if names[0] in _SIGNS else 1
    names = names[1:] if sign < 0 else names
    if len(names) > 1 and names[-1] in _PARTS:
        above = 1 if names[:-1] in (["a"], ["one"]) else _whole(names[:-1])
        return None if above is None else Fraction(sign * above, _PARTS[names[-1]])
    if names == ["half"]:
        return Fraction(sign, 2)
    whole = _whole(names)
    return None if whole is None else Fraction(sign * whole)


def _whole(names: list[str]) -> int | None:
    total, group, last = 0, 0, 10**12
    for place, name in enumerate(names):
        if name == "and" and 0 < place < len(names) - 1 and names[place - 1] in ("hundred", *_SCALES):
            continue
        if name in _UNITS and group % 10 == 0 and (group % 100 == 0 or _UNITS[name] < 10):
            if group and _UNITS[name] == 0:
                return None
            group += _UNITS[name]
        elif name in _TENS and group % 100 == 0:
            group += _TENS[name]
        elif name == "hundred" and 0 < group < 10:
            group *= 100
        elif name in _SCALES and group > 0 and _SCALES[name] < last:
            last = _SCALES[name]
            total, group = total + group * last, 0
        else:
            return None
    return total + group if names else None


def part_size(name: str) -> int | None:
    """Into how many parts "thirds" or "tenths" divide one; None for any other word."""
    return _PARTS.get(name) if name.endswith("s") else None
