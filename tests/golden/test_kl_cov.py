"""KL-Cov by hand, and its selection against the published formula in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, slope, token_batch

from entrobench.api import MiniBatch


def selected(batch: MiniBatch, **values: Any) -> list[list[float]]:
    found: list[list[float]] = method("kl_cov", **values).select(batch, no_draws)["selected"].tolist()
    return found


def test_the_largest_covariance_is_selected() -> None:
    # mean A = 0, mean log π = -2: products 2·1, 1·(-1), -2·1, -1·(-1), 0
    batch = mini_batch([[2.0, 1.0], [-2.0, -1.0, 0.0]], [[-1.0, -3.0], [-1.0, -3.0, -2.0]])
    assert selected(batch, fraction=0.2) == [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert selected(batch, fraction=0.4) == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert selected(batch, fraction=0.59) == selected(batch, fraction=0.4)  # floor(2.95) = 2
    assert selected(batch, fraction=0.01) == selected(batch, fraction=0.2)  # at least one
    assert selected(batch, fraction=0.0) == [[0.0] * 3] * 2


def test_equal_tokens_share_the_last_place() -> None:
    # products 1, -1, -1, 1: one place for two equals
    batch = mini_batch([[1.0, 1.0], [-1.0, -1.0]], [[-1.0, -3.0], [-1.0, -3.0]])
    assert selected(batch, fraction=0.25) == [[0.5, 0.0], [0.0, 0.5]]


def test_as_published_every_micro_batch_selects_at_least_one() -> None:
    # within the second sequence mean A = -1, mean log π = -2: products -1·1, 0·(-1), 1·0, so the two zeros are equal
    batch = mini_batch([[2.0, 1.0], [-2.0, -1.0, 0.0]], [[-1.0, -3.0], [-1.0, -3.0, -2.0]])
    found = selected(batch, fraction=0.002, scope="microbatch")
    assert found == [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]  # the first: 1/2·1 and -1/2·(-1)
    together = replace(batch, micro_batch=torch.tensor([0, 0]))
    assert selected(together, fraction=0.002, scope="microbatch") == selected(batch, fraction=0.002)


@pytest.mark.parametrize("fraction", [0.002, 0.02, 0.2])
def test_the_published_selection(fraction: float) -> None:
    generator = numpy.random.default_rng(0)
    advantages, logp = generator.standard_normal((40, 25)), -generator.exponential(size=(40, 25))
    covariance = ((advantages - advantages.mean()) * (logp - logp.mean())).ravel()
    expected = numpy.zeros(1000)
    expected[numpy.argsort(-covariance)[: max(1, int(1000 * fraction))]] = 1
    found = selected(mini_batch(advantages.tolist(), logp.tolist()), fraction=fraction)
    assert numpy.asarray(found).ravel().tolist() == expected.tolist()


def test_the_loss_and_its_slope() -> None:
    # -r·A, never clipped; selected tokens pay |ln r|, whose slope is the sign of ln r: -2·1 + ln 2 and -2 + 1, ...
    batch = token_batch([2.0, 0.5, 2.0, 0.5, 1.0], [1.0, -1.0, 1.0, -1.0, 1.0])
    batch = replace(batch, extras={"selected": padded([[1.0, 1.0, 0.0, 0.0, 1.0]])})
    found = method("kl_cov").token_loss(batch)
    assert found[0].tolist() == pytest.approx([-2 + math.log(2), 0.5 + math.log(2), -2, 0.5, -1], rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([-1.0, -0.5, -2.0, 0.5, -1.0], rel=1e-12)


def test_a_shared_place_pays_its_share() -> None:
    batch = replace(token_batch([2.0], [0.0]), extras={"selected": padded([[0.5]])})
    assert method("kl_cov", coefficient=0.1).token_loss(batch).item() == pytest.approx(0.05 * math.log(2), rel=1e-12)
