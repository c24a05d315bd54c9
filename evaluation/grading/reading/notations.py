"""Answers in a notation of their own: digits in a base, times of day, several choice letters.

Each rule returns its verdict, or None where it does not apply. Runs in the worker only.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import perm

from .exact_numbers import numbers_equal, read_number
from .units import unit_name

BASE = re.compile(
    r"\(?([0-9A-Fa-f.]+)\)?\s*_\s*\{?\s*(?:\\text\s*\{)?\s*(\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|sixteen)\s*\}*"
)
_LETTERS = re.compile(r"[A-H](?:\s*(?:,|\band\b)*\s*[A-H])+")
_LISTED = re.compile(r",|\band\b")
_DRESSED = re.compile(r"\\text\s*\{([^{}]*)\}|\(([A-H])\)")
_MODULUS = re.compile(r"\\mod\s*\{?\s*(\w+)\s*\}?\)?$")
_CLOCK = re.compile(
    r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(?:\\text\s*\{)?\s*([ap]\s*\.?\s*m\.?)?\s*\}?", re.IGNORECASE
)


def choices_equal(prediction: str, gold: str) -> bool | None:
    """Several choice letters: AC, "A, C" and "A and C" are the same."""
    prediction, gold = (
        _DRESSED.sub(lambda dress: f" {dress[1] or dress[2]} ", _DRESSED.sub(r" \1\2 ", text)).strip()
        for text in (prediction, gold)
    )
    if not (_LETTERS.fullmatch(prediction) and _LETTERS.fullmatch(gold)) or not _LISTED.search(prediction + gold):
        return None
    return sorted(re.findall("[A-H]", prediction)) == sorted(re.findall("[A-H]", gold))


def bases_equal(prediction: str, gold: str) -> bool | None:
    """Digits with a base: the same base, or none in the prediction; base 10 says nothing."""
    first, second = BASE.fullmatch(prediction), BASE.fullmatch(gold)
    if second is None:
        return _decimal_base(first, gold)
    if first is not None:
        return (first[1].lower().lstrip("0"), first[2]) == (second[1].lower().lstrip("0"), second[2])
    return prediction.strip("()").lower().lstrip("0") == second[1].lower().lstrip("0")


def _decimal_base(prediction: re.Match[str] | None, gold: str) -> bool | None:
    numbers = read_number(prediction[1]) if prediction and prediction[2] == "10" else None, read_number(gold)
    return None if numbers[0] is None or numbers[1] is None else numbers_equal(numbers[0], numbers[1])


def moduli_differ(prediction: str, gold: str) -> bool | None:
    """Residues with a modulus each: False where the moduli are not the same number."""
    first, second = _MODULUS.search(prediction), _MODULUS.search(gold)
    if first is None or second is None or "\\equiv" not in prediction or "\\equiv" not in gold:
        return None
    return None if first[1] == second[1] else False


def clocks_equal(prediction: str, gold: str) -> bool | None:
    """Times of day, where one side writes seconds or a.m. and p.m. (else h:mm is a ratio)."""
    first, second = _CLOCK.fullmatch(prediction), _CLOCK.fullmatch(gold)
    if first is None or second is None or any(not (match[2] or match[4]) for match in (first, second)):
        return None
    if not any(match[group] for match in (first, second) for group in (3, 4)):
        return None
    return _seconds(first) == _seconds(second)


_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH_NAMES = {name: number for number, month in enumerate(_MONTHS, start=1) for name in (month, month[:3])}
_NUMERIC_DATE = re.compile(
    r"(?:(?P<year>\d{4})\s*[-年]\s*)?(?P<month>1[0-2]|0?[1-9])\s*(?:-(?=\d\d$)|月)\s*(?P<day>3[01]|[12]\d|0?[1-9])\s*日?"
)
_ARRANGED = re.compile(r"[AP]\s*\(\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\)")


def dates_equal(prediction: str, gold: str) -> bool | None:
    """Days of a month in any order and dress: June 20, 20 June, the 20th of June."""
    first, second = _date(prediction), _date(gold)
    return None if first is None or second is None else first == second


def _date(text: str) -> tuple[int, int, int | None] | None:
    opened = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text).casefold()
    numeric = _NUMERIC_DATE.fullmatch(opened.strip())
    if numeric is not None:
        return int(numeric["month"]), int(numeric["day"]), int(numeric["year"]) if numeric["year"] else None
    names = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", opened))
    if re.search(r"[^\w\s,.]", opened):
        return None
    names = [name for name in names if name not in ("the", "of", "on")]
    months = [_MONTH_NAMES[name] for name in names if name in _MONTH_NAMES]
    numbers = [int(name) for name in names if name.isdigit()]
    if len(months) != 1 or len(months) + len(numbers) != len(names) or not 1 <= len(numbers) <= 2:
        return None
    day, *year = numbers
    return (months[0], day, year[0] if year else None) if 1 <= day <= 31 else None


def arrangements_equal(prediction: str, gold: str) -> bool | None:
    """P(5,2) beside a number counts ordered choices; beside anything else it may be a point."""
    arranged, other = (
        (_ARRANGED.fullmatch(prediction), gold) if "(" in prediction else (_ARRANGED.fullmatch(gold), prediction)
    )
    number = read_number(other)
    if arranged is None or number is None or int(arranged[1]) < int(arranged[2]):
        return None
    return number.value == perm(int(arranged[1]), int(arranged[2]))


_SIZES = {"day": 86_400, "h": 3_600, "min": 60, "s": 1, "yd": 36, "ft": 12, "in": 1, "lb": 16, "oz": 1}
_SIZES |= {"km": 1_000_000, "m": 1_000, "cm": 10, "mm": 1, "kg": 1_000, "g": 1, "dollar": 100, "cent": 1}
_SYSTEMS: tuple[tuple[str, ...], ...] = (("day", "h", "min", "s"), ("yd", "ft", "in"), ("lb", "oz"))
_SYSTEMS += (("km", "m", "cm", "mm"), ("kg", "g"), ("dollar", "cent"))
_MEASURE = re.compile(r"\s*(?:,|and\b)?\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+|[\u4e00-\u9fff]+)\.?")


def measures_equal(prediction: str, gold: str) -> bool | None:
    """2 hours 30 minutes is 150 minutes and 2.5 hours; None where neither side adds units up."""
    mine, other = _measure(prediction), _measure(gold)
    if mine is None or other is None or max(mine[2], other[2]) < 2:
        return None
    return mine[:2] == other[:2]


def _measure(text: str) -> tuple[Fraction, tuple[str, ...], int] | None:
    """(total in the smallest unit, system of units, number of parts) of "2 hours and 30 minutes"; None for others."""
    opened = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text).strip()
    total, place, names = Fraction(0), 0, []
    while (part := _MEASURE.match(opened, place)) is not None:
        names.append(unit_name(part[2].lower()))
        if names[-1] not in _SIZES:
            return None
        total += Fraction(part[1]) * _SIZES[names[-1]]
        place = part.end()
    system = next((system for system in _SYSTEMS if names and set(names) <= set(system)), None)
    ordered = system is not None and [system.index(name) for name in names] == sorted({system.index(n) for n in names})
    return (total, system, len(names)) if system is not None and ordered and place == len(opened) else None


def _seconds(clock: re.Match[str]) -> int:
    hours = int(clock[1])
    if clock[4]:
        hours = hours % 12 + (12 if clock[4].lower().startswith("p") else 0)
    return hours * 3600 + int(clock[2] or 0) * 60 + int(clock[3] or 0)
