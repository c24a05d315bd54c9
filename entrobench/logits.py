"""Log-probabilities and entropies from logits, and the chunked output layer that never holds [tokens, V] whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

TokenStat = Callable[[Tensor], Tensor]


def log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of each label; logits [n,V], labels [n] int64 -> [n]."""
    return -F.cross_entropy(logits, labels, reduction="none")


def entropy(logits: Tensor) -> Tensor:
    """Full-vocabulary entropy in nats; [n,V] -> [n], differentiable. Tokens at -inf carry no mass and no gradient."""
    return _WeightedEntropy.apply(logits, None)


def clamped_entropy(logits: Tensor, clamp: float) -> Tensor:
    """Entropy renormalised over the most likely tokens, in nats; [n,V] -> [n], differentiable.

    The floor(clamp·V) least likely tokens are removed; tokens equal to the threshold share the remaining places with
    weight (kept ties)/(all ties), so the value depends neither on the tie-breaking nor on the device. The selection has
    no gradient. Source: arXiv 2509.03493, section 4.
    """
    removed = removed_count(clamp, logits.shape[-1])
    return _WeightedEntropy.apply(logits, kept_weights(logits.detach(), removed) if removed else None)


def top_k_entropy(logits: Tensor, k: int) -> Tensor:
    """Entropy renormalised over the k most likely tokens (all, where V < k), in nats; [n,V] -> [n], differentiable.

    Ties at the threshold share the remaining places, as in `clamped_entropy`.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    removed = max(0, logits.shape[-1] - k)
    return _WeightedEntropy.apply(logits, kept_weights(logits.detach(), removed) if removed else None)


def top_p_entropy(logits: Tensor, p: float, include_crossing: bool = True) -> Tensor:
    """Entropy renormalised over the nucleus, in nats; [n,V] -> [n], differentiable.

    The nucleus is the smallest set of most likely tokens with mass at least p; without the crossing token it is the
    largest one with mass at most p, and where that is empty, entropy and gradient are 0. Ties at the threshold share
    the remaining places, as in `clamped_entropy`. The selection has no gradient.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, got {p}")
    if p == 1:
        return entropy(logits)
    weights = _nucleus_weights(logits.detach(), p, include_crossing)
    empty = weights.sum(-1, keepdim=True) == 0
    value = _WeightedEntropy.apply(logits, torch.where(empty, 1, weights))
    return torch.where(empty[:, 0], 0, value)


def _nucleus_weights(logits: Tensor, p: float, include_crossing: bool) -> Tensor:
    """1 for tokens of the nucleus, a share for ties at its threshold, 0 for the others; [n,V] -> [n,V]."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    ordered = wide.sort(-1, descending=True).values
    mass = (ordered - ordered[:, :1]).exp().double()
    reached = mass.cumsum(-1)
    limit = p * reached[:, -1:]
    inside = (reached - mass < limit) if include_crossing else (reached <= limit)
    places = inside.sum(-1, keepdim=True)
    threshold = ordered.gather(-1, (places - 1).clamp(min=0))
    above, tied = wide > threshold, wide == threshold
    shared = (places - above.sum(-1, keepdim=True)).clamp(min=0).to(wide.dtype)
    return above + tied * (shared / tied.sum(-1, keepdim=True))


def removed_count(clamp: float, vocabulary: int) -> int:
    """floor(clamp·V) in exact decimal arithmetic: 0.29 of 100 is 29, where int(100 · 0.29) is 28."""
    return int((Decimal(str(clamp)) * vocabulary).to_integral_value(ROUND_FLOOR))


def kept_weights(logits: Tensor, removed: int) -> Tensor:
    """1 for kept tokens, 0 for the `removed` least likely, a share for ties at the threshold; [n,V] -> [n,V]."""
    threshold = _smallest_kept(logits, removed)
    above, tied = logits > threshold, logits == threshold
    places = logits.shape[-1] - removed - above.sum(-1, keepdim=True)
    precision = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return above + tied * (places.to(precision) / tied.sum(-1, keepdim=True))


def _smallest_kept(logits: Tensor, removed: int) -> Tensor:
    """The (removed + 1)-th smallest value of each row, [n,1]."""
    if logits.device.type == "cpu":
        # numpy's vectorised quickselect is several times faster than kthvalue; it knows no bfloat16
        rows = (logits.float() if logits.dtype == torch.bfloat16 else logits).numpy()
        return torch.from_numpy(numpy.partition(rows, removed, axis=-1)[:, removed, None]).to(logits.dtype)
    return logits.kthvalue(removed + 1, dim=-1, keepdim=True).values


class _WeightedEntropy(torch.autograd.Function):
    """H = log Z - Σ w·e^z·z / Z with Z = Σ w·e^z; the weights are constants. Only logits, weights and H are kept.

    dH/dz_j = -q_j·(log(e^{z_j} / Z) + H) with q_j = w_j·e^{z_j} / Z.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, weights: Tensor | None) -> Tensor:
        mass, shifted = _masses(logits, weights)
        total = mass.sum(-1)
        value = total.log() - torch.linalg.vecdot(mass, shifted) / total
        if torch.isnan(value).any():
            raise ValueError("logits hold NaN or +inf, or a row holds nothing but -inf")
        ctx.save_for_backward(logits, weights, value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits, weights, value = ctx.saved_tensors
        mass, shifted = _masses(logits, weights)
        total = mass.sum(-1)
        slope = mass.mul_(shifted.add_((value - total.log())[:, None])).mul_((-gradients[0] / total)[:, None])
        return slope.to(logits.dtype), None


def _masses(logits: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """w·e^{z - max} [n,V] and the finite z - max [n,V]."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    shifted = wide - wide.amax(-1, keepdim=True)
    mass = shifted.exp() if weights is None else shifted.exp().mul_(weights)
    # -inf logits have mass 0; a finite stand-in keeps 0·(-inf) from becoming NaN
    return mass, shifted.clamp_(min=torch.finfo(shifted.dtype).min)


def token_statistics(
    hidden: Tensor,
    head_weight: Tensor,
    head_bias: Tensor | None,
    labels: Tensor,
    stats: Mapping[str, TokenStat],
    temperature: float,
    chunk: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Log-probability of the label and every statistic, per token, through the output layer.

    hidden [n,d], head_weight [V,d], head_bias [V] or None, labels [n] -> [n] and {name: [n]}, float32 (float64 from
    float64), with gradients to hidden and head. Logits exist for `chunk` tokens at a time, divided by the temperature;
    with more than one chunk they are recomputed in the backward pass, so peak memory depends on the chunk alone.
    """

    def one(hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> tuple[Tensor, ...]:
        logits = F.linear(hidden, weight, bias)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        logits = logits if temperature == 1 else logits / temperature
        return log_probs(logits, labels), *(stat(logits) for stat in stats.values())

    if len(labels) <= chunk or not torch.is_grad_enabled():
        pieces = [
            one(h, head_weight, head_bias, y) for h, y in zip(hidden.split(chunk), labels.split(chunk), strict=True)
        ]
    else:
        pieces = [
            checkpoint(one, h, head_weight, head_bias, y, use_reentrant=False, preserve_rng_state=False)
            for h, y in zip(hidden.split(chunk), labels.split(chunk), strict=True)
        ]
    columns = [torch.cat(column) for column in zip(*pieces, strict=True)]
    return columns[0], dict(zip(stats, columns[1:], strict=True))
