"""What clamping takes from a policy at each token: the removed mass, an identity of entropies, and the two gradients.

With m the mass of the removed tokens and h the binary entropy, H = h(m) + (1 − m)·H̃ + m·H_tail holds at every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from entrobench.entropy.selection import removed_count


class Tail(NamedTuple):
    """One clamp at each token, [n] float64; entropies in nats."""

    entropy: Tensor  # H, all tokens
    clamped: Tensor  # H̃, the kept ones renormalised
    tail: Tensor  # H_tail, the removed ones renormalised; 0 where nothing is removed
    mass: Tensor  # m
    residual: Tensor  # H − (h(m) + (1 − m)·H̃ + m·H_tail), 0 but for rounding
    product: Tensor  # ⟨∇H, ∇H̃⟩ at the logits
    square: Tensor  # ‖∇H‖²
    own_square: Tensor  # ‖∇H̃‖²


def tail(logits: Tensor, clamp: float) -> Tail:
    """Logits [n,V] -> what removing the floor(p·V) least likely tokens changes; computed in float64.

    Among tokens equal at the cut those with lower numbers stay: the identity holds for any choice.
    """
    return tails(logits, [clamp])[0]


def tails(logits: Tensor, clamps: Sequence[float]) -> list[Tail]:
    """`tail` for several clamps, with one sort."""
    log_probs = logits.double().log_softmax(1).sort(stable=True, dim=1, descending=True).values
    entropy = -(log_probs.exp() * log_probs).sum(1)
    slope = -log_probs.exp() * (log_probs + entropy[:, None])
    square = slope.square().sum(1)
    vocabulary = log_probs.shape[1]
    return [_cut(log_probs, entropy, slope, square, vocabulary - removed_count(p, vocabulary)) for p in clamps]


def _cut(log_probs: Tensor, entropy: Tensor, slope: Tensor, square: Tensor, kept: int) -> Tail:
    """One clamp at the sorted log-probabilities [n,V] with their entropy, its slope at the logits, and its square."""
    head, rest = log_probs[:, :kept], log_probs[:, kept:]
    log_head, head_entropy, head_slope = _renormalised(head)
    log_rest, rest_entropy, _ = _renormalised(rest)
    mass = log_rest.exp()
    rebuilt = _surprise(log_head) + _surprise(log_rest) + log_head.exp() * head_entropy + mass * rest_entropy
    return Tail(
        entropy=entropy,
        clamped=head_entropy,
        tail=rest_entropy,
        mass=mass,
        residual=entropy - rebuilt,
        product=(slope[:, :kept] * head_slope).sum(1),
        square=square,
        own_square=head_slope.square().sum(1),
    )


def _renormalised(log_probs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ln of the mass of some tokens, their entropy renormalised, and its slope at their logits."""
    if log_probs.shape[1] == 0:
        nothing = log_probs.new_zeros(len(log_probs))
        return nothing - torch.inf, nothing, log_probs
    total = log_probs.logsumexp(1)
    own = log_probs - total[:, None]
    entropy = -(own.exp() * own).sum(1)
    return total, entropy, -own.exp() * (own + entropy[:, None])


def _surprise(log_mass: Tensor) -> Tensor:
    """−x·ln x for x = e^log_mass, 0 at 0."""
    return -torch.where(log_mass.isinf(), 0.0, log_mass.exp() * log_mass)


def largest_difference(mass: float, kept: int, removed: int) -> float:
    """The most that full and clamped entropy can differ at a token with this removed mass, nats.

    H − H̃ = h(m) − m·H̃ + m·H_tail, where 0 ≤ H̃ ≤ ln(kept) and 0 ≤ H_tail ≤ ln(removed).
    """
    from math import log, log1p

    if not 0 < mass < 1 or removed == 0:
        return 0.0
    binary = -mass * log(mass) - (1 - mass) * log1p(-mass)
    return max(binary + mass * log(removed), mass * log(kept) - binary)
