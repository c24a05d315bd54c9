"""Values and gradients of decision processes against enumeration and torch's autograd, in float64."""

from __future__ import annotations

import numpy
import pytest
import torch
from processes import apart, dense, sequence_probabilities

from entrobench.theory.bonus import bonuses, trajectory_entropy, trajectory_gradient, uniform_entropy
from entrobench.theory.constructions import Construction, build, stack
from entrobench.theory.process import norm, occupancies, policies, value, value_gradient

ROUNDING = 1e-12  # values and gradients are sums of at most 4^3 products of numbers up to 10, each exact to 1e-16


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_value_entropy_and_gradients_equal_those_of_enumerated_sequences(horizon: int) -> None:
    process, logits = dense(numpy.random.default_rng(horizon), 3, 4, horizon)
    leaves = [torch.tensor(own, requires_grad=True) for own in logits]
    log_probs = sequence_probabilities(leaves)
    rewards = torch.tensor(process.levels[-1].rewards.reshape(3, -1))
    expected, entropy = (log_probs.exp() * rewards).sum(1), -(log_probs.exp() * log_probs).sum(1)
    found, own = policies(process, logits), bonuses(process, logits, None)
    aside = uniform_entropy(process, None)
    assert numpy.allclose(value(process, found), expected.detach(), rtol=0, atol=ROUNDING)
    assert numpy.allclose(trajectory_entropy(process, found, own, aside), entropy.detach(), rtol=0, atol=ROUNDING)
    for scalar, ours in (
        (expected, value_gradient(process, found)),
        (entropy, trajectory_gradient(process, found, own, aside, through_states=True)),
    ):
        for one, other in zip(torch.autograd.grad(scalar.sum(), leaves, retain_graph=True), ours, strict=True):
            assert numpy.allclose(one, other, rtol=0, atol=ROUNDING)


def test_groups_are_exact_not_an_approximation() -> None:
    """A bandit held in groups has the value and the gradient of the same bandit with every action on its own."""
    process, logits = build(Construction(actions=500, decoys=40, spread=1.5), 3, 5, 0)
    alone, own = apart(process, logits)
    counts = process.levels[0].counts[0, 0].astype(int)
    grouped, single = policies(process, logits), policies(alone, own)
    assert value(process, grouped) == pytest.approx(value(alone, single), abs=1e-15)
    gradient = numpy.repeat(value_gradient(process, grouped)[0][0, 0], counts)
    assert numpy.allclose(gradient, value_gradient(alone, single)[0][0, 0], rtol=1e-12, atol=1e-18)
    norms = norm(process, value_gradient(process, grouped)), norm(alone, value_gradient(alone, single))
    assert norms[0] == pytest.approx(norms[1], rel=1e-12)


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_nodes_that_are_not_held_change_nothing(horizon: int) -> None:
    """A sparse tree gives what the whole tree gives, whose other nodes start uniform."""
    settings = Construction(actions=6, horizon=horizon, spread=0.7)
    process, logits = build(settings, 2, 2, 3)
    whole, own = _whole(process, logits, 6)
    sparse, full = policies(process, logits), policies(whole, own)
    assert value(process, sparse) == pytest.approx(value(whole, full), abs=1e-15)
    entropies = [
        trajectory_entropy(one, found, bonuses(one, theta, None), uniform_entropy(one, None))
        for one, found, theta in ((process, sparse, logits), (whole, full, own))
    ]
    assert entropies[0] == pytest.approx(entropies[1], rel=1e-13)
    slopes = [
        norm(one, trajectory_gradient(one, found, bonuses(one, theta, None), uniform_entropy(one, None), True))
        for one, found, theta in ((process, sparse, logits), (whole, full, own))
    ]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-12)


def _whole(process, logits, actions):  # type: ignore[no-untyped-def]
    """The dense tree of a sparse one with one row; nodes that it does not hold are uniform."""
    from entrobench.theory.process import Level, Process

    places, levels, thetas = {0: 0}, [], []  # held node -> dense node
    for depth, (level, own) in enumerate(zip(process.levels, logits, strict=True)):
        shape = (1, actions**depth, actions)
        rewards, theta, following = numpy.zeros(shape), numpy.zeros(shape), {}
        for held, place in places.items():
            times = level.counts[0, held].astype(int)
            theta[0, place] = numpy.repeat(own[0, held], times)
            rewards[0, place] = numpy.repeat(level.rewards[0, held], times)
            starts = numpy.cumsum(times) - times
            for branch in range(level.branch):
                if times[branch]:
                    following[held * level.branch + branch] = place * actions + starts[branch]
        last = depth + 1 == process.horizon
        levels.append(Level(numpy.ones(shape), rewards, 0 if last else actions))
        thetas.append(theta)
        places = following
    return Process(tuple(levels)), thetas


def test_occupancies_leave_out_absent_sequences() -> None:
    process, logits = build(Construction(actions=100, horizon=2), 1, 3, 0)
    reached = occupancies(process, policies(process, logits))
    assert (reached[1][0, 1:] == 0).all()
    assert reached[1][0, 0] > 0


def test_fewer_optimal_sequences_are_a_subset_and_units_differ() -> None:
    settings = Construction(actions=1000, spread=1.0)
    (_, few), (_, many), (_, other) = (build(settings, *rest) for rest in ((1, 5, 7), (5, 5, 7), (5, 5, 8)))
    assert few[0][0, 0, 0] == many[0][0, 0, 0]
    assert many[0][0, 0, 0] != other[0][0, 0, 0]
    process, _ = stack([build(settings, k, 5, 0) for k in (1, 5)])
    assert process.levels[0].counts.sum(-1).ravel().tolist() == [1000, 1000]
