"""Flexible clip by hand: the widths in both phases, and when the phases change."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from golden_records import method, step_batch, summary, token_batch

WIDE = 0.2 * (2 - math.exp(-2))  # the records' tokens had log π_old = -2


@pytest.mark.parametrize(("rising", "expected"), [(True, [-1 - WIDE, 0.8]), (False, [-1.2, 1 - WIDE])])
def test_the_clip_that_a_phase_widens(rising: bool, expected: list[float]) -> None:
    subject = method("flexible_clip")
    subject.state.rising = rising
    found = subject.token_loss(token_batch([2.0, 0.5], [1.0, -1.0]))
    assert found[0].tolist() == pytest.approx(expected, rel=1e-12)


def test_the_lower_bound_never_falls_below_zero() -> None:
    subject = method("flexible_clip", slope=9.0)
    subject.state.rising = False
    assert subject.token_loss(token_batch([0.01], [-1.0]))[0].tolist() == pytest.approx([0.01], rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "rising"),
    [
        ("rise-fall", {1: True, 50: True, 51: False, 100: False}),
        ("fall-rise-fall", {1: False, 34: False, 35: True, 67: True, 68: False, 100: False}),
    ],
)
def test_the_phases_by_steps(schedule: str, rising: dict[int, bool]) -> None:
    subject = method("flexible_clip", schedule=schedule)
    for step, expected in rising.items():
        subject.before_updates(replace(step_batch([1], [0], [1]), step=step, total_steps=100))
        assert subject.state.rising is expected, step


def test_the_oscillation_between_a_floor_and_a_falling_ceiling() -> None:
    # first entropy 1: floor 0.2, ceiling 1 - 0.8·step/100
    subject = method("flexible_clip", schedule="oscillating")
    path = [(1, 1.0, False), (10, 0.5, False), (20, 0.2, True), (30, 0.7, True), (40, 0.68, False), (100, 0.2, True)]
    for step, entropy, expected in path:
        subject.after_step(replace(summary(step), entropy=entropy))
        assert subject.state.rising is expected, step
    subject.after_step(replace(summary(100), entropy=0.9, updates=0))
    assert subject.state.rising is True, "a step without an update changes no phase"
