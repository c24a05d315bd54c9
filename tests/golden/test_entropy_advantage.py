"""The entropy-shaped advantage by hand: A + min(0.4·H, |A|/2)."""

from __future__ import annotations

import pytest
import torch
from golden_records import method, slope, token_batch

# advantage, entropy -> shaped advantage
SHAPED = [
    (1.0, 0.5, 1.2),  # 0.4·0.5 = 0.2 < 1/2
    (1.0, 9.0, 1.5),  # 3.6 > 1/2
    (-1.0, 0.5, -0.8),
    (-0.2, 9.0, -0.1),  # the sign never turns
    (0.0, 9.0, 0.0),
]


def test_the_shaped_surrogate_and_its_slope() -> None:
    advantages, entropies, shaped = (list(column) for column in zip(*SHAPED, strict=True))
    tokens = token_batch([1.1] * 5, advantages, entropy=entropies)
    found = method("entropy_advantage").token_loss(tokens)
    assert found[0].tolist() == pytest.approx([-1.1 * a for a in shaped], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([-1.1 * a for a in shaped], rel=1e-12)


def test_the_clip_acts_on_the_shaped_advantage() -> None:
    tokens = token_batch([2.0, 0.5], [1.0, -1.0], entropy=[0.5, 0.5])
    found = method("entropy_advantage").token_loss(tokens)
    assert found[0].tolist() == pytest.approx([-1.2 * 1.2, 0.8 * 0.8], rel=1e-12)
    assert slope(found, tokens.logp) == [0.0, 0.0]


def test_the_entropy_has_no_gradient() -> None:
    tokens = token_batch([1.1], [1.0], entropy=[0.5])
    (gradient,) = torch.autograd.grad(
        method("entropy_advantage").token_loss(tokens).sum(), tokens.stats["entropy"], allow_unused=True
    )
    assert gradient is None


def test_kappa_1_may_cancel_a_negative_advantage() -> None:
    tokens = token_batch([1.1], [-1.0], entropy=[9.0])
    assert method("entropy_advantage", kappa=1.0).token_loss(tokens).item() == 0
