"""STEER by hand: at π = 1/2 a token's |Ω| is |A|/π_old·1/4·|H - log 2|, and the weights fall with it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, token_batch
from torch import Tensor

from entrobench.api import MiniBatch

LN2 = math.log(2)


def halves(excess: list[list[float]], advantages: list[list[float]] | None = None) -> MiniBatch:
    """Tokens of probability 1/2, now and before, whose entropy is log 2 plus these numbers: |Ω| = |A|·excess/2."""
    logp = padded([[-LN2] * len(row) for row in excess])
    values = {"fresh": {"logp": logp}, "entropy_old": padded(excess) - logp}
    return mini_batch(advantages or [[1.0] * len(row) for row in excess], logp_old=logp, **values)


def test_the_entropy_is_the_sampling_policys() -> None:
    # π = 0.5, H_old = 1: log π + H_old = 0.307; the current entropy is not even asked for
    subject = method("steer", mapping="exponential", weight_low=0.5)
    assert subject.fresh == ("logp",)
    batch = mini_batch([[1.0, 1.0]], logp_old=padded([[-LN2] * 2]), fresh={"logp": padded([[-LN2] * 2])})
    batch = replace(batch, entropy_old=padded([[1.0, 1 + (1 - LN2)]]))  # |Ω| 0.307/2 and twice that, the peak
    assert subject.select(batch, no_draws)["weight"][0].tolist() == pytest.approx([0.5**0.5, 0.5], rel=1e-12)


def weights(batch: MiniBatch, **values: Any) -> list[float]:
    """The weights of the response tokens, row after row."""
    found = method("steer", **values).select(batch, no_draws)["weight"]
    assert not found[~batch.mask].any()
    return found[batch.mask].tolist()


def test_the_linear_map() -> None:
    # |Ω| 0.2, 0, 0.1, 0.2: the range [0, 0.2] onto [1.2, 0.8]; the sign of A does not matter
    batch = halves([[0.4, 0.0, -0.2], [0.4]], [[1.0, 1.0, 1.0], [-1.0]])
    assert weights(batch) == pytest.approx([0.8, 1.2, 1.0, 0.8], rel=1e-12)


def test_the_exponential_map() -> None:
    # exp(log(0.8)·|Ω|/0.2)
    batch = halves([[0.4, 0.0, -0.2]])
    assert weights(batch, mapping="exponential") == pytest.approx([0.8, 1.0, 0.8**0.5], rel=1e-12)


def test_the_exponential_map_has_a_smallest_peak() -> None:
    # the largest |Ω| 0.01 counts as 0.02
    assert weights(halves([[0.02, 0.0]]), mapping="exponential") == pytest.approx([0.8**0.5, 1.0], rel=1e-12)


def test_equal_changes_get_the_middle_weight() -> None:
    assert weights(halves([[0.4, 0.4]]), weight_low=0.8, weight_high=1.4) == pytest.approx([1.1, 1.1], rel=1e-12)


def published(batch: MiniBatch) -> list[float]:
    """|A/π_old·π(1 - π)(ln π + H)|, token by token in Python floats."""
    found = []
    for row, column in batch.mask.nonzero().tolist():
        p, old = (math.exp(float(t[row, column])) for t in (batch.fresh["logp"], batch.logp_old))
        inner = math.log(p) + float(batch.entropy_old[row, column])
        found.append(abs(float(batch.advantages[row, column]) / old * p * (1 - p) * inner))
    return found


def test_the_published_change_on_arbitrary_tokens() -> None:
    logp, old = [[-0.1, -2.0, -0.7], [-3.0, -0.4]], [[-0.3, -1.5, -0.7], [-2.2, -0.5]]
    entropy = [[0.3, 2.5, 1.0], [1.7, 0.6]]
    fresh = {"logp": padded(logp), "entropy": padded(entropy)}
    batch = mini_batch([[0.8, 0.8, 0.8], [-1.6, -1.6]], logp_old=padded(old), fresh=fresh)
    change = published(batch)
    low, high = min(change), max(change)
    expected = [1.2 - (value - low) / (high - low) * 0.4 for value in change]
    assert weights(batch) == pytest.approx(expected, rel=1e-12)


def test_the_scope() -> None:
    # one sequence a micro-batch: each has its own range; over the minibatch both share [0, 0.4]
    batch = halves([[0.8, 0.0], [0.4, 0.0]])
    assert weights(batch) == pytest.approx([0.8, 1.2, 1.0, 1.2], rel=1e-12)
    assert weights(batch, scope="microbatch") == pytest.approx([0.8, 1.2, 0.8, 1.2], rel=1e-12)
    assert method("steer", scope="microbatch").scope == "microbatch"


def test_the_weight_multiplies_the_clipped_loss() -> None:
    batch = token_batch([1.0, 2.0, 0.5], [1.0, 1.0, -1.0])
    batch.extras["weight"] = torch.tensor([[0.8, 1.2, 1.0]], dtype=torch.float64)  # type: ignore[index]
    found: Tensor = method("steer").token_loss(batch)
    assert found[0].tolist() == pytest.approx([-0.8, -1.44, 0.8], rel=1e-12)
