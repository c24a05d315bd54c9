"""CE-GPPO by hand: where the clip would stop the gradient, its closed form is β·bound·A."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from golden_records import ROUNDED, method, mini_batch, no_draws, padded, slope, token_batch

from entrobench.training.update import divisor_weights

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


@pytest.mark.parametrize(("coefficient", "weight"), [(0.1, 0.1 / 3), (0.0, 0.0)])
def test_right_answers_are_also_imitated(coefficient: float, weight: float) -> None:
    # 0.1 · mean of -log π over the three tokens of right answers, whatever the other two say
    batch = mini_batch([[1.0], [1.0] * 2, [1.0] * 2], rewards=torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    subject = method("ce_gppo", positive_coefficient=coefficient)
    extras = dict(subject.select(batch, no_draws))
    logp = padded([[-1.0], [-2.0, -3.0], [-4.0, -7.0]]).requires_grad_()
    tokens = replace(token_batch([1.0], [1.0]), logp=logp, mask=batch.mask, extras=extras)
    _, weights = divisor_weights(subject, batch, extras)
    added = subject.regularizer(tokens)
    assert added is not None
    term = (added * weights).sum()
    assert term.item() == pytest.approx(weight * 12, abs=ROUNDED)
    (gradient,) = torch.autograd.grad(term, logp)
    expected = padded([[-weight], [0.0, 0.0], [-weight, -weight]])
    assert gradient.flatten().tolist() == pytest.approx(expected.flatten().tolist(), abs=ROUNDED)


def test_without_a_right_answer_nothing_is_added() -> None:
    batch = mini_batch([[1.0] * 2], rewards=torch.zeros(1, dtype=torch.float64))
    assert method("ce_gppo").select(batch, no_draws)["positive_weight"].tolist() == [[0.0, 0.0]]
