"""Numbers written as digits: read into exact rationals and compared by the stated rules for decimals and percent.

Policy: an exact gold accepts a decimal that rounds to it with at least 4 significant digits; a decimal gold of at
least 3 accepts an exact value that rounds to it; two decimals agree when the longer rounds to the shorter and that has
at least 6; the print of a double (15 digits or more) is the value that it rounds;
a percent sign on one side alone may be dropped or divided out; there is no factor of 100 without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from .units import is_known, split_unit, units_differ

MOST_DIGITS = 500  # ours
FLOAT_DIGITS = 15  # from which on a decimal is the print of a double
FLOAT_ROUNDING = 2**50  # 4 units in the last place of a double, relative, ours
LARGEST_EXPONENT = 1_000  # of ten, ours

_DIGITS = (
    r"(?:[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+)(?:\.\d+)?|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?"
    r"|\d+(?:\.\d*)?|\.\d+)"
)
_SCIENTIFIC = r"(?:[eE]([+-]?\d{1,4})|\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*\{?\(?\s*([+-]?\s*\d{1,4})\s*\)?\}?)"
_PLAIN = re.compile(rf"({_DIGITS}){_SCIENTIFIC}?")
_RATIO = re.compile(rf"\\frac\s*\{{\s*(-?{_DIGITS})\s*\}}\s*\{{\s*(-?{_DIGITS})\s*\}}|({_DIGITS})\s*/\s*({_DIGITS})")
_MIXED = re.compile(r"(\d+)\s*(?:\\frac\{\s*(\d+)\s*\}\{\s*(\d+)\s*\}|\s(\d+)\s*/\s*(\d+))")
_DECIMAL_COMMA = re.compile(r"(\d+),(\d{1,2}|\d{4,})|(0),(\d+)")
_INDIAN = re.compile(r"[-+]?\d{1,2}(?:,\d{2})+,\d{3}")
_PERCENT = re.compile(r"\s*\\?%\s*\.?$")
_DEGREES = re.compile(r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)\s*$")


@dataclass(frozen=True)
class Number:
    """One number as written: its exact value, and for decimals the places (may be negative) and significant digits."""

    value: Fraction
    places: int | None = None
    significant: int = 0
    percent: bool = False
    degrees: bool = False
    unit: str = ""

    @property
    def fraction_of_one(self) -> Number:
        """The same number with its percent sign divided out."""
        places = None if self.places is None else self.places + 2
        return replace(self, value=self.value / 100, places=places, percent=False)


@lru_cache(maxsize=65_536)
def read_number(text: str) -> Number | None:
    """Read a normalised text that is one number and nothing else but sign, percent, degrees and unit."""
    if len(text) > MOST_DIGITS or not any(character.isdigit() for character in text):
        return None
    number = _read_signed(text)
    if number is not None:
        return number
    value, unit = split_unit(text)
    percent, degrees = _PERCENT.search(value), _DEGREES.search(value)
    mark = percent or degrees
    number = _read_signed(split_unit(value[: mark.start()])[0] if mark else value)
    if number is None:
        return None
    return replace(number, percent=percent is not None, degrees=degrees is not None, unit=unit)


def _read_signed(text: str) -> Number | None:
    text = text.strip()
    sign = -1 if text.startswith("-") else 1
    body = text[1:].strip() if text[:1] in ("-", "+") else text
    number = _read_plain(body) or _read_ratio(body) or _read_mixed(body) or _read_decimal_comma(body)
    return None if number is None else replace(number, value=sign * number.value)


def _read_plain(text: str) -> Number | None:
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    exponent = int((match[2] or match[3] or "0").replace(" ", ""))
    if abs(exponent) > LARGEST_EXPONENT:
        return None
    return _decimal(_bare(match[1]), exponent)


def _bare(digits: str) -> str:
    return digits.replace(",", "").replace(" ", "")


def _decimal(digits: str, exponent: int = 0) -> Number:
    whole, _, decimals = digits.partition(".")
    value = Fraction(int((whole + decimals) or "0")) * Fraction(10) ** (exponent - len(decimals))
    if not decimals and exponent >= 0:
        return Number(value)
    significant = len((whole + decimals).lstrip("0"))
    return Number(value, places=len(decimals) - exponent, significant=significant)


def _read_ratio(text: str) -> Number | None:
    match = _RATIO.fullmatch(text)
    if match is None:
        return None
    above, below = (match[1] or match[3], match[2] or match[4])
    sign = -1 if above.startswith("-") != below.startswith("-") else 1
    numerator, denominator = (_decimal(_bare(part.lstrip("-"))).value for part in (above, below))
    return None if denominator == 0 else Number(sign * numerator / denominator)


def _read_mixed(text: str) -> Number | None:
    match = _MIXED.fullmatch(text)
    if match is None:
        return None
    numerator, denominator = int(match[2] or match[4]), int(match[3] or match[5])
    return Number(int(match[1]) + Fraction(numerator, denominator)) if 0 < numerator < denominator else None


def may_be_list(text: str) -> bool:
    """Say whether a number may as well be a list: "1,22" is 1.22 in some languages, "12,15,100" groups as in India."""
    return _DECIMAL_COMMA.fullmatch(text.lstrip("-+ ")) is not None or _INDIAN.fullmatch(text) is not None


def _read_decimal_comma(text: str) -> Number | None:
    match = _DECIMAL_COMMA.fullmatch(text)
    return None if match is None else _decimal(f"{match[1] or match[3]}.{match[2] or match[4]}")


def numbers_equal(prediction: Number, gold: Number) -> bool:
    """Say whether two numbers are the same answer under the policy in this module's docstring."""
    if units_differ(prediction.unit, gold.unit) or (prediction.percent, gold.degrees) == (True, True):
        return False
    if (prediction.degrees, gold.percent) == (True, True):
        return False
    if any(one.percent and is_known(other.unit) for one, other in ((prediction, gold), (gold, prediction))):
        return False
    if any(one.degrees and other.unit == "radian" for one, other in ((prediction, gold), (gold, prediction))):
        return False
    if prediction.percent == gold.percent:
        return _values_equal(prediction, gold)
    if prediction.percent:
        return _values_equal(prediction, gold) or _values_equal(prediction.fraction_of_one, gold)
    return _values_equal(prediction, gold) or _values_equal(prediction, gold.fraction_of_one)


