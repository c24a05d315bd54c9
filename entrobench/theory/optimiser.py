"""Natural policy gradient of the regularised value V_λ = V + λ·H: the way to its optimum that knows no closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from .bonus import bonuses, following_entropies, uniform_entropy
from .process import Floats, Process, backward, policies

SHARE = 0.3  # ours: of the step that would solve a bandit at once; the error falls by this share per iteration
ITERATIONS = 120  # 0.7^120 = 3e-19, below the rounding of float64


def soft_action_values(process: Process, logits: Sequence[Floats], coefficients: Floats) -> list[Floats]:
    """Reward and λ·entropy still to come after an action, [R,N,G] per level."""
    found = policies(process, logits)
    paid, left = following_entropies(process, bonuses(process, logits, None), uniform_entropy(process, None))
    weight = coefficients[:, None, None]
    total = [level.rewards + weight * own for level, own in zip(process.levels, paid, strict=True)]
    return backward(process, found, total, [weight * own for own in left])


def maximise(process: Process, logits: Sequence[Floats], coefficients: Floats) -> list[Floats]:
    """Logits near the maximum of V_λ: θ ← (1 − s)·θ + s·Q_λ/λ, a natural-gradient step of size s/λ."""
    logits = [own.copy() for own in logits]
    for _ in range(ITERATIONS * process.horizon):
        values = soft_action_values(process, logits, coefficients)
        logits = [
            (1 - SHARE) * own + SHARE * to_come / coefficients[:, None, None]
            for own, to_come in zip(logits, values, strict=True)
        ]
        logits = [own - numpy.max(own, axis=-1, keepdims=True) for own in logits]
    return logits
