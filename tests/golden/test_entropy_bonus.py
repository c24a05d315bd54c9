"""The entropy bonus by hand: probabilities (1/2, 1/4, 1/8, 1/8) have 7/4 bits of entropy."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from golden_records import method, slope, step_batch, token_batch
from torch import Tensor

LN2 = 0.6931471805599453


def dyadic() -> Tensor:
    """Logits of (1/2, 1/4, 1/8, 1/8), shifted; the shift must not matter."""
    return (torch.tensor([[4.0, 2.0, 1.0, 1.0]], dtype=torch.float64).log() + 3).requires_grad_()


def test_the_entropy() -> None:
    assert method("entropy_bonus").token_stats()["entropy"](dyadic()).item() == pytest.approx(1.2130075659799042)


def test_the_slope_of_the_entropy() -> None:
    # dH/dz = -p·(log p + H): -1/2·(-1 + 7/4), -1/4·(-2 + 7/4), -1/8·(-3 + 7/4) twice, each times ln 2
    logits = dyadic()
    found = slope(method("entropy_bonus").token_stats()["entropy"](logits), logits)
    assert found == pytest.approx([-0.375 * LN2, 0.0625 * LN2, 0.15625 * LN2, 0.15625 * LN2], rel=1e-12)


def test_a_token_that_cannot_occur_changes_nothing() -> None:
    logits = torch.cat([dyadic().detach(), torch.full((1, 1), -math.inf, dtype=torch.float64)], 1).requires_grad_()
    value = method("entropy_bonus").token_stats()["entropy"](logits)
    assert value.item() == pytest.approx(1.75 * LN2, rel=1e-12)
    assert slope(value, logits)[4] == 0


def test_the_regularizer_is_minus_coefficient_times_entropy() -> None:
    batch = token_batch([1.0, 2.0], [1.0, -1.0], entropy=[0.5, 1.5])
    found = method("entropy_bonus", coefficient=0.04).regularizer(batch)
    assert found is not None
    assert found[0].tolist() == pytest.approx([-0.02, -0.06], rel=1e-12)
    assert slope(found, batch.stats["entropy"]) == pytest.approx([-0.04, -0.04], rel=1e-12)


def test_the_policy_loss_is_grpos() -> None:
    batch = token_batch([2.0, 0.5], [1.0, -1.0], entropy=[0.5, 1.5])
    assert method("entropy_bonus", coefficient=9.0).token_loss(batch)[0].tolist() == pytest.approx([-1.2, 0.8])


def test_the_linear_decay() -> None:
    # from 0.04 towards 0.01 in 100 steps: 0.04 in the first, then 0.0003 less each
    decaying = method("entropy_bonus", coefficient=0.04, final_coefficient=0.01)
    tokens = token_batch([1.0], [1.0], entropy=[1.0])
    for step, expected in ((1, 0.04), (2, 0.0397), (51, 0.025), (100, 0.0103)):
        decaying.before_updates(replace(step_batch([1], [0], [1]), step=step, total_steps=100))
        found = decaying.regularizer(tokens)
        assert found is not None
        assert found[0].tolist() == pytest.approx([-expected], rel=1e-12)


def test_without_a_final_coefficient_it_is_constant() -> None:
    constant = method("entropy_bonus", coefficient=0.04)
    constant.before_updates(replace(step_batch([1], [0], [1]), step=70, total_steps=100))
    assert constant.state.coefficient == 0.04
