"""Clip_V by hand: at π = 1/2 and H = log 2 the sampled token's signal is 0, so that D is the expected signal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, step_batch

LN2 = math.log(2)
EXCESS = padded([[3.0, 2.0, 1.0, 0.0, 0.0], [0.0] * 5])  # mean 0.6, variance 14/10 - 0.36 = 1.04
RECORDS = {
    "logp_old": padded([[-LN2] * 5] * 2),
    "entropy_old": padded([[LN2] * 5] * 2),
    "stats_old": {"expected_signal": EXCESS},
}
STEP = replace(step_batch([0, 1], [0, 0], [5, 5]), **RECORDS)  # the first answer is wrong


def kept(**values: Any) -> list[bool]:
    subject = method("clip_v", **values)
    subject.before_updates(STEP)
    found = subject.select(mini_batch([[-1.0] * 5, [1.0] * 5], **RECORDS), no_draws)["selected"]
    assert found[1].all()
    row: list[bool] = found[0].tolist()
    return row


def test_the_expected_signal() -> None:
    # p = 1/2, 1/4, 1/4: H = 1.5 ln 2; 1/4·(1.5 - 1) + 2·1/16·(1.5 - 2) = 1/16, in ln 2
    logits = torch.tensor([[0.5, 0.25, 0.25, 0.0]], dtype=torch.float64).log()
    assert method("clip_v").token_stats()["expected_signal"](logits).item() == pytest.approx(LN2 / 16, rel=1e-12)


def test_at_most_a_share_of_the_tokens_leaves_the_largest_first() -> None:
    # 0.9·sqrt(1.04) = 0.918: three tokens lie above; of ten max(1, floor(share·10)) may leave
    assert kept(deviations=0.9) == [False, True, True, True, True]
    assert kept(deviations=0.9, share=0.25) == [False, False, True, True, True]
    assert kept(deviations=0.9, share=1.0) == [False, False, False, True, True]


def test_the_bound_is_not_centred() -> None:
    # 2.9·1.0198 = 2.957 < 3, though 0.6 + 2.957 > 3
    assert kept(deviations=2.9) == [False, True, True, True, True]
    assert kept() == [True] * 5


def test_without_spread_nothing_is_clipped() -> None:
    subject = method("clip_v", deviations=0.0)
    subject.before_updates(replace(STEP, stats_old={"expected_signal": EXCESS * 0}))
    assert subject.state.bound is None
    assert subject.divisor == "selected"
