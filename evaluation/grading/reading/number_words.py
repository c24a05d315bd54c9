"""Number words, English and Chinese: "one hundred and five", "two thirds of", "五十", "三分之一", as exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction

from .units import unit_name
from .vocabulary import counts

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


def read_number_words(text: str) -> tuple[Fraction | None, str]:
    """The number that a text spells out, and the unit or counted thing behind it; (None, "") for any other text."""
    chinese = _CHINESE.fullmatch(text.strip())
    if chinese is not None:
        return _read_chinese(chinese)
    names = re.findall(r"[a-z]+", text.casefold())
    if not names or len(names) > LONGEST or re.search(r"[^a-zA-Z\s-]", text.strip()):
        return None, ""
    for end in range(len(names), 0, -1):
        number, rest = _spelled(names[:end]), names[end:]
        if number is not None:
            rest = rest[1:] if rest[:1] in (["a"], ["an"]) else rest  # half an hour
            known = rest == ["percent"] or all(map(unit_name, rest)) or counts(rest)
            return (number, " ".join(rest)) if known else (None, "")
    return None, ""


def _spelled(names: list[str]) -> Fraction | None:
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


_NUMERAL = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TEN_POWERS = {"十": 10, "百": 100, "千": 1_000}
_COLLOQUIAL = {"百": 10, "千": 100, "万": 1_000}
_NUMERALS = "[零〇一二两三四五六七八九十百千万亿]+"
_CHINESE = re.compile(
    rf"(?P<sign>负)?(?:(?P<below>{_NUMERALS})分之(?P<above>{_NUMERALS})|(?P<whole>{_NUMERALS}))(?P<unit>[\u4e00-\u9fff]{{0,4}})"
)


def _read_chinese(match: re.Match[str]) -> tuple[Fraction | None, str]:
    unit = match["unit"]
    if unit and not (unit_name(unit) or counts([unit])):
        return None, ""
    pieces = [match["whole"]] if match["whole"] else [match["above"], match["below"]]
    numbers = [_chinese_whole(piece) for piece in pieces]
    if any(number is None for number in numbers) or numbers[1:] == [0]:
        return None, ""
    value = Fraction(*(number for number in numbers if number is not None))
    return -value if match["sign"] else value, unit


def _chinese_whole(text: str) -> int | None:
    """Numerals with powers of ten (一百零五), or digit by digit (二〇二四)."""
    if all(character in _NUMERAL for character in text):
        return int("".join(str(_NUMERAL[character]) for character in text))
    if text[-1] in _NUMERAL and text[-2] in _COLLOQUIAL:  # 一百二 is 120
        return (_chinese_whole(text[:-1]) or 0) + _NUMERAL[text[-1]] * _COLLOQUIAL[text[-2]]
    total, group, digit = 0, 0, None
    for character in text:
        if character in _NUMERAL:
            digit = _NUMERAL[character]
        elif character in _TEN_POWERS:
            group += (1 if digit is None else digit) * _TEN_POWERS[character]
            digit = None
        else:
            scale = 10**4 if character == "万" else 10**8
            total, group, digit = (total + group + (digit or 0)) * scale, 0, None
    return total + group + (digit or 0)


def part_size(name: str) -> int | None:
    """Into how many parts "thirds" or "tenths" divide one; None for any other word."""
    return _PARTS.get(name) if name.endswith("s") else None
