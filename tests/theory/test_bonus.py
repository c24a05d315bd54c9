"""The full and the clamped entropy over groups, against the entropies of the training code and finite differences."""

from __future__ import annotations

import numpy
import pytest
import torch
from processes import apart

from entrobench.entropy.logits import clamped_entropy
from entrobench.theory.bonus import kept_actions, kept_weights, node_bonus
from entrobench.theory.constructions import Construction, build


@pytest.mark.parametrize("clamp", [0.0, 0.29, 0.33, 0.9])
def test_groups_have_the_entropy_and_slope_of_the_training_code(clamp: float) -> None:
    """Actions of a group tie, so that the cut runs through ties at every clamp: they share the places left."""
    process, logits = build(Construction(actions=300, spread=1.2), 4, 4, 1)
    counts = process.levels[0].counts
    kept = numpy.array([[float(kept_actions(300, clamp))]]) if clamp else None
    bonus = node_bonus(logits[0], counts, kept)
    _, (alone,) = apart(process, logits)
    theta = torch.tensor(alone[0], requires_grad=True)
    value = clamped_entropy(theta, clamp)
    value.sum().backward()
    assert bonus.value[0, 0] == pytest.approx(value.item(), abs=1e-13)
    slope = numpy.repeat(bonus.slope[0, 0], counts[0, 0].astype(int))
    assert numpy.allclose(slope, theta.grad[0].numpy(), rtol=1e-11, atol=1e-15)


def test_slope_matches_finite_differences() -> None:
    source = numpy.random.default_rng(0)
    logits, counts = source.normal(size=(1, 1, 9)), numpy.ones((1, 1, 9))
    kept = numpy.array([[5.0]])
    slope, width = node_bonus(logits, counts, kept).slope[0, 0], 1e-6
    for place in range(9):
        shift = numpy.zeros_like(logits)
        shift[0, 0, place] = width
        ends = [node_bonus(logits + sign * shift, counts, kept).value[0, 0] for sign in (1, -1)]
        assert (ends[0] - ends[1]) / (2 * width) == pytest.approx(slope[place], abs=1e-8)  # 1e-6² and 1e-16/1e-6


def test_kept_weights_add_up_to_the_kept_actions_whatever_the_order() -> None:
    logits = numpy.array([[[2.0, 1.0, 1.0, 0.0]]])
    counts = numpy.array([[[1.0, 2.0, 3.0, 4.0]]])
    weights = kept_weights(logits, counts, numpy.array([[3.0]]))
    assert weights[0, 0].tolist() == [1.0, 0.4, 0.4, 0.0]  # two places for five equal actions
    assert (weights * counts).sum() == 3.0


def test_the_quick_cut_of_single_actions_equals_the_sorted_one() -> None:
    source = numpy.random.default_rng(1)
    logits = source.normal(size=(1, 1, 50)).round(1)  # with ties
    quick = kept_weights(logits, numpy.ones_like(logits), numpy.array([[20.0]]))
    twice = numpy.repeat(logits, 2, axis=0)
    by_sorting = kept_weights(twice, numpy.ones_like(twice), numpy.array([[20.0], [20.0]]))
    assert (quick[0] == by_sorting[0]).all()
