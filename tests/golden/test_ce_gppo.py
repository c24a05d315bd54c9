"""CE-GPPO by hand: where the clip would stop the gradient, its closed form is β·bound·A."""

from __future__ import annotations

import pytest
from golden_records import method, slope, token_batch

# ratio, advantage -> loss and d loss / d logp, which are equal: every case is a constant times r or r/sg(r)
SURROGATE = [
    (1.1, 1.0, -1.1),
    (0.5, 1.0, -0.5),  # worse than before: never clipped for A > 0
    (2.0, 1.0, -1.2),  # above: -1·(1 + 0.2)·A, and the slope does not grow with r
    (9.0, 0.5, -0.6),
    (2.0, -1.0, 2.0),  # worse than before: never clipped for A < 0
    (0.5, -1.0, 0.6),  # below: 0.75·(1 - 0.2)
    (0.01, -2.0, 1.2),
    (3.0, 0.0, 0.0),
]


def test_the_surrogate_and_its_slope() -> None:
    ratios, advantages, losses = (list(column) for column in zip(*SURROGATE, strict=True))
    tokens = token_batch(ratios, advantages)
    found = method("ce_gppo").token_loss(tokens)
    assert found[0].tolist() == pytest.approx(losses, rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx(losses, rel=1e-12)


def test_gppo_keeps_the_bounds_own_gradient() -> None:
    tokens = token_batch([2.0, 0.5], [1.0, -1.0])
    found = method("ce_gppo", beta_low=1.0, beta_high=1.0).token_loss(tokens)
    assert slope(found, tokens.logp) == pytest.approx([-1.2, 0.8], rel=1e-12)


def test_without_betas_the_slope_is_that_of_the_clipped_surrogate() -> None:
    ratios, advantages, _ = (list(column) for column in zip(*SURROGATE, strict=True))
    ours, grpo = token_batch(ratios, advantages), token_batch(ratios, advantages)
    found = method("ce_gppo", beta_low=0.0, beta_high=0.0).token_loss(ours)
    assert slope(found, ours.logp) == slope(method("grpo").token_loss(grpo), grpo.logp)


def test_the_dual_clip_is_above_it() -> None:
    # c = 1.5: r = 2 at A = -1 costs 2 and is cut to 1.5, without slope; r = 0.5 costs 0.6 and stays
    tokens = token_batch([2.0, 0.5], [-1.0, -1.0])
    found = method("ce_gppo", {"dual_clip": 1.5}).token_loss(tokens)
    assert found[0].tolist() == pytest.approx([1.5, 0.6], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([0.0, 0.6], rel=1e-12)
