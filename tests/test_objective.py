"""Advantages, surrogate and aggregations against loops in Python floats, and their invariances."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from entrobench.api import TokenBatch, TrainerConfig
from entrobench.objective import clipped_surrogate_loss, group_advantages, token_weights

AGGREGATIONS = ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm")
GROUPS = st.lists(st.lists(st.floats(-10, 10, width=16), min_size=1, max_size=6), min_size=1, max_size=5)
RATIOS = st.lists(st.tuples(st.floats(-3, 3), st.floats(-5, 5)), min_size=1, max_size=20)


def tokens(log_ratios: list[float], advantages: list[float]) -> TokenBatch:
    logp_old = torch.full((1, len(log_ratios)), -1.0, dtype=torch.float64)
    return TokenBatch(
        logp=logp_old + torch.tensor([log_ratios], dtype=torch.float64),
        logp_old=logp_old,
        entropy_old=logp_old,
        logp_ref=None,
        advantages=torch.tensor([advantages], dtype=torch.float64),
        mask=torch.ones_like(logp_old, dtype=torch.bool),
        stats={},
        extras={},
    )


@given(GROUPS)
def test_advantages_equal_the_definition(groups: list[list[float]]) -> None:
    expected = []
    for group in groups:
        constant = len(set(group)) == 1
        deviation = 0.0 if constant else statistics.stdev(group)
        expected += [0.0 if constant else (r - statistics.fmean(group)) / (deviation + 1e-6) for r in group]
    numbers = [number for number, group in enumerate(groups) for _ in group]
    rewards = torch.tensor([r for group in groups for r in group], dtype=torch.float64)
    found = group_advantages(rewards, torch.tensor(numbers))
    assert found.tolist() == pytest.approx(expected, abs=1e-9)


@given(GROUPS, st.randoms(use_true_random=False))
def test_advantages_do_not_depend_on_order_or_names_of_groups(groups: list[list[float]], shuffler: object) -> None:
    rewards = torch.tensor([r for group in groups for r in group], dtype=torch.float64)
    numbers = torch.tensor([number for number, group in enumerate(groups) for _ in group])
    order = list(range(len(rewards)))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    mixed = group_advantages(rewards[order], 7 - numbers[order])
    assert torch.allclose(mixed, group_advantages(rewards, numbers)[order], atol=1e-12)


@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, 1e8 + 0.1])
def test_a_constant_group_gives_zero_exactly(reward: float) -> None:
    # the mean of 0.1 seven times is not 0.1 in float32
    assert group_advantages(torch.full((7,), reward), torch.zeros(7, dtype=torch.long)).tolist() == [0.0] * 7


@given(RATIOS, st.floats(0, 0.9), st.floats(0, 3), st.one_of(st.none(), st.floats(1, 10)))
def test_surrogate_equals_the_definition(
    points: list[tuple[float, float]], low: float, high: float, dual: float | None
) -> None:
    def by_hand(log_ratio: float, advantage: float) -> float:
        ratio = math.exp(log_ratio)
        objective = min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
        if dual is not None and advantage < 0:
            objective = max(objective, dual * advantage)
        return -objective

    batch = tokens(*(list(column) for column in zip(*points, strict=True)))
    found = clipped_surrogate_loss(batch, low, high, TrainerConfig(dual_clip=dual))
    assert found[0].tolist() == pytest.approx([by_hand(*point) for point in points], rel=1e-12, abs=1e-12)


def test_the_log_ratio_is_clamped_before_the_exponential() -> None:
    batch = tokens([800.0, -800.0], [-1.0, 1.0])
    found = clipped_surrogate_loss(batch, 0.2, 0.2, TrainerConfig(log_ratio_clamp=20.0))
    assert found[0].tolist() == pytest.approx([math.exp(20), -math.exp(-20)], rel=1e-12)


def masks() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 6), min_size=1, max_size=6)


def as_mask(lengths: list[int], width: int = 6) -> Tensor:
    return torch.arange(width) < torch.tensor(lengths)[:, None]


@given(masks(), st.integers(0, 2**31))
def test_aggregations_equal_the_definitions(lengths: list[int], seed: int) -> None:
    losses = torch.rand(len(lengths), 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    rows = [row[:length] for row, length in zip(losses.tolist(), lengths, strict=True)]
    count, size = sum(lengths), len(lengths)
    expected = {
        "token-mean": sum(map(sum, rows)) / max(count, 1),
        "seq-mean-token-mean": sum(sum(row) / max(len(row), 1) for row in rows) / size,
        "seq-mean-token-sum": sum(map(sum, rows)) / size,
        "seq-mean-token-sum-norm": sum(map(sum, rows)) / (size * 9),
    }
    for name in AGGREGATIONS:
        found = (losses * token_weights(as_mask(lengths), name, longest=9)).sum()
        assert float(found) == pytest.approx(expected[name], rel=1e-12, abs=1e-12)


@given(masks())
def test_weights_do_not_depend_on_padding(lengths: list[int]) -> None:
    for name in AGGREGATIONS:
        narrow, wide = (token_weights(as_mask(lengths, width), name, longest=9) for width in (6, 11))
        assert torch.equal(narrow, wide[:, :6])
        assert not wide[:, 6:].any()


def test_an_unknown_aggregation_raises() -> None:
    with pytest.raises(ValueError, match="token-median"):
        token_weights(as_mask([2]), "token-median", longest=9)


def test_clipping_stops_the_gradient_on_the_improving_side_only() -> None:
    batch = tokens([0.5, -0.5, 0.5, -0.5], [1.0, 1.0, -1.0, -1.0])
    logp = batch.logp.clone().requires_grad_()
    clipped_surrogate_loss(replace(batch, logp=logp), 0.2, 0.2, TrainerConfig()).sum().backward()
    assert logp.grad is not None
    # d(-r·A)/dlogp = -r·A where unclipped, 0 where the policy has moved far enough in the direction of A
    expected = [0.0, -math.exp(-0.5), math.exp(0.5), 0.0]
    assert logp.grad[0].tolist() == pytest.approx(expected, rel=1e-12)
