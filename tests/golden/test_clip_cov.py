"""Clip-Cov by hand: who is a candidate, how many are drawn, and what a dropped token costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy
import pytest
from golden_records import method, mini_batch, padded, slope, token_batch
from torch import Tensor

from entrobench.api import MiniBatch


def draws(numbers: list[list[float]]) -> Callable[[int], Tensor]:
    return lambda draw: padded(numbers)


def kept(batch: MiniBatch, numbers: list[list[float]], **values: Any) -> list[list[float]]:
    found: list[list[float]] = method("clip_cov", **values).select(batch, draws(numbers))["kept"].tolist()
    return found


# mean A = 0 and mean log π = -3: products 2·2 = 4, 2·(-1) = -2, -2·2 = -4, -2·(-1) = 2, 3·(-1) = -3, -3·(-1) = 3
ADVANTAGES, LOGP = [[2.0, 2.0, -2.0], [-2.0, 3.0, -3.0]], [[-1.0, -4.0, -1.0], [-4.0, -4.0, -4.0]]


def batch() -> MiniBatch:
    """Sampled with the same log-probabilities, so nothing is clipped."""
    return mini_batch(ADVANTAGES, LOGP, logp_old=padded(LOGP))


def test_one_of_the_candidates_is_dropped() -> None:
    # candidates in (1, 5): covariances 4, 2, 3; the smallest of their draws decides, here the last token's
    numbers = [[0.9, 0.0, 0.0], [0.5, 0.0, 0.4]]
    assert kept(batch(), numbers) == [[1, 1, 1], [1, 1, 0]]
    assert kept(batch(), numbers, fraction=0.34) == [[1, 1, 1], [0, 1, 0]]  # floor(2.04) = 2 of 6
    assert kept(batch(), numbers, fraction=1.0) == [[0, 1, 1], [0, 1, 0]]  # all candidates, nobody else


def test_the_band_is_open() -> None:
    numbers = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    assert kept(batch(), numbers, fraction=1.0, covariance_low=2.0, covariance_high=4.0) == [[1, 1, 1], [1, 1, 0]]
    assert kept(batch(), numbers, fraction=1.0, covariance_low=5.0, covariance_high=6.0) == [[1, 1, 1], [1, 1, 1]]


def test_a_token_that_is_clipped_already_is_no_candidate() -> None:
    # the first token's ratio is e^0.5 = 1.65 > 1.28 at A > 0, the fourth's e^-0.5 = 0.61 < 0.8 at A < 0
    old = padded(LOGP)
    old[0, 0] -= 0.5
    old[1, 0] += 0.5
    numbers = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    moved = replace(batch(), logp_old=old)
    assert kept(moved, numbers, fraction=1.0, clip_low=0.2, clip_high=0.28) == [[1, 1, 1], [1, 1, 0]]
    assert kept(moved, numbers, fraction=1.0) == [[0, 1, 1], [0, 1, 0]]  # ±1 stops neither


def test_as_published_every_micro_batch_drops_at_least_one() -> None:
    # the second sequence alone: mean A = -2/3, all log π equal, so no covariance; the first: mean A 2/3, mean log π -2
    # products 4/3·1, 4/3·(-2), -8/3·1: the first token is the only candidate
    found = kept(batch(), [[0.9, 0.1, 0.1], [0.1, 0.1, 0.1]], scope="microbatch")
    assert found == [[0, 1, 1], [1, 1, 1]]


def test_padding_is_never_kept_nor_counted() -> None:
    ragged = mini_batch([[2.0], [-2.0, 0.0]], [[-1.0], [-3.0, -2.0]], logp_old=padded([[-1.0], [-3.0, -2.0]]))
    # mean A 0, mean log π -2: products 2, 2, 0; floor(0.67·3) = 2 dropped
    assert kept(ragged, [[0.1, 0.0], [0.2, 0.3]], fraction=0.67) == [[0, 0], [0, 1]]


def test_the_published_candidates() -> None:
    generator = numpy.random.default_rng(0)
    advantages, logp = 2 * generator.standard_normal((30, 20)), -2 * generator.exponential(size=(30, 20))
    covariance = (advantages - advantages.mean()) * (logp - logp.mean())
    found = kept(
        mini_batch(advantages.tolist(), logp.tolist(), logp_old=padded(logp.tolist())),
        generator.random((30, 20)).tolist(),
        fraction=1.0,
    )
    expected = ~((covariance > 1) & (covariance < 5))
    assert 0.5 < expected.mean() < 0.95
    assert found == expected.astype(float).tolist()


def test_a_dropped_token_costs_nothing_and_has_no_slope() -> None:
    # clip ±1: r = 2.5 at A = 1 is clipped to 2, r = 0.01 at A = -1 is not clipped
    tokens = token_batch([1.5, 1.5, 2.5, 0.01], [1.0, 1.0, 1.0, -1.0])
    tokens = replace(tokens, extras={"kept": padded([[1.0, 0.0, 1.0, 1.0]])})
    found = method("clip_cov").token_loss(tokens)
    assert found[0].tolist() == pytest.approx([-1.5, 0.0, -2.0, 0.01], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([-1.5, 0.0, 0.0, 0.01], rel=1e-12)
