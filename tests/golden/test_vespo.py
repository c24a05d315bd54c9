"""VESPO by hand: w = 2 has the weight 2²·e^-3 for A > 0 and 2³·e^-2 for A < 0."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from golden_records import method, slope, token_batch

# two ratios, advantage -> weight φ(w) of the product w
WEIGHTS = [
    ((2.0, 1.0), 1.0, 4 * math.exp(-3)),
    ((2.0, 1.0), -1.0, 8 * math.exp(-2)),
    ((0.5, 1.0), 1.0, 0.25 * math.exp(1.5)),
    ((0.5, 1.0), -1.0, 0.125 * math.exp(1.0)),
    ((8.0, 0.125), 1.0, 1.0),  # far from 1 as tokens, 1 as a sequence
    ((3.0, 3.0), 1.0, 81 * math.exp(-24)),  # w = 9: fades to nothing, without a clip
]


@pytest.mark.parametrize(("ratios", "advantage", "weight"), WEIGHTS)
def test_the_weight_and_the_slope(ratios: tuple[float, float], advantage: float, weight: float) -> None:
    batch = token_batch(list(ratios), [advantage] * 2)
    found = method("vespo").token_loss(batch)
    assert found[0].tolist() == pytest.approx([-weight * advantage * (math.log(r) - 2) for r in ratios], rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([-weight * advantage] * 2, rel=1e-12)


def test_padding_does_not_count() -> None:
    batch = replace(token_batch([2.0, 1.0, 10.0], [1.0] * 3), mask=torch.tensor([[True, True, False]]))
    found = method("vespo").token_loss(batch)
    assert slope(found, batch.logp)[:2] == pytest.approx([-4 * math.exp(-3)] * 2, rel=1e-12)


def test_a_vanishing_ratio_stops_at_1e_8() -> None:
    batch = token_batch([1e-6, 1e-6], [1.0, 1.0])
    expected = 1e-16 * math.exp(3 * (1 - 1e-8))
    assert slope(method("vespo").token_loss(batch), batch.logp) == pytest.approx([-expected] * 2, rel=1e-9)


def test_on_policy_the_slope_is_grpos() -> None:
    batch = token_batch([1.0, 1.0], [0.7, -1.3])
    assert slope(method("vespo").token_loss(batch), batch.logp) == pytest.approx([-0.7, 1.3], rel=1e-12)
