"""STARE by hand: which tokens are the most surprising, by how much they count, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, step_batch, token_batch

STEP = step_batch([1, 0], [0, 0], [2, 1])  # its entropy is 1 nat
BATCH = mini_batch([[1.0, 1.0, 1.0], [-1.0, -1.0]], [[-1.0, -3.0, -2.0], [-0.5, -4.0]])


def weights(batch: Any = BATCH, **values: Any) -> list[list[float]]:
    found: list[list[float]] = method("stare", **values).select(batch, no_draws)["weight"].tolist()
    return found


def test_the_most_surprising_token_with_a_positive_advantage_counts_more() -> None:
    # 3 candidates: ceil(0.3) = 1, ceil(1.2) = 2; the second row has A < 0 and its padding counts nothing
    assert weights() == [[1.0, pytest.approx(1.1), 1.0], [1.0, 1.0, 0.0]]
    assert weights(fraction=0.4) == [[1.0, pytest.approx(1.1), pytest.approx(1.1)], [1.0, 1.0, 0.0]]
    assert weights(fraction=0.0) == [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]


def test_the_second_variant_also_damps_a_negative_one() -> None:
    assert weights(variant="C2") == [[1.0, pytest.approx(1.1), 1.0], [1.0, pytest.approx(0.9), 0.0]]


def test_a_tenth_of_thirty_is_three() -> None:
    # 30·0.1 is 3.0000000000000004 in floating point, of which a plain ceil would make 4
    batch = mini_batch([[1.0] * 30], [[-float(place) for place in range(30)]])
    assert weights(batch)[0] == [1.0] * 27 + [pytest.approx(1.1)] * 3


def test_equal_tokens_share_the_place() -> None:
    assert weights(mini_batch([[1.0, 1.0]], [[-1.0, -1.0]]))[0] == pytest.approx([1.05, 1.05], rel=1e-12)


def test_as_published_every_micro_batch_selects() -> None:
    batch = mini_batch([[1.0, 1.0], [1.0, 1.0]], [[-1.0, -2.0], [-3.0, -4.0]])
    assert weights(batch) == [[1.0, 1.0], [1.0, pytest.approx(1.1)]]
    assert weights(batch, scope="microbatch") == [[1.0, pytest.approx(1.1)], [1.0, pytest.approx(1.1)]]


@pytest.mark.parametrize(("target", "active"), [(0.3, False), (1.0, False), (1.5, True)])
def test_it_acts_below_the_target_alone(target: float, active: bool) -> None:
    subject = method("stare", target=target)
    subject.before_updates(STEP)
    assert subject.state.active is active
    assert bool((subject.select(BATCH, no_draws)["weight"][BATCH.mask] != 1).any()) is active
    assert (subject.state.weight_positive, subject.state.weight_negative) == (1.1, 0.9)


@pytest.mark.parametrize(
    ("target", "start", "expected"),
    [
        (2.0, {}, (1.11, 0.89)),  # below the target: further apart
        (0.3, {}, (1.09, 0.91)),
        (1.0, {}, (1.1, 0.9)),  # on it
        (2.0, {"weight_positive": 1.5, "weight_negative": 0.5}, (1.5, 0.5)),
        (0.3, {"weight_positive": 1.0, "weight_negative": 1.0}, (1.0, 1.0)),
    ],
)
def test_the_adaptive_weights(target: float, start: dict[str, float], expected: tuple[float, float]) -> None:
    subject = method("stare", target=target, adaptive=True, **start)
    subject.before_updates(STEP)
    assert (subject.state.weight_positive, subject.state.weight_negative) == pytest.approx(expected, rel=1e-12)


def test_the_weight_multiplies_the_clipped_loss() -> None:
    tokens = replace(token_batch([1.0, 2.0], [1.0, 1.0]), extras={"weight": padded([[1.1, 1.1]])})
    found = method("stare").token_loss(tokens)
    assert torch.allclose(found, padded([[-1.1, -1.32]]), rtol=1e-12)  # the study's clip 0.2
