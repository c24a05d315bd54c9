"""Answers in a notation of their own: digits in a base, times of day, several choice letters.

Each rule returns its verdict, or None where it does not apply. Runs in the worker only.
"""

from __future__ import annotations

import re

from .exact_numbers import numbers_equal, read_number

BASE = re.compile(
    r"\(?([0-9A-Fa-f.]+)\)?\s*_\s*\{?\s*(?:\\text\s*\{)?\s*(\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|sixteen)\s*\}*"
)
_LETTERS = re.compile(r"[A-H](?:\s*(?:,|\band\b)?\s*[A-H])+")
_LISTED = re.compile(r",|\band\b")
_MODULUS = re.compile(r"\\mod\s*\{?\s*(\w+)\s*\}?\)?$")
_CLOCK = re.compile(
    r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(?:\\text\s*\{)?\s*([ap]\s*\.?\s*m\.?)?\s*\}?", re.IGNORECASE
)


def choices_equal(prediction: str, gold: str) -> bool | None:
    """Several choice letters: AC, "A, C" and "A and C" are the same."""
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


def _seconds(clock: re.Match[str]) -> int:
    hours = int(clock[1])
    if clock[4]:
        hours = hours % 12 + (12 if clock[4].lower().startswith("p") else 0)
    return hours * 3600 + int(clock[2] or 0) * 60 + int(clock[3] or 0)
