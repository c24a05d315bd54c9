"""Log-probabilities and entropies from logits, and the chunked output layer that never holds [tokens, V] whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import row_statistics
from .selection import Everything, Rule, clamp_rule, top_k_rule, top_p_rule

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
    return _Statistics.apply(logits, None, clamp_rule(logits.shape[-1], clamp))[1]


def top_k_entropy(logits: Tensor, k: int) -> Tensor:
    """Entropy renormalised over the k most likely tokens (all, where V <= k), in nats; [n,V] -> [n], differentiable.

    Ties at the threshold share the remaining places, as in `clamped_entropy`.
    """
    return _Statistics.apply(logits, None, top_k_rule(logits.shape[-1], k))[1]


def top_p_entropy(logits: Tensor, p: float, include_crossing: bool = True) -> Tensor:
    """Entropy renormalised over the nucleus, in nats; [n,V] -> [n], differentiable.

    The nucleus is the smallest set of most likely tokens with mass at least p; without the crossing token it is the
    largest one with mass at most p. Where it is empty, entropy and gradient are 0. Ties at the threshold share the
    remaining places, as in `clamped_entropy`. The selection has no gradient.
    """
    return _Statistics.apply(logits, None, top_p_rule(logits.shape[-1], p, include_crossing))[1]


def rule_of(stat: TokenStat, vocabulary: int) -> Rule | None:
    """Which tokens one of the entropies above keeps, given as it is or as a `partial`; None for other statistics."""
    if not is_own(stat):
        return None
    call = stat if isinstance(stat, partial) else partial(stat)
    return _RULES[call.func](vocabulary, *call.args, **call.keywords)


def is_own(stat: TokenStat) -> bool:
    """Whether a statistic is one of the entropies above, given as it is or as a `partial`."""
    return (stat.func if isinstance(stat, partial) else stat) in _RULES


_RULES: dict[Any, Callable[..., Rule]] = {
    entropy: lambda vocabulary: Everything(),
    clamped_entropy: clamp_rule,
    top_k_entropy: top_k_rule,
    top_p_entropy: top_p_rule,
}


def row_kernels(device: torch.device) -> Any:
    """The module that computes rows on this device: Triton kernels on a GPU, blocks and threads on a CPU."""
    if device.type == "cpu":
        return row_statistics
    from . import triton_kernels

    return triton_kernels


class _Statistics(torch.autograd.Function):
    """The label's log-probability and an entropy from one set of exponentials. Only logits and row scalars are kept."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor | None, rule: Rule | None, in_place: bool = False
    ) -> tuple[Tensor, Tensor]:
        found = row_kernels(logits.device).forward(logits.detach(), labels, rule)
        logp, value = found.logp[:, 0], found.entropy[:, 0]
        if bool((logp + value).isnan().any()):
            raise ValueError("logits hold NaN or +inf, or a row holds nothing but -inf")
        ctx.save_for_backward(logits, labels)
        ctx.rule, ctx.in_place, ctx.found = rule, in_place, found
        return logp, value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        logits, labels = ctx.saved_tensors
        logits = logits.detach()
        at_logp, at_entropy = gradients
        rule = ctx.rule if bool(at_entropy.any()) else None
        labels = labels if bool(at_logp.any()) else None
        if rule is None and labels is None:  # a statistic that is only logged costs nothing
            return logits.new_zeros(()).expand_as(logits), None, None, None
        slope = row_kernels(logits.device).backward(
            logits, labels, rule, ctx.found, (at_logp, at_entropy), ctx.in_place
        )
        return slope, None, None, None


def entropy_and_slope(logits: Tensor, rule: Rule) -> tuple[Tensor, Tensor, Tensor]:
    """Entropy [n], its gradient [n,V] and ln of the kept mass over the largest token's [n], outside of autograd."""
    logits = logits.detach()
    found = row_kernels(logits.device).forward(logits, None, rule)
    ones = torch.ones_like(found.entropy[:, 0])
    slope = row_kernels(logits.device).backward(logits, None, rule, found, (ones, ones), False)
    return found.entropy[:, 0], slope, found.log_kept[:, 0]


