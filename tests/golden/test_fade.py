"""FADE by hand: two groups with one and three right answers of four."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, step_batch, summary

STEP = step_batch([1, 0, 0, 0, 1, 1, 0, 1], [0] * 4 + [1] * 4, [1] * 8)  # half are right; entropy 1 nat


def advantages(state: dict[str, float], **values: Any) -> list[float]:
    subject = method("fade", **values)
    for name, value in state.items():
        setattr(subject.state, name, value)
    found: list[float] = subject.advantages(STEP)[:, 0].tolist()
    return found


def test_the_first_step_uses_its_own_averages() -> None:
    # p 0.5: α = 3·0.5/1 = 1.5; δ = 1 + 1 - 0.5, cut to 1; factors 0.75^0.5 and 0.25^0.5 = 0.5
    hard, easy = 0.75**0.5, 0.5
    expected = [hard * 0.75, *[-hard * 0.25] * 3, easy * 0.25, easy * 0.25, -easy * 0.75, easy * 0.25]
    assert advantages({}) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("reward", "power"), [(0.2, 2.0), (0.5, 0.5), (0.8, 0.0), (0.0, 2.0)])
def test_the_focus_is_cut_to_its_range(reward: float, power: float) -> None:
    # 3·0.8/0.4 = 6 -> 3; 1.5; 3·0.2/1.6 = 0.375 -> 1; nothing right at all -> 3
    found = advantages({"reward": reward, "entropy": 1.0, "first_entropy": 1.0})
    assert found[0] == pytest.approx(0.75**power * 0.75, rel=1e-12)


@pytest.mark.parametrize(("entropy", "damping"), [(0.1, 0.6), (0.5, 1.0), (2.0, 1.0)])
def test_low_entropy_makes_wrong_answers_count_more(entropy: float, damping: float) -> None:
    # δ = 1 + Ĥ - 0.5; α 1 leaves R - r̄
    found = advantages({"reward": 0.8, "entropy": entropy, "first_entropy": 1.0})
    assert found[:2] == pytest.approx([0.75, -0.25 / damping], rel=1e-12)


def test_the_target_may_be_given_and_the_damping_has_a_floor() -> None:
    found = advantages({"reward": 0.8, "entropy": 0.1, "first_entropy": 1.0}, target=2.0)
    assert found[1] == pytest.approx(-0.25 / 0.3, rel=1e-12)


def test_the_moving_averages() -> None:
    subject = method("fade")
    subject.after_step(replace(summary(1), reward=0.5, entropy=1.0))
    subject.after_step(replace(summary(2), reward=0.7, entropy=0.8))
    subject.after_step(replace(summary(3), reward=0.0, entropy=0.0, updates=0))
    state = subject.state
    assert (state.reward, state.entropy, state.first_entropy) == pytest.approx((0.504, 0.996, 1.0), rel=1e-12)
