"""Positive-advantage reweighting by hand: the weight of each schedule, and what it multiplies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, step_batch, summary

STEP = step_batch([1, 0], [0, 0], [1, 2])
A = 0.5 / (0.5**0.5 + 1e-6)  # rewards 1 and 0: deviation ±0.5, standard deviation with n - 1 sqrt(0.5)


def advantages(step: int = 1, **values: Any) -> list[list[float]]:
    subject = method("positive_reweighting", **values)
    found: list[list[float]] = subject.advantages(replace(STEP, step=step, total_steps=100)).tolist()
    return found


def test_only_positive_advantages_are_weighted() -> None:
    expected = [[pytest.approx(0.3 * A, rel=1e-12), 0.0], [pytest.approx(-A, rel=1e-12)] * 2]
    assert advantages(weight=0.3) == expected


@pytest.mark.parametrize(
    ("schedule", "step", "weight"),
    [
        ("stage", 1, 0.0),
        ("stage", 50, 0.0),
        ("stage", 75, 0.5),
        ("stage", 100, 1.0),
        ("epoch", 20, 0.0),  # five epochs of 20 steps: 0, 1/4, 1/2, 3/4, 1
        ("epoch", 21, 0.25),
        ("epoch", 60, 0.5),
        ("epoch", 81, 1.0),
        ("epoch", 100, 1.0),
    ],
)
def test_the_schedules(schedule: str, step: int, weight: float) -> None:
    assert advantages(step, schedule=schedule, epochs=5)[0][0] == pytest.approx(weight * A, rel=1e-12)


@pytest.mark.parametrize(
    ("entropy", "start", "after"),
    [(0.1, 1.0, 0.95), (0.3, 0.5, 0.55), (0.2, 0.5, 0.5), (0.3, 1.0, 1.0), (0.1, 0.02, 0.0)],
)
def test_the_weight_follows_the_entropy(entropy: float, start: float, after: float) -> None:
    subject = method("positive_reweighting", weight=start)
    subject.after_step(replace(summary(1), entropy=entropy))
    assert subject.state.weight == pytest.approx(after, abs=1e-12)


def test_a_step_without_an_update_moves_nothing() -> None:
    subject = method("positive_reweighting")
    subject.after_step(replace(summary(1), entropy=0.0, updates=0))
    assert subject.state.weight == 1.0
