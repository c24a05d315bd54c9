"""Log-probabilities and entropies from logits, and the chunked output layer that never holds [tokens, V] whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from entrobench import row_statistics
from entrobench.selection import Everything, MostLikely, Nucleus, Rule, removed_count

TokenStat = Callable[[Tensor], Tensor]


def log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of each label; logits [n,V], labels [n] int64 -> [n], differentiable."""
    return _Statistics.apply(logits, labels, None)[0]


def entropy(logits: Tensor) -> Tensor:
    """Full-vocabulary entropy in nats; [n,V] -> [n], differentiable. Tokens at -inf carry no mass and no gradient."""
    return _Statistics.apply(logits, None, Everything())[1]


def clamped_entropy(logits: Tensor, clamp: float) -> Tensor:
    """Entropy renormalised over the most likely tokens, in nats; [n,V] -> [n], differentiable.

    The floor(clamp·V) least likely tokens are removed; tokens equal to the threshold share the remaining places with
    weight (kept ties)/(all ties), so the value depends neither on the tie-breaking nor on the device. The selection has
    no gradient. Source: arXiv 2509.03493, section 4.
    """
    return _Statistics.apply(logits, None, _clamp_rule(logits.shape[-1], clamp))[1]


def top_k_entropy(logits: Tensor, k: int) -> Tensor:
    """Entropy renormalised over the k most likely tokens (all, where V <= k), in nats; [n,V] -> [n], differentiable.

    Ties at the threshold share the remaining places, as in `clamped_entropy`.
    """
    return _Statistics.apply(logits, None, _top_k_rule(logits.shape[-1], k))[1]


def top_p_entropy(logits: Tensor, p: float, include_crossing: bool = True) -> Tensor:
    """Entropy renormalised over the nucleus, in nats; [n,V] -> [n], differentiable.

    The nucleus is the smallest set of most likely tokens with mass at least p; without the crossing token it is the
    largest one with mass at most p. Where it is empty, entropy and gradient are 0. Ties at the threshold share the
    remaining places, as in `clamped_entropy`. The selection has no gradient.
    """
    return _Statistics.apply(logits, None, _top_p_rule(logits.shape[-1], p, include_crossing))[1]


def _clamp_rule(vocabulary: int, clamp: float) -> Rule:
    if not 0 <= clamp < 1:
        raise ValueError(f"clamp must be at least 0 and below 1, got {clamp}")
    removed = removed_count(clamp, vocabulary)
    return MostLikely(vocabulary - removed) if removed else Everything()


def _top_k_rule(vocabulary: int, k: int) -> Rule:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return MostLikely(k) if k < vocabulary else Everything()


def _top_p_rule(vocabulary: int, p: float, include_crossing: bool = True) -> Rule:
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, got {p}")
    return Nucleus(p, include_crossing) if p < 1 else Everything()


def rule_of(stat: TokenStat, vocabulary: int) -> Rule | None:
    """Which tokens one of the entropies above keeps, given as it is or as a `partial`; None for other statistics."""
    function, arguments, keywords = stat, (), {}
    if isinstance(stat, partial):
        function, arguments, keywords = stat.func, stat.args, stat.keywords
    if function is entropy:
        return Everything()
    for known, rule in ((clamped_entropy, _clamp_rule), (top_k_entropy, _top_k_rule), (top_p_entropy, _top_p_rule)):
        if function is known:
            return rule(vocabulary, *arguments, **keywords)
    return None


class _Statistics(torch.autograd.Function):
    """The label's log-probability and an entropy from one set of exponentials. Only logits and row scalars are kept."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor | None, rule: Rule | None) -> tuple[Tensor, Tensor]:
        found = row_statistics.forward(logits.detach(), labels, rule)
        logp, value = found.logp[:, 0], found.entropy[:, 0]
        if bool((logp + value).isnan().any()):
            raise ValueError("logits hold NaN or +inf, or a row holds nothing but -inf")
        ctx.save_for_backward(logits, labels)
        ctx.rule, ctx.found = rule, found
        return logp, value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits, labels = ctx.saved_tensors
        at_logp, at_entropy = gradients
        rule = ctx.rule if bool(at_entropy.any()) else None
        labels = labels if bool(at_logp.any()) else None
        if rule is None and labels is None:  # a statistic that is only logged costs nothing
            return logits.new_zeros(()).expand_as(logits), None, None
        return row_statistics.backward(logits.detach(), labels, rule, ctx.found, (at_logp, at_entropy)), None, None


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
