"""Entrocraft by hand: the moving band and the three kinds of step. The test steps have an entropy of 1 nat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, step_batch

BATCH = replace(step_batch([1, 0, 0, 1], [0, 0, 1, 1], [1, 2, 2, 1]), step=50, total_steps=100)
WIDE = {"low_start": 0.0, "low_end": 0.0, "high_start": 9.0, "high_end": 9.0}


def advantages(**values: Any) -> list[list[float]]:
    found: list[list[float]] = method("entrocraft", **values).advantages(BATCH).tolist()
    return found


def test_above_the_band_only_right_answers_count() -> None:
    assert advantages() == [[1, 0], [0, 0], [0, 0], [1, 0]]


def test_below_the_band_only_wrong_answers_count() -> None:
    low = {"low_start": 2.0, "low_end": 2.0, "high_start": 3.0, "high_end": 3.0}
    assert advantages(**low) == [[0, 0], [-1, -1], [-1, -1], [0, 0]]


def test_inside_the_band_it_is_grpo() -> None:
    assert advantages(**WIDE) == method("grpo").advantages(BATCH).tolist()
    assert advantages(**{**WIDE, "low_start": 1.0, "low_end": 1.0}) == advantages(**WIDE)  # the ends belong to it
    assert advantages(**{**WIDE, "high_start": 1.0, "high_end": 1.0}) == advantages(**WIDE)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("linear", 1, (0.598, 0.698)),  # [0.6, 0.7] -> [0.4, 0.5] in 100 steps
        ("linear", 50, (0.5, 0.6)),
        ("linear", 100, (0.4, 0.5)),
        ("cosine", 25, (0.6 - 0.2 * 0.1464466094067262, 0.7 - 0.2 * 0.1464466094067262)),  # (1 - cos 45°)/2
        ("cosine", 50, (0.5, 0.6)),
        ("cosine", 100, (0.4, 0.5)),
    ],
)
def test_the_band(schedule: str, step: int, expected: tuple[float, float]) -> None:
    subject: Any = method("entrocraft", schedule=schedule)
    assert subject._band(step, 100) == pytest.approx(expected, rel=1e-12)