def logit_statistics(
    logits: Tensor, labels: Tensor, stats: Sequence[TokenStat], in_place: bool = False
) -> tuple[Tensor, ...]:
    """Log-probability of the label and every statistic; [n,V], [n] -> [n] each, differentiable.

    The first entropy of this module shares the log-probability's exponentials. `in_place` lets the backward pass write
    over the logits, where nothing else reads them.
    """
    rules = [rule_of(stat, logits.shape[-1]) for stat in stats]
    shared = next((place for place, rule in enumerate(rules) if rule is not None), None)
    alone = len(stats) == (0 if shared is None else 1)
    logp, value = _Statistics.apply(logits, labels, None if shared is None else rules[shared], in_place and alone)
    wide = logits if alone else logits.to(row_statistics.compute_dtype(logits))
    return logp, *(value if place == shared else stat(wide) for place, stat in enumerate(stats))


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
    with more than one chunk they are recomputed in the backward pass, so peak memory depends on the chunk alone. A
    statistic whose gradient is zero costs nothing there.
    """
    head = _Head(tuple(stats.values()), temperature, chunk)
    if len(labels) <= chunk:
        columns = logit_statistics(head.logits(hidden, head_weight, head_bias), labels, head.stats)
    else:
        columns = _ChunkedHead.apply(hidden, head_weight, head_bias, labels, head)
    return columns[0], dict(zip(stats, columns[1:], strict=True))


@dataclass(frozen=True)
class _Head:
    """What happens to a chunk of tokens."""

    stats: tuple[TokenStat, ...]
    temperature: float
    chunk: int

    def logits(self, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """[n,V], as the layer gives them, or divided by the temperature in float32 (float64)."""
        logits = F.linear(hidden, weight, bias)
        if self.temperature == 1:
            return logits
        return logits.to(row_statistics.compute_dtype(logits)).div_(self.temperature)


class _ChunkedHead(torch.autograd.Function):
    """The output layer chunk by chunk, forward and again in the backward pass; products in the autocast's precision."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, head: _Head
    ) -> tuple[Tensor, ...]:
        ctx.head = head
        kind = hidden.device.type
        ctx.precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        # cast once: on a GPU every autocast that the backward thread leaves empties the cache of casts
        ctx.weight_dtype, weight = weight.dtype, weight.to(ctx.precision or weight.dtype)
        ctx.save_for_backward(hidden, weight, bias, labels)
        pieces = [
            logit_statistics(head.logits(h, weight, bias), y, head.stats)
            for h, y in zip(hidden.split(head.chunk), labels.split(head.chunk), strict=True)
        ]
        return tuple(torch.cat(column) for column in zip(*pieces, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, labels = ctx.saved_tensors
        wanted = [place for place, gradient in enumerate(gradients[1:]) if bool(gradient.any())]
        stats = [ctx.head.stats[place] for place in wanted]
        at_values = [gradients[0], *(gradients[1 + place] for place in wanted)]
        dtypes = hidden.dtype, ctx.weight_dtype, None if bias is None else bias.dtype
        at_hidden, at_weight, at_bias = (
            torch.zeros_like(tensor, dtype=dtype) if needed and tensor is not None else None
            for tensor, dtype, needed in zip((hidden, weight, bias), dtypes, ctx.needs_input_grad, strict=False)
        )
        chunks = torch.arange(len(labels)).split(ctx.head.chunk) if wanted or bool(gradients[0].any()) else ()
        for rows in (slice(int(chunk[0]), int(chunk[-1]) + 1) for chunk in chunks):
            slope = _chunk_slope(ctx, rows, stats, [gradient[rows] for gradient in at_values])
            if at_hidden is not None:
                at_hidden[rows] = slope @ weight
            if at_weight is not None:
                _add_product(at_weight, slope.T, hidden[rows].to(slope.dtype))
            if at_bias is not None:
                at_bias += slope.sum(0)
        return at_hidden, at_weight, at_bias, None, None


def _chunk_slope(ctx: Any, rows: slice, stats: Sequence[TokenStat], gradients: Sequence[Tensor]) -> Tensor:
    """Gradient of a chunk at what the output layer gave, in that precision; the layer runs again just as before."""
    hidden, weight, bias, labels = ctx.saved_tensors
    with torch.autocast(hidden.device.type, dtype=ctx.precision, enabled=ctx.precision is not None):
        logits = ctx.head.logits(hidden[rows], weight, bias).requires_grad_()
        with torch.enable_grad():
            values = logit_statistics(logits, labels[rows], stats, in_place=True)
        (slope,) = torch.autograd.grad(values, logits, gradients)
    slope = slope if ctx.head.temperature == 1 else slope / ctx.head.temperature
    return slope.to(ctx.precision or hidden.dtype)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, in the precision of `total`: rounding each chunk's product would add up to a bias."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    elif total.is_cuda:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total += left @ right
