"""W-REINFORCE by hand: right answers have the advantage 0.1, wrong ones -1, whatever their group."""

from __future__ import annotations

import pytest
from golden_records import method, step_batch

from entrobench.catalogue.registry import load_method
from entrobench.config import parse
from entrobench.errors import InputError

REWARDS = [1.0, 0.0, 0.0, 1.0, 1.0]  # the second group is all right: GRPO would learn nothing from it
GROUPS = [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("values", "right", "wrong"),
    [
        ({}, 0.1, -1.0),
        ({"positive_weight": 0.0}, 0.0, -1.0),  # NSR
        ({"positive_weight": 1.0, "negative_weight": 0.0}, 1.0, 0.0),  # PSR
    ],
)
def test_the_advantages(values: dict[str, float], right: float, wrong: float) -> None:
    batch = step_batch(REWARDS, GROUPS, [2, 1, 2, 1, 2])
    found = method("w_reinforce", **values).advantages(batch)
    for row, reward in enumerate(REWARDS):
        expected = [(right if reward else wrong) * inside for inside in batch.mask[row].tolist()]
        assert found[row].tolist() == pytest.approx(expected, rel=1e-12)


def test_a_reward_in_between_is_both() -> None:
    # 0.1·0.25 - 1·0.75
    found = method("w_reinforce").advantages(step_batch([0.25], [0], [1]))
    assert found.tolist() == [[pytest.approx(-0.725, rel=1e-12)]]


def test_both_weights_zero_are_refused() -> None:
    values = {"positive_weight": 0.0, "negative_weight": 0.0}
    with pytest.raises(InputError, match="nothing would be learned"):
        parse(load_method("w_reinforce").Config, values, "here")
