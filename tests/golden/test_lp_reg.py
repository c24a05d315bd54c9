"""Lp-Reg by hand: which tokens are plausible, which of them are held, and what holding costs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, slope, token_batch

OLD = [0.1, 0.02, 0.3, 0.1]  # probabilities when sampled; the most likely token had 0.5 each time
MASS = 0.8  # of the plausible tokens


def logs(values: list[float]) -> torch.Tensor:
    return padded([[math.log(value) for value in values]])


def selected(now: list[float], **values: Any) -> list[float]:
    """Which of three tokens with A < 0 and one with A > 0 are held, floor 0.1: plausible from 0.05 on."""
    stats = {"log_plausible_mass": logs([MASS] * 4), "log_largest": logs([0.5] * 4)}
    batch = mini_batch([[-1.0, -1.0, -1.0, 1.0]], logp_old=logs(OLD), stats_old=stats, fresh={"logp": logs(now)})
    found = method("lp_reg", floor=0.1, **values).select(batch, no_draws)
    assert found["proxy"].exp()[0].tolist() == pytest.approx([p / MASS for p in OLD], rel=1e-12)
    kept: list[float] = found["regularized"][0].tolist()
    return kept


def test_the_statistics() -> None:
    # floor 0.2: tokens from 0.1 on are plausible, 0.95 together; floor 0.02: all
    logits = torch.tensor([[0.5, 0.25, 0.2, 0.05]], dtype=torch.float64).log() + 3
    stats = method("lp_reg", floor=0.2).token_stats()
    assert stats["log_plausible_mass"](logits).item() == pytest.approx(math.log(0.95), rel=1e-12)
    assert stats["log_largest"](logits).item() == pytest.approx(math.log(0.5), rel=1e-12)
    assert method("lp_reg").token_stats()["log_plausible_mass"](logits).item() == 0


def test_the_least_likely_plausible_tokens_of_wrong_answers_are_held() -> None:
    assert selected(OLD, fraction=1.0) == [1.0, 0.0, 1.0, 0.0]  # 0.02 is implausible, the last has A > 0
    assert selected(OLD, fraction=0.67) == [1.0, 0.0, 0.0, 0.0]  # floor(2.01) = 2: 0.02 and 0.1
    assert selected(OLD, fraction=0.5) == [0.0] * 4  # floor(1.5) = 1, which is left alone


def test_a_token_above_its_proxy_is_free() -> None:
    assert selected([0.13, 0.02, 0.3, 0.1], fraction=1.0) == [0.0, 0.0, 1.0, 0.0]  # 0.1 / 0.8 = 0.125


def test_as_published_the_selection_is_the_micro_batchs() -> None:
    stats = {"log_plausible_mass": padded([[-0.5] * 2] * 2), "log_largest": padded([[-1.0] * 2] * 2)}
    fresh = {"logp": padded([[-1.0, -1.5], [-2.0, -2.5]])}
    batch = mini_batch([[-1.0, -1.0]] * 2, logp_old=fresh["logp"], stats_old=stats, fresh=fresh)
    whole = method("lp_reg", fraction=0.5).select(batch, no_draws)["regularized"]
    assert whole.tolist() == [[0.0, 0.0], [1.0, 1.0]]  # floor(2) of four
    parts = method("lp_reg", fraction=0.5, scope="microbatch").select(batch, no_draws)["regularized"]
    assert parts.tolist() == [[0.0, 0.0], [0.0, 0.0]]  # one of two each, left alone


def test_the_loss_and_its_slope() -> None:
    # held: -r·A + e^d - 1 - d with d = ln 1.25, slope -r·A + 1 - e^d; d = 3 is cut at 10; free: clipped to [0, 10]
    tokens = token_batch([1.0, 1.0, 12.0, 2.0], [-1.0, -1.0, 1.0, -1.0])
    extras = {
        "regularized": padded([[1.0, 1.0, 0.0, 0.0]]),
        "proxy": padded([[-2 + math.log(1.25), 1.0, 900.0, 900.0]]),
    }
    found = method("lp_reg").token_loss(replace(tokens, extras=extras))
    assert found[0].tolist() == pytest.approx([1 + 0.25 - math.log(1.25), 11.0, -10.0, 2.0], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([0.75, 1.0, 0.0, 2.0], rel=1e-12)
