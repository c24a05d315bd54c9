"""MAGIC's controller by hand, with Skywork-OR1's numbers: target 0.2, steps of 0.0001, box [0, 0.005]."""

from __future__ import annotations

from dataclasses import replace

import pytest
from golden_records import method, slope, summary, token_batch

from entrobench.api import Method


def after(subject: Method, surprisal: float, entropy: float = 9.0) -> tuple[float, bool]:
    """Coefficient and switch after a step that measured these."""
    subject.after_step(replace(summary(1), surprisal=surprisal, entropy=entropy))
    return subject.state.coefficient, subject.state.enabled


def test_equal_steps_up_and_down() -> None:
    subject = method("magic")
    assert after(subject, 0.1) == (pytest.approx(0.0001), True)
    assert after(subject, 0.19) == (pytest.approx(0.0002), True)
    assert after(subject, 0.2) == (pytest.approx(0.0001), False)  # not below the target
    assert after(subject, 5.0) == (pytest.approx(0.0), False)
    assert after(subject, 5.0) == (0.0, False)  # the box


def test_the_cap() -> None:
    subject = method("magic")
    for _ in range(60):
        after(subject, 0.0)
    assert subject.state.coefficient == 0.005


def test_the_analytic_estimator_looks_at_the_other_number() -> None:
    assert after(method("magic", estimator="analytic"), surprisal=9.0, entropy=0.1) == (pytest.approx(0.0001), True)
    assert after(method("magic", estimator="analytic"), surprisal=0.1, entropy=9.0) == (0.0, False)


def test_the_bonus_is_off_at_and_above_the_target() -> None:
    subject = method("magic", coefficient=0.002)
    tokens = token_batch([1.0, 1.0], [1.0, 1.0], entropy=[0.5, 1.5])
    found = subject.regularizer(tokens)
    assert found is not None
    assert found[0].tolist() == pytest.approx([-0.001, -0.003], rel=1e-12)  # on at the start
    assert slope(found, tokens.stats["entropy"]) == pytest.approx([-0.002, -0.002], rel=1e-12)
    assert after(subject, 0.3) == (pytest.approx(0.0019), False)
    off = subject.regularizer(tokens)
    assert off is not None
    assert off.abs().sum() == 0
    assert after(subject, 0.1) == (pytest.approx(0.002), True)
    on = subject.regularizer(tokens)
    assert on is not None
    assert on[0].tolist() == pytest.approx([-0.001, -0.003], rel=1e-12)
