"""Entropy ratio clipping by hand: the value stays, the gradient goes where the entropy left (0.95, 1.05)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, mini_batch, no_draws, padded, slope, token_batch

from entrobench.api import TokenBatch


def tokens(entropies: list[float], on_policy: float = 0.0, ratio: float = 1.1, advantage: float = 1.0) -> TokenBatch:
    """Tokens whose entropy was 1 when they were sampled."""
    count = len(entropies)
    batch = token_batch([ratio] * count, [advantage] * count, entropy=entropies)
    return replace(batch, extras={"on_policy": padded([[on_policy] * count])})


def test_only_tokens_inside_the_band_have_a_slope() -> None:
    batch = tokens([0.9, 0.951, 1.0, 1.049, 1.1])
    found = method("erc").token_loss(batch)
    assert found[0].tolist() == pytest.approx([-1.1] * 5, rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([0.0, -1.1, -1.1, -1.1, 0.0], rel=1e-12)


def test_the_band_is_open_and_1e8_stands_beside_both_entropies() -> None:
    # (H + 1e-8)/(H_old + 1e-8) with H_old = 0 and H = 5e-10: 1.05 to rounding; with H = 4e-10: 1.04
    def kept(entropy: float, **values: Any) -> bool:
        batch = tokens([entropy])
        batch = replace(batch, entropy_old=batch.entropy_old * 0)
        return slope(method("erc", **values).token_loss(batch), batch.logp) != [0.0]

    assert kept(4e-10)
    assert not kept(6e-10)
    assert not kept(0.0, ratio_high=1.0)


def test_the_first_update_of_a_step_is_left_alone() -> None:
    assert method("erc").select(mini_batch([[1.0]], update=0), no_draws)["on_policy"].tolist() == [[1.0]]
    assert method("erc").select(mini_batch([[1.0]], update=1), no_draws)["on_policy"].tolist() == [[0.0]]
    batch = tokens([0.5, 2.0], on_policy=1.0)
    assert slope(method("erc").token_loss(batch), batch.logp) == pytest.approx([-1.1, -1.1], rel=1e-12)


def test_the_two_bases() -> None:
    # r = 2 at A = 1: clipped at 1.28 without slope, or GPPO's bound with its slope
    batch = tokens([1.0], ratio=2.0)
    found = method("erc").token_loss(batch)
    assert (found.item(), slope(found, batch.logp)) == (pytest.approx(-1.28, rel=1e-12), [0.0])
    batch = tokens([1.0, 2.0], ratio=2.0)
    found = method("erc", base="gppo", clip_high=0.2).token_loss(batch)
    assert found[0].tolist() == pytest.approx([-1.2, -1.2], rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([-1.2, 0.0], rel=1e-12)
