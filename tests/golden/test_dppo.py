"""DPPO by hand: old probability 1/2, thresholds on |π - 1/2| or on the binary KL divergence."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from golden_records import method, mini_batch, no_draws, slope, token_batch

from entrobench.api import TokenBatch


def batch_of(probabilities: list[float], advantages: list[float]) -> TokenBatch:
    """Tokens whose old probability is 1/2."""
    batch = token_batch([1.0] * len(probabilities), advantages)
    logp = torch.tensor([probabilities], dtype=torch.float64).log().requires_grad_()
    return replace(batch, logp=logp, logp_old=torch.full_like(logp, math.log(0.5)))


# probability, advantage -> slope with the threshold 0.15: -r·A, or 0 where the token has moved on too far
TOKENS = [
    (0.6, 1.0, -1.2),
    (0.7, 1.0, 0.0),  # 0.2 up, and A would push it up
    (0.7, -1.0, 1.4),  # 0.2 up, but A pulls it back
    (0.4, -1.0, 0.8),
    (0.3, -1.0, 0.0),  # 0.2 down, and A would push it down
    (0.3, 1.0, -0.6),
    (0.3, 0.0, 0.0),
]


def test_the_total_variation_mask() -> None:
    probabilities, advantages, slopes = (list(column) for column in zip(*TOKENS, strict=True))
    batch = batch_of(probabilities, advantages)
    found = method("dppo").token_loss(batch)
    assert slope(found, batch.logp) == pytest.approx(slopes, rel=1e-12)
    expected = [s * math.log(p) for p, s in zip(probabilities, slopes, strict=True)]
    assert found[0].tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("threshold", "kept"), [(0.2231, 0.0), (0.2232, 1.0)])
def test_the_binary_kl_mask(threshold: float, kept: float) -> None:
    # 1/2·ln(0.5/0.8) + 1/2·ln(0.5/0.2) = 1/2·ln(25/16) = 0.22314355; the same for 0.2, mirrored
    values = {"divergence": "kl", "threshold_low": threshold, "threshold_high": threshold}
    batch = batch_of([0.8, 0.2, 0.8, 0.2], [1.0, -1.0, -1.0, 1.0])
    found = slope(method("dppo", **values).token_loss(batch), batch.logp)
    assert found == pytest.approx([-1.6 * kept, 0.4 * kept, 1.6, -0.4], rel=1e-12)


def test_the_two_thresholds_belong_to_the_two_signs() -> None:
    batch = batch_of([0.7, 0.3], [1.0, -1.0])
    only_low = method("dppo", threshold_low=0.1, threshold_high=0.9)
    assert slope(only_low.token_loss(batch), batch.logp) == pytest.approx([-1.4, 0.0], rel=1e-12)


def test_the_weight_is_bounded_without_bounding_the_gradient_itself() -> None:
    # a probability of e^-5 risen to 0.1: ratio 14.8, cut to 3
    batch = replace(token_batch([1.0], [-1.0]), logp_old=torch.tensor([[-5.0]], dtype=torch.float64))
    batch = replace(batch, logp=torch.tensor([[math.log(0.1)]], dtype=torch.float64, requires_grad=True))
    assert slope(method("dppo", ratio_ceiling=3.0).token_loss(batch), batch.logp) == pytest.approx([3.0], rel=1e-12)
    # the authors' default is 10, verl's 20
    assert slope(method("dppo").token_loss(batch), batch.logp) == pytest.approx([10.0], rel=1e-12)
    verl = method("dppo", ratio_ceiling=20.0)
    assert slope(verl.token_loss(batch), batch.logp) == pytest.approx([0.1 * math.exp(5)], rel=1e-12)


def test_probabilities_of_one_are_finite() -> None:
    batch = batch_of([1.0], [1.0])
    batch = replace(batch, logp_old=torch.zeros_like(batch.logp))
    assert slope(method("dppo", divergence="kl").token_loss(batch), batch.logp) == [-1.0]


# the engine says 0.55 where the trainer's own forward said 0.4: the mask (0.7 is 0.15 or 0.3 away) and the ratio
@pytest.mark.parametrize(
    ("against", "expected"),
    [("rollout", -0.7 / 0.55), ("recompute", 0.0), ("old", 0.0)],
)
def test_what_the_mask_looks_at(against: str, expected: float) -> None:
    assert mismatched(against, 0.7, threshold=0.16) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("against", "expected"),
    [("rollout", -0.6 / 0.55), ("recompute", -0.6 / 0.55), ("old", -0.6 / 0.4)],
)
def test_what_the_ratio_looks_at(against: str, expected: float) -> None:
    assert mismatched(against, 0.6, threshold=0.9) == pytest.approx(expected, rel=1e-12)


def mismatched(against: str, probability: float, threshold: float) -> float:
    """The slope of one token of A = 1: 0.4 under the trainer's old forward, 0.55 under the engine's."""
    old, engine = (torch.tensor([[math.log(p)]], dtype=torch.float64) for p in (0.4, 0.55))
    subject = method("dppo", against=against, threshold_low=threshold, threshold_high=threshold)
    extras = subject.select(mini_batch([[1.0]], logp_old=old, logp_rollout=engine), no_draws)
    logp = torch.tensor([[math.log(probability)]], dtype=torch.float64, requires_grad=True)
    batch = replace(token_batch([1.0], [1.0]), logp=logp, logp_old=old, extras=extras)
    return slope(subject.token_loss(batch), logp)[0]


def test_on_policy_the_slope_is_grpos() -> None:
    batch = token_batch([1.0, 1.0], [0.7, -1.3])
    assert slope(method("dppo").token_loss(batch), batch.logp) == [-0.7, 1.3]
