"""MAGIC's controller by hand: the paper's (steps of 0.005, own switch) and the scripts' (0.0001, previous step's)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from golden_records import method, slope, step_batch, summary, token_batch

from entrobench.api import Method

SCRIPTS = {"delta": 0.0001, "coefficient_high": 0.005, "switch": "previous"}


def after(subject: Method, surprisal: float, entropy: float = 9.0) -> tuple[float, bool]:
    """Coefficient and switch after a step that measured these."""
    subject.after_step(replace(summary(1), surprisal=surprisal, entropy=entropy))
    return subject.state.coefficient, subject.state.enabled


def active(subject: Method) -> float:
    """The coefficient that the loss has now."""
    found = subject.regularizer(token_batch([1.0], [1.0], entropy=[1.0]))
    assert found is not None
    return -found.item()


def coefficients(subject: Method, surprisals: list[float]) -> list[float]:
    """The coefficient in the loss of each step, given the mean surprisal of its own sampled tokens."""
    used = []
    for surprisal in surprisals:
        step = step_batch([1.0], [0], [2])
        subject.before_updates(replace(step, logp_old=torch.full_like(step.logp_old, -surprisal)))
        used.append(active(subject))
        after(subject, surprisal)
    return used


def test_the_papers_switch_is_the_steps_own() -> None:
    # eq. 3.2: α_k = c_k where e_k <= 0.2, else 0; c rises by 0.005 after each step below
    assert coefficients(method("magic"), [0.1, 0.1, 0.3]) == pytest.approx([0, 0.005, 0.0], abs=0)
    assert coefficients(method("magic"), [0.1, 0.2, 0.2, 0.3, 0.1]) == pytest.approx([0, 0.005, 0.005, 0, 0], abs=0)


def test_the_scripts_switch_is_the_step_befores() -> None:
    subject = method("magic", **{**SCRIPTS, "delta": 0.005})
    assert coefficients(subject, [0.1, 0.1, 0.3, 0.1]) == pytest.approx([0, 0.005, 0.005, 0.0], abs=0)


def test_the_paper_names_no_cap() -> None:
    assert coefficients(method("magic"), [0.1] * 301)[-1] == pytest.approx(1.5, rel=1e-12)


def test_equal_steps_up_and_down() -> None:
    subject = method("magic", **SCRIPTS)
    assert after(subject, 0.1) == (pytest.approx(0.0001), True)
    assert after(subject, 0.19) == (pytest.approx(0.0002), True)
    assert after(subject, 0.2) == (pytest.approx(0.0001), False)  # not below the target
    assert after(subject, 5.0) == (pytest.approx(0.0), False)
    assert after(subject, 5.0) == (0.0, False)  # the box


def test_the_cap() -> None:
    subject = method("magic", **SCRIPTS)
    for _ in range(60):
        after(subject, 0.0)
    assert subject.state.coefficient == 0.005


def test_the_analytic_estimator_looks_at_the_other_number() -> None:
    assert after(method("magic", estimator="analytic", **SCRIPTS), surprisal=9.0, entropy=0.1) == (
        pytest.approx(0.0001),
        True,
    )
    assert after(method("magic", estimator="analytic", **SCRIPTS), surprisal=0.1, entropy=9.0) == (0.0, False)


def test_the_bonus_is_off_at_and_above_the_target() -> None:
    subject = method("magic", coefficient=0.002, **SCRIPTS)
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
