"""CISPO by hand: loss -w·A·log π and slope -w·A with the clipped ratio w, where GRPO's slope is 0 once clipped."""

from __future__ import annotations

import math

import pytest
from golden_records import method, slope, token_batch

# ratio, advantage -> weight, with clip 0.2 / 0.28 on both signs alike; log π = log ratio - 2
WEIGHTS = [
    (1.0, 1.0, 1.0),
    (1.25, 1.0, 1.25),
    (3.0, 1.0, 1.28),
    (0.5, 1.0, 0.8),
    (0.5, -2.0, 0.8),
    (3.0, -1.0, 1.28),
]


def test_the_weight_is_the_clipped_ratio_for_both_signs() -> None:
    batch = token_batch([r for r, _, _ in WEIGHTS], [a for _, a, _ in WEIGHTS])
    found = method("cispo", clip_low=0.2, clip_high=0.28).token_loss(batch)
    losses = [-w * a * (math.log(r) - 2) for r, a, w in WEIGHTS]
    assert found[0].tolist() == pytest.approx(losses, rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([-w * a for _, a, w in WEIGHTS], rel=1e-12)


def test_the_default_has_no_lower_bound_and_weights_up_to_five() -> None:
    batch = token_batch([0.001, 4.9, 7.0], [1.0, 1.0, -1.0])
    assert slope(method("cispo").token_loss(batch), batch.logp) == pytest.approx([-0.001, -4.9, 5.0], rel=1e-12)


def test_a_lower_clip_above_one_is_no_bound() -> None:
    # verl's example: 1 - 10 = -9, and a ratio is positive
    batch = token_batch([0.001, 3.0], [1.0, 1.0])
    found = method("cispo", clip_low=10.0, clip_high=0.2).token_loss(batch)
    assert slope(found, batch.logp) == pytest.approx([-0.001, -1.2], rel=1e-12)


def test_on_policy_the_slope_is_grpos() -> None:
    batch = token_batch([1.0, 1.0], [0.7, -1.3])
    assert slope(method("cispo").token_loss(batch), batch.logp) == [-0.7, 1.3]
    assert slope(method("grpo").token_loss(batch), batch.logp) == [-0.7, 1.3]
