"""AsymGRPO by hand: odds to a power, a power for each sign."""

from __future__ import annotations

from typing import Any

import pytest
from golden_records import method, step_batch

STEP = step_batch([1, 0, 0, 0, 1, 1, 0.5, 0.5], [0, 0, 0, 0, 1, 1, 2, 2], [2, 1, 1, 1, 1, 1, 1, 1])


def advantages(**values: Any) -> list[list[float]]:
    found: list[list[float]] = method("asym_grpo", **values).advantages(STEP).tolist()
    return found


def test_the_two_exponents() -> None:
    # one of four right: odds against 3
    found = advantages()
    assert found[0] == pytest.approx([3**0.9] * 2, rel=1e-12)
    assert [row[0] for row in found[1:4]] == pytest.approx([-(3**-0.4)] * 3, rel=1e-12)
    assert [row[1] for row in found[1:]] == [0.0] * 7


def test_a_group_of_equal_rewards_teaches_nothing() -> None:
    assert [row[0] for row in advantages()[4:]] == [0.0] * 4


def test_at_one_half_it_is_the_reward_over_the_populations_standard_deviation() -> None:
    # (1 - 1/4)/sqrt(3/16) and (0 - 1/4)/sqrt(3/16)
    found = advantages(beta_positive=0.5, beta_negative=0.5)
    assert [row[0] for row in found[:2]] == pytest.approx([0.75 / 0.1875**0.5, -0.25 / 0.1875**0.5], rel=1e-12)
