"""SENT's token part by hand: four tokens of low entropy, one of high entropy that takes no part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, mini_batch, no_draws, padded, slope, token_batch

from entrobench.api import MiniBatch

# over the first four mean A = 0 and mean log π = -2: products 2·1, 1·(-1), -1·0.5, -2·(-0.5)
ADVANTAGES = [[2.0, 1.0, -1.0, -2.0, 7.0]]
FRESH = {"logp": padded([[-1.0, -3.0, -1.5, -2.5, -9.0]]), "entropy": padded([[0.4, 0.1, 0.3, 0.2, 5.0]])}


def strengths(batch: MiniBatch | None = None, **values: Any) -> list[list[float]]:
    batch = batch or mini_batch(ADVANTAGES, fresh=FRESH)
    found: list[list[float]] = method("sent", **values).select(batch, no_draws)["strength"].tolist()
    return found


def test_the_extremes_of_the_covariance_are_held() -> None:
    assert strengths() == [[2.0, 0.5, 0.0, 0.0, 0.0]]  # at least one each
    assert strengths(fraction=0.5) == [[2.0, 0.5, 0.5, 2.0, 0.0]]
    assert strengths(coefficient=0.1) == [[pytest.approx(0.2), pytest.approx(0.05), 0.0, 0.0, 0.0]]


def test_the_share_of_low_entropy() -> None:
    # two of five: 0.1 and 0.2, mean A = -0.5, mean log π = -2.75: products 1.5·(-0.25) and -1.5·0.25, equal, so both
    # places are shared; a token that is half of both has 2·0.5·0.5 + 0.5·0.5
    assert strengths(share=0.4) == [[0.0, 0.75, 0.0, 0.75, 0.0]]
    # one of five is both the largest and the smallest, and the smallest stands
    assert strengths(share=0.2) == [[0.0, 0.5, 0.0, 0.0, 0.0]]


def test_as_published_each_micro_batch_selects() -> None:
    fresh = {"logp": padded([[-1.0, -3.0], [-1.0, -3.0]]), "entropy": padded([[0.1, 0.1], [0.2, 0.2]])}
    batch = mini_batch([[2.0, -2.0], [1.0, -1.0]], fresh=fresh)
    # over all: mean 0, -2: 2, 2, 1, 1; within a row the same products, equal in each
    assert strengths(batch, share=1.0) == [[1.0, 1.0], [0.25, 0.25]]
    assert strengths(batch, share=1.0, scope="microbatch") == [[0.75, 0.75], [0.75, 0.75]]


def test_the_loss_and_its_slope() -> None:
    # -r·A, never clipped, plus strength·|ln r|
    tokens = replace(token_batch([2.0, 0.5, 2.0], [1.0, -1.0, 1.0]), extras={"strength": padded([[2.0, 0.5, 0.0]])})
    found = method("sent").token_loss(tokens)
    assert found[0].tolist() == pytest.approx([-2 + 2 * math.log(2), 0.5 + 0.5 * math.log(2), -2], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([0.0, 0.0, -2.0], abs=1e-12)