def _values_equal(prediction: Number, gold: Number) -> bool:
    if prediction.value == gold.value or is_float_of(gold.value, gold.significant, prediction):
        return True
    if prediction.places is not None and gold.places is not None:
        shorter, longer = sorted((prediction, gold), key=lambda number: number.places or 0)
        return shorter.places != longer.places and rounds_to(longer.value, shorter, least_digits=6)
    if prediction.places is not None:
        hides_digits = prediction.places < 0 and gold.value.denominator == 1  # 1.235e6 for 1234567
        return not hides_digits and rounds_to(gold.value, prediction, least_digits=4)
    return gold.places is not None and rounds_to(prediction.value, gold, least_digits=3)


def is_float_of(value: Fraction, significant: int, decimal: Number) -> bool:
    """Say whether a decimal is `value` as double precision prints it after a few operations: 0.30000000000000004."""
    if (
        decimal.places is None
        or decimal.places < 1
        or decimal.significant < FLOAT_DIGITS
        or significant >= FLOAT_DIGITS
    ):
        return False
    return abs(decimal.value - value) <= abs(value) / FLOAT_ROUNDING


def rounds_to(value: Fraction, decimal: Number, least_digits: int) -> bool:
    """Say whether `value`, rounded to the places of `decimal`, is that decimal, which needs enough digits."""
    if decimal.places is None or decimal.significant < least_digits:
        return False
    return abs(value - decimal.value) * 2 <= Fraction(10) ** (-decimal.places)
