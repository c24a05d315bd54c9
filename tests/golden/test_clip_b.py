"""Clip_B by hand: at π = 1/2 a token's signal is (H - log 2)/2; nine tokens at 0 and one at -1."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, mini_batch, no_draws, padded, step_batch

LN2 = math.log(2)
SIGNALS = [[0.0, 0.0, -1.0, 0.0, 0.0], [0.0] * 5]  # mean -0.1, variance (9·0.01 + 0.81)/10 = 0.09
RECORDS = {
    "logp_old": padded([[-LN2] * 5] * 2),
    "entropy_old": padded([[LN2 + 2 * signal for signal in row] for row in SIGNALS]),
}
STEP = replace(step_batch([0, 1], [0, 0], [5, 5]), **RECORDS)


def kept(advantage: float = -1.0, **values: Any) -> list[bool]:
    """Whether each token of the first row is kept, where all have this advantage."""
    subject = method("clip_b", **values)
    subject.before_updates(STEP)
    batch = mini_batch([[advantage] * 5, [1.0] * 5], **RECORDS)
    found = subject.select(batch, no_draws)["selected"]
    assert found[1].all()
    row: list[bool] = found[0].tolist()
    return row


def test_the_bound_is_that_of_the_whole_step() -> None:
    subject = method("clip_b")
    subject.before_updates(STEP)
    assert subject.state.bound == pytest.approx(-0.1 - 2.5 * 0.3, rel=1e-12)
    assert subject.divisor == "selected", "who leaves the loss leaves the divisor"


def test_a_signal_below_the_bound_leaves_where_the_answer_is_wrong() -> None:
    assert kept() == [True, True, False, True, True]  # -1 < -0.85
    assert kept(deviations=3.1) == [True] * 5  # the bound is -1.03
    assert kept(advantage=1.0) == [True] * 5
    assert kept(advantage=0.0) == [True] * 5


def test_without_spread_nothing_is_clipped() -> None:
    subject = method("clip_b", deviations=0.0)
    subject.before_updates(step_batch([0, 1], [0, 0], [2, 2]))
    assert subject.state.bound is None
    assert subject.select(mini_batch([[-1.0, -1.0]]), no_draws)["selected"].all()
