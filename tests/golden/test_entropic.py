"""EntroPIC by hand: the controller, and the term that it weights, averaged over the likely tokens alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, mini_batch, no_draws, padded, slope, summary, token_batch

from entrobench.api import MiniBatch


def batch(probabilities: list[float], entropies: list[float]) -> MiniBatch:
    fresh = {"logp": padded([[math.log(p) for p in probabilities]]), "entropy": padded([entropies])}
    return mini_batch([[1.0] * len(entropies)], fresh=fresh)


def weights(subject: Any, minibatch: MiniBatch) -> list[float]:
    found: list[float] = subject.select(minibatch, no_draws)["weight"][0].tolist()
    return found


def test_the_proportional_and_the_integral_part() -> None:
    # H = 0.6, target 0.5: e = 0.1; the errors so far add up to 2: α = 0.1 + 0.01·2 = 0.12; one of four tokens is likely
    subject = method("entropic", target=0.5)
    subject.state.error_sum = 2.0
    found = weights(subject, batch([0.96, 0.94, 0.5, 0.95], [0.3, 0.5, 0.7, 0.9]))
    assert found == pytest.approx([0.12 * 4, 0, 0, 0], rel=1e-12)  # its token mean is α times the one token


def test_too_little_entropy_turns_the_sign_and_the_limit_holds() -> None:
    likely = batch([0.96, 0.97], [0.0, 0.0])
    assert weights(method("entropic", target=0.5), likely) == pytest.approx([-0.5, -0.5], rel=1e-12)
    assert weights(method("entropic", target=3.0), likely) == pytest.approx([-1.0, -1.0], rel=1e-12)
    assert weights(method("entropic", target=0.5, probability=0.99), likely) == [0.0, 0.0]


def test_the_term_and_its_slope() -> None:
    # -w·r·|A|: the same sign for both signs of A, not clipped
    tokens = token_batch([2.0, 0.5, 3.0], [1.0, -2.0, 1.0])
    tokens = replace(tokens, extras={"weight": padded([[0.48, 0.48, 0.0]])})
    found = method("entropic").regularizer(tokens)
    assert found is not None
    assert found[0].tolist() == pytest.approx([-0.96, -0.48, 0.0], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([-0.96, -0.48, 0.0], rel=1e-12)


def test_it_is_the_published_weighting_of_positives_and_negatives() -> None:
    # inside the clip, all tokens likely: surrogate plus term is -(1 + α)·r·A for A > 0 and -(1 - α)·r·A for A < 0
    subject = method("entropic", target=0.5, probability=0.0)
    weight = weights(subject, batch([0.9, 0.9], [0.7, 0.7]))  # α = 0.2
    tokens = replace(token_batch([1.1, 1.1], [1.0, -1.0]), extras={"weight": padded([weight])})
    term = subject.regularizer(tokens)
    assert term is not None
    found = subject.token_loss(tokens) + term
    assert found[0].tolist() == pytest.approx([-1.2 * 1.1, 0.8 * 1.1], rel=1e-12)


def test_the_errors_of_all_updates_add_up() -> None:
    subject = method("entropic", target=0.5)
    subject.after_step(summary(1, entropy=0.6))  # two updates, 0.1 too much each
    subject.after_step(summary(2, entropy=0.3))
    assert subject.state.error_sum == pytest.approx(2 * 0.1 - 2 * 0.2, rel=1e-12)
