"""SAPO by hand: f(r) = 4/τ·σ(τ·(r - 1)), df/dr = 4·σ·(1 - σ), times r for the slope by log π."""

from __future__ import annotations

import math

import pytest
from golden_records import method, slope, token_batch

S1 = 0.7310585786300049  # σ(1)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_gate_at_one_and_at_two() -> None:
    batch = token_batch([1.0, 2.0], [1.0, 1.0])
    found = method("sapo").token_loss(batch)
    assert found[0].tolist() == pytest.approx([-2.0, -4 * S1], rel=1e-12)  # τ 1: 4·σ(0) = 2
    assert slope(found, batch.logp) == pytest.approx([-1.0, -4 * S1 * (1 - S1) * 2], rel=1e-12)
    assert slope(method("sapo").token_loss(batch), batch.logp)[1] == pytest.approx(-1.5728954659318548, rel=1e-12)


@pytest.mark.parametrize("ratio", [0.2, 0.9, 1.0, 1.5, 6.0])
@pytest.mark.parametrize(("advantage", "gate"), [(0.5, 1.0), (-0.5, 1.05), (0.0, 1.05)])
def test_the_sign_of_the_advantage_picks_the_gate(ratio: float, advantage: float, gate: float) -> None:
    batch = token_batch([ratio], [advantage])
    found = method("sapo").token_loss(batch)
    s = sigmoid(gate * (ratio - 1))
    assert found[0].tolist() == pytest.approx([-4 / gate * s * advantage], rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([-4 * s * (1 - s) * ratio * advantage], rel=1e-12)


def test_on_policy_the_slope_is_grpos_whatever_the_gate() -> None:
    batch = token_batch([1.0, 1.0], [0.7, -1.3])
    found = method("sapo", gate_positive=3.0, gate_negative=0.5).token_loss(batch)
    assert slope(found, batch.logp) == pytest.approx([-0.7, 1.3], rel=1e-12)
