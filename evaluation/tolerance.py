"""Benchmarks that state a tolerance: a number is right within it (OlympiadBench)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from .exact_numbers import numbers_equal, read_number
from .graders import Verdict
from .normalization import Unreadable, normalize


def with_tolerance(verdict: Verdict, tolerance: float | None) -> Verdict:
    """Make a wrong verdict correct if both answers are numbers at most `tolerance` apart, units and percent as ever."""
    if tolerance is None or verdict.outcome != "wrong":
        return verdict
    try:
        prediction, gold = (
            read_number(normalize(answer)) for answer in (verdict.extracted_prediction, verdict.extracted_gold)
        )
    except Unreadable:
        return verdict
    if prediction is None or gold is None or abs(prediction.value - gold.value) > Fraction(str(tolerance)):
        return verdict
    if not numbers_equal(replace(prediction, value=gold.value), gold):
        return verdict
    return replace(verdict, correct=True, outcome="correct", reason=f"within the benchmark's tolerance {tolerance:g}")
