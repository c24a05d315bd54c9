"""REPO-R by hand: the factor of each advantage, where its sign turns, and how ζ moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from golden_records import method, padded, step_batch, summary

A = 0.5 / (0.5**0.5 + 1e-6)  # rewards 1 and 0
STEP = replace(step_batch([1, 0], [0, 0], [2, 2]), logp_old=padded([[-1.0, -5.0], [-1.0, -5.0]]))


def test_unlikely_tokens_gain_where_the_answer_is_right_and_lose_less_where_it_is_wrong() -> None:
    # A·(1 + ζ|log π|) and -A·(1 - ζ|log π|)
    found = method("repo_r", coefficient=0.1).advantages(STEP)
    assert found[0].tolist() == pytest.approx([1.1 * A, 1.5 * A], rel=1e-12)
    assert found[1].tolist() == pytest.approx([-0.9 * A, -0.5 * A], rel=1e-12)


def test_the_sign_of_a_rare_token_turns() -> None:
    rare = replace(STEP, logp_old=STEP.logp_old * 4)  # -4 and -20
    found = method("repo_r", coefficient=0.1).advantages(rare)
    assert found[1].tolist() == pytest.approx([-0.6 * A, 1.0 * A], rel=1e-12)


def test_the_coefficient_doubles_below_the_first_entropy_and_halves_above_it() -> None:
    subject = method("repo_r", coefficient=0.04)
    for entropy, expected in [(0.5, 0.04), (0.4, 0.08), (0.5, 0.08), (0.3, 0.1), (0.6, 0.05), (0.7, 0.025)]:
        subject.after_step(replace(summary(1), entropy=entropy))
        assert subject.state.coefficient == pytest.approx(expected, rel=1e-12)
    subject.after_step(replace(summary(1), entropy=0.0, updates=0))
    assert subject.state.coefficient == pytest.approx(0.025, rel=1e-12), "a step without an update moves nothing"
