"""GRPO by hand: advantages, the clipped surrogate and its gradient, the four aggregations."""

from __future__ import annotations

import math

import pytest
from golden_records import method, slope, step_batch, token_batch

from entrobench.objective import token_weights

# Two groups that are not constant have, with n - 1, the same standard deviation:
# (1,0,0,1): mean 1/2, sum of squares 4·(1/4) = 1,         variance 1/3
# (1,0,0):   mean 1/3, sum of squares 4/9 + 1/9 + 1/9 = 2/3, variance 1/3
SCALE = 1 / (0.5773502691896258 + 1e-6)


def test_advantages_of_three_groups() -> None:
    batch = step_batch([1, 0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1, 2, 2], [3, 1, 2, 3, 1, 2, 3, 1, 2])
    found = method("grpo").advantages(batch)
    by_sequence = [0.5, -0.5, -0.5, 0.5, 2 / 3, -1 / 3, -1 / 3, 0, 0]
    for row, (value, mask) in enumerate(zip(by_sequence, batch.mask.tolist(), strict=True)):
        assert found[row].tolist() == pytest.approx([value * SCALE * inside for inside in mask], rel=1e-12)
    assert float(found[0, 0]) == pytest.approx(0.8660239037869, rel=1e-12)  # 0.5 / 0.5773512691896258
    assert found[7:].abs().sum() == 0  # exactly: the group is constant


def test_a_constant_group_whose_mean_is_not_exact() -> None:
    # 0.1 has no exact sum: the mean of seven is off by one unit in the last place, over 1e-6 that would still be noise
    assert not method("grpo").advantages(step_batch([0.1] * 7, [0] * 7, [1] * 7)).any()


# ratio, advantage -> loss, d loss / d logp, with clip 0.2 / 0.2: -min(r·A, clip(r)·A); the slope is -r·A or 0
SURROGATE = [
    (1.0, 1.0, -1.0, -1.0),
    (2.0, 1.0, -1.2, 0.0),  # clipped above
    (0.5, 1.0, -0.5, -0.5),  # worse than before: never clipped for A > 0
    (2.0, -1.0, 2.0, 2.0),  # worse than before: never clipped for A < 0
    (0.5, -1.0, 0.8, 0.0),  # clipped below
    (1.1, 0.5, -0.55, -0.55),
    (0.9, -0.5, 0.45, 0.45),
    (3.0, 0.0, 0.0, 0.0),
]


def test_the_clipped_surrogate_and_its_slope() -> None:
    ratios, advantages, losses, slopes = (list(column) for column in zip(*SURROGATE, strict=True))
    batch = token_batch(ratios, advantages)
    found = method("grpo").token_loss(batch)
    assert found[0].tolist() == pytest.approx(losses, rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx(slopes, rel=1e-12)


def test_the_dual_clip_bounds_the_loss_of_negative_advantages_alone() -> None:
    # c = 3: A = -2, r = 5 costs 10 and is cut to 3·2 = 6, without slope; r = 2.5 costs 5 < 6 and stays; A > 0 as before
    batch = token_batch([5.0, 2.5, 5.0], [-2.0, -2.0, 1.0])
    found = method("grpo", {"dual_clip": 3.0}).token_loss(batch)
    assert found[0].tolist() == pytest.approx([6.0, 5.0, -1.2], rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([0.0, 5.0, 0.0], rel=1e-12)


def test_the_ratio_is_bounded_by_the_clamp_of_the_log_ratio() -> None:
    # log-ratio 1 clamped to 0.5: r = e^0.5 = 1.6487212707; beyond the clamp there is no slope
    batch = token_batch([math.e], [-1.0])
    found = method("grpo", {"log_ratio_clamp": 0.5}).token_loss(batch)
    assert found[0].tolist() == pytest.approx([1.6487212707001282], rel=1e-12)
    assert slope(found, batch.logp) == [0.0]


# losses 6 | 1 2 3 | an empty response; B = 3, configured longest response 10
@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("token-mean", 12 / 4),
        ("seq-mean-token-mean", (6 / 1 + 6 / 3 + 0) / 3),
        ("seq-mean-token-sum", (6 + 6 + 0) / 3),
        ("seq-mean-token-sum-norm", (6 + 6 + 0) / (3 * 10)),
    ],
)
def test_the_four_aggregations(aggregation: str, expected: float) -> None:
    mask = step_batch([0, 0, 0], [0, 0, 0], [1, 3, 0]).mask
    losses = mask.double()
    losses[0, 0], losses[1, :3] = 6, losses.new_tensor([1, 2, 3])
    assert float((losses * token_weights(mask, aggregation, longest=10)).sum()) == pytest.approx(expected, rel=1e-12)


def test_without_regularizer() -> None:
    assert method("grpo").regularizer(token_batch([1.0], [1.0])) is None
