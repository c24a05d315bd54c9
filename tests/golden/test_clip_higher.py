"""Clip-higher by hand: the interval [0.8, 1.28] of DAPO, section 4.1."""

from __future__ import annotations

import pytest
from golden_records import method, slope, token_batch

# ratio, advantage -> loss, d loss / d logp. Between 1.2 and 1.28 GRPO has stopped and clip-higher has not.
SURROGATE = [
    (1.25, 1.0, -1.25, -1.25),
    (1.3, 1.0, -1.28, 0.0),
    (0.7, 1.0, -0.7, -0.7),
    (0.7, -1.0, 0.8, 0.0),
    (0.81, -2.0, 1.62, 1.62),
    (1.5, -1.0, 1.5, 1.5),
]


def test_the_asymmetric_clip_and_its_slope() -> None:
    ratios, advantages, losses, slopes = (list(column) for column in zip(*SURROGATE, strict=True))
    batch = token_batch(ratios, advantages)
    found = method("clip_higher").token_loss(batch)
    assert found[0].tolist() == pytest.approx(losses, rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx(slopes, rel=1e-12)


def test_its_own_range_wins_over_the_studys() -> None:
    wide = method("clip_higher", {"clip_low": 0.9, "clip_high": 9.0})
    assert wide.token_loss(token_batch([2.0, 0.5], [1.0, -1.0]))[0].tolist() == pytest.approx([-1.28, 0.8], rel=1e-12)


def test_the_dual_clip_holds_here_too() -> None:
    found = method("clip_higher", {"dual_clip": 3.0}).token_loss(token_batch([5.0], [-1.0]))
    assert found[0].tolist() == pytest.approx([3.0], rel=1e-12)
