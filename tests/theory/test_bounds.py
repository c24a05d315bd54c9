"""Every inequality on random processes in float64, and the regularised optimum in closed form against optimisers."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import dense
from scipy.optimize import minimize

from entrobench.theory import bounds
from entrobench.theory.constructions import Construction, build, stack
from entrobench.theory.optimiser import maximise
from entrobench.theory.process import norm, policies, policy, value

PROCESSES = {
    "seed": st.integers(0, 2**32 - 1),
    "actions": st.integers(2, 7),
    "horizon": st.integers(1, 3),
    "coefficient": st.floats(0.01, 2.0),
}


@settings(max_examples=60, deadline=None)
@given(**PROCESSES)
def test_every_bound_holds_on_random_processes(seed: int, actions: int, horizon: int, coefficient: float) -> None:
    process, logits = dense(numpy.random.default_rng(seed), 4, actions, horizon)
    weights = numpy.full(4, coefficient)
    for bound in (
        bounds.gradient_bound(process, logits),
        bounds.stationary_bound(process, logits),
        bounds.soft_gap(process, logits, weights),
        bounds.bias_bound(process, logits, weights),
    ):
        assert bound.holds.all(), bound


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), optimal=st.integers(1, 5), horizon=st.integers(1, 3), lift=st.floats(-3, 8))
def test_every_bound_holds_on_sparse_processes(seed: int, optimal: int, horizon: int, lift: float) -> None:
    construction = Construction(actions=1000, horizon=horizon, spread=2.0, lift=lift)
    process, logits = build(construction, optimal, 5, seed)
    weights = numpy.full(1, 0.05)
    assert bounds.gradient_bound(process, logits).holds.all()
    assert bounds.stationary_bound(process, logits).holds.all()
    assert bounds.soft_gap(process, logits, weights).holds.all()
    assert bounds.bias_bound(process, logits, weights).holds.all()


def test_a_bound_that_does_not_hold_is_told() -> None:
    assert bounds.Bound(numpy.array([1.0, 1.0]), numpy.array([0.99, 1.0])).holds.tolist() == [0.0, 1.0]


@settings(max_examples=40, deadline=None)
@given(**PROCESSES)
def test_closed_form_equals_enumeration(seed: int, actions: int, horizon: int, coefficient: float) -> None:
    """V_λ* = λ ln Σ e^(R/λ) over sequences, written out once more."""
    process, _ = dense(numpy.random.default_rng(seed), 3, actions, horizon)
    rewards = process.levels[-1].rewards.reshape(3, -1)
    largest = rewards.max(1, keepdims=True)
    weights = numpy.exp((rewards - largest) / coefficient)
    best, reward = bounds.soft_optimum(process, numpy.full(3, coefficient))
    assert best == pytest.approx(largest[:, 0] + coefficient * numpy.log(weights.sum(1)), abs=1e-12)
    assert reward == pytest.approx((weights * rewards).sum(1) / weights.sum(1), abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(**PROCESSES)
def test_closed_form_equals_natural_gradient(seed: int, actions: int, horizon: int, coefficient: float) -> None:
    process, logits = dense(numpy.random.default_rng(seed), 3, actions, horizon)
    weights = numpy.full(3, coefficient)
    found = maximise(process, logits, weights)
    best, reward = bounds.soft_optimum(process, weights)
    assert bounds.soft_value(process, found, weights) == pytest.approx(best, abs=1e-8)
    assert value(process, policies(process, found)) == pytest.approx(reward, abs=1e-8)
    ideal = bounds.soft_optimal_logits(process, weights)
    assert bounds.soft_value(process, ideal, weights) == pytest.approx(best, abs=1e-12 * (1 + horizon * coefficient))
    assert (norm(process, bounds.soft_gradient(process, ideal, weights)) < 1e-12).all()


@pytest.mark.parametrize(("seed", "horizon", "coefficient"), [(0, 1, 0.3), (1, 2, 0.5), (2, 2, 1.0)])
def test_closed_form_equals_scipys_optimiser(seed: int, horizon: int, coefficient: float) -> None:
    """L-BFGS knows neither Q nor softmax: it sees V_λ and its gradient at the logits."""
    process, logits = dense(numpy.random.default_rng(seed), 1, 4, horizon)
    weights, shapes = numpy.array([coefficient]), [own.shape for own in logits]
    ends = numpy.cumsum([own.size for own in logits])[:-1]

    def unpack(flat: numpy.ndarray) -> list[numpy.ndarray]:
        return [part.reshape(shape) for part, shape in zip(numpy.split(flat, ends), shapes, strict=True)]

    def loss(flat: numpy.ndarray) -> tuple[float, numpy.ndarray]:
        theta = unpack(flat)
        slope = bounds.soft_gradient(process, theta, weights)
        return -float(bounds.soft_value(process, theta, weights)[0]), -numpy.concatenate([own.ravel() for own in slope])

    found = minimize(loss, numpy.zeros(sum(own.size for own in logits)), jac=True, options={"gtol": 1e-10}, tol=1e-16)
    assert -found.fun == pytest.approx(bounds.soft_optimum(process, weights)[0][0], abs=1e-8)


def test_bias_is_the_most_entropy_less_that_of_the_optimal_sequences() -> None:
    """λ·(H ln|A| − ln|A*|), at the published |A|: 8.80, 9.21, 9.90, 11.51 nats for 15, 10, 5, 1 optimal actions."""
    settings_ = Construction()
    process, _ = stack([build(settings_, k, 15, 0) for k in (15, 10, 5, 1)])
    assert bounds.bias(process, numpy.ones(4)).round(2).tolist() == [8.8, 9.21, 9.9, 11.51]


def test_stationary_bound_is_tight_for_one_optimal_action_and_constant_else() -> None:
    """H = 1, rewards 0 and 1: ∂V/∂θ* = π*(1 − V), so the gap is that over π*, up to the other actions' share."""
    process, logits = dense(numpy.random.default_rng(3), 1, 3, 1)
    process.levels[0].rewards[0, 0] = [1.0, 0.0, 0.0]
    chance = policy(logits[0], process.levels[0].counts).probs[0, 0]
    bound = bounds.stationary_bound(process, logits)
    others = chance[0] * numpy.array([1 - chance[0], chance[1], chance[2]])  # π*·(1 − π*), π_a·π*
    assert bound.left[0] == pytest.approx(1 - chance[0], abs=1e-15)
    assert bound.right[0] == pytest.approx(numpy.linalg.norm(others) / chance[0], rel=1e-12)
