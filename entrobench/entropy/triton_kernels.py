"""Log-probabilities and entropies of rows of logits on a GPU: one program per row; after one read the row is cached.

The same two functions as `row_statistics`. The selection is exact. It is a radix select over 8-bit digits of keys that
are ordered as the logits are (two levels for bfloat16); for a nucleus it is a binary search on the keys. Not yet timed.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .row_statistics import RowStatistics
from .selection import Cut, Everything, MostLikely, Nucleus, Rule

TILE = 4096  # logits that a program holds at a time
KEY_BITS = {torch.bfloat16: 16, torch.float16: 24, torch.float32: 32}  # the others are the same for all values


def forward(logits: Tensor, labels: Tensor | None, rule: Rule | None) -> RowStatistics:
    """The label's log-probability and the entropy of the tokens that the rule keeps; [n,V], [n] or None."""
    logits = logits.contiguous()
    rows, vocabulary = logits.shape
    columns = [torch.zeros(rows, 1, dtype=torch.float32, device=logits.device) for _ in range(6)]
    limit = torch.zeros(rows, 1, dtype=torch.int64, device=logits.device)
    mass = torch.full((1,), rule.mass if isinstance(rule, Nucleus) else 0.0, dtype=torch.float64, device=logits.device)
    if rows:
        _forward_kernel[(rows,)](
            logits,
            logits if labels is None else labels,
            *columns,
            limit,
            vocabulary,
            rule.places if isinstance(rule, MostLikely) else 0,
            mass,
            INCLUDE_CROSSING=isinstance(rule, Nucleus) and rule.include_crossing,
            **_choices(logits, labels, rule),
        )
    logp, entropy, largest, log_total, log_kept, share = columns
    return RowStatistics(logp, entropy, largest, log_total, log_kept, Cut(limit, share))


def backward(
    logits: Tensor,
    labels: Tensor | None,
    rule: Rule | None,
    found: RowStatistics,
    grads: tuple[Tensor, Tensor],
    in_place: bool,
) -> Tensor:
    """Gradient [n,V] at the logits, given those at logp and entropy, [n] each; `in_place` writes over the logits."""
    logits = logits.contiguous()
    rows, vocabulary = logits.shape
    slope = logits if in_place else torch.empty_like(logits)
    choices = _choices(logits, labels, rule)
    if rows:
        _backward_kernel[(rows, triton.cdiv(vocabulary, choices["BLOCK"]))](
            logits,
            logits if labels is None else labels,
            slope,
            *(grad.float().contiguous() for grad in grads),
            found.entropy,
            found.largest,
            found.log_total,
            found.log_kept,
            found.cut.share,
            found.cut.limit,
            vocabulary,
            **choices,
        )
    return slope


def _choices(logits: Tensor, labels: Tensor | None, rule: Rule | None) -> dict[str, Any]:
    """The constants that a kernel is compiled for."""
    if logits.dtype not in KEY_BITS:
        raise TypeError(f"the GPU kernels take bfloat16, float16 and float32, not {logits.dtype}")
    return {
        "HAS_LABELS": labels is not None,
        "HAS_ENTROPY": rule is not None,
        "SELECTS": rule is not None and not isinstance(rule, Everything),
        "NUCLEUS": isinstance(rule, Nucleus),
        "KEY_BITS": KEY_BITS[logits.dtype],
        "BLOCK": min(TILE, triton.next_power_of_2(logits.shape[1])),
        "num_warps": 8,
    }


@triton.jit
def _keys(values, KEY_BITS: tl.constexpr):
    """Unsigned numbers that order as the values do; equal values, 0.0 and -0.0 too, have equal keys."""
    bits = tl.where(values == 0.0, 0.0, values).to(tl.uint32, bitcast=True)
    return tl.where((bits >> 31) != 0, bits ^ 0xFFFFFFFF, bits | 0x80000000) >> (32 - KEY_BITS)


@triton.jit
def _load(row, start, vocabulary, BLOCK: tl.constexpr):
    columns = start + tl.arange(0, BLOCK)
    exists = columns < vocabulary
    return tl.load(row + columns, mask=exists, other=-float("inf")).to(tl.float32), exists


@triton.jit
def _most_likely(row, vocabulary, places, KEY_BITS: tl.constexpr, BLOCK: tl.constexpr):
    """The key of the `places`-th largest value, and the share of a tie at it."""
    limit = tl.zeros((), tl.uint32)
    tied = places
    for level in tl.static_range(KEY_BITS // 8):
        counts = tl.zeros((256,), tl.int32)
        for start in range(0, vocabulary, BLOCK):
            values, counted = _load(row, start, vocabulary, BLOCK)
            keys = _keys(values, KEY_BITS) >> (KEY_BITS - 8 - 8 * level)
            if level > 0:
                counted = counted & ((keys >> 8) == limit)
            counts += tl.histogram((keys & 255).to(tl.int32), 256, mask=counted)
        reached = tl.cumsum(counts, 0, reverse=True)
        digit = tl.sum((reached >= places).to(tl.int32), 0) - 1
        chosen = tl.arange(0, 256) == digit
        places -= tl.sum(tl.where(chosen, reached - counts, 0), 0)
        tied = tl.sum(tl.where(chosen, counts, 0), 0)
        limit = (limit << 8) | digit.to(tl.uint32)
    return limit, places.to(tl.float32) / tied.to(tl.float32)


@triton.jit
def _mass(row, vocabulary, largest, limit, KEY_BITS: tl.constexpr, BLOCK: tl.constexpr):
    """Σ e^(z - largest) of keys above the limit and of keys equal to it, and the number of the latter."""
    above = tl.zeros((BLOCK,), tl.float64)  # float64 as on the CPU: which token crosses should not hang on rounding
    equal = tl.zeros((BLOCK,), tl.float64)
    count = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, vocabulary, BLOCK):
        values, exists = _load(row, start, vocabulary, BLOCK)
        keys = _keys(values, KEY_BITS)
        mass = tl.where(exists, tl.exp(values - largest), 0.0)
        above += tl.where(keys > limit, mass, 0.0).to(tl.float64)
        equal += tl.where(keys == limit, mass, 0.0).to(tl.float64)
        count += (exists & (keys == limit)).to(tl.int32)
    return tl.sum(above, 0), tl.sum(equal, 0), tl.sum(count, 0)


@triton.jit
def _nucleus(
    row, vocabulary, largest, share_of_mass, INCLUDE_CROSSING: tl.constexpr, KEY_BITS: tl.constexpr, BLOCK: tl.constexpr
):
    """The key at which the mass from above crosses the wanted one, and the share of a tie at it."""
    limit = tl.zeros((), tl.uint32)
    above, equal, count = _mass(row, vocabulary, largest, limit, KEY_BITS, BLOCK)
    wanted = tl.load(share_of_mass) * (above + equal)
    bit = tl.full((), 1, tl.uint32) << (KEY_BITS - 1)
    for _ in range(KEY_BITS):
        tried = limit | bit
        bit = bit >> 1
        above, equal, count = _mass(row, vocabulary, largest, tried, KEY_BITS, BLOCK)
        if INCLUDE_CROSSING:
            limit = tl.where(above + equal >= wanted, tried, limit)
        else:
            limit = tl.where(above + equal > wanted, tried, limit)
    above, equal, count = _mass(row, vocabulary, largest, limit, KEY_BITS, BLOCK)
    places = (wanted - above) / tl.where(equal > 0, equal / count, 1.0)
    places = tl.ceil(places) if INCLUDE_CROSSING else tl.floor(places)
    return limit, tl.minimum(tl.maximum(places / tl.maximum(count, 1), 0.0), 1.0).to(tl.float32)


@triton.jit
def _largest(row, vocabulary, BLOCK: tl.constexpr):
    """The largest logit of a row, and how many logits are NaN, which tl.max passes over."""
    largest_each = tl.full((BLOCK,), -float("inf"), tl.float32)
    strange = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, vocabulary, BLOCK):
        values, _ = _load(row, start, vocabulary, BLOCK)
        largest_each = tl.maximum(largest_each, values)
        strange += (values != values).to(tl.int32)
    return tl.max(largest_each, 0), tl.sum(strange, 0)


@triton.jit
def _sums(
    row,
    vocabulary,
    largest,
    limit,
    share,
    HAS_ENTROPY: tl.constexpr,
    SELECTS: tl.constexpr,
    KEY_BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Sums over a row with its largest logit at 0: the mass, the mass that is kept, and kept mass x logit."""
    total_each = tl.zeros((BLOCK,), tl.float32)
    kept_each = tl.zeros((BLOCK,), tl.float32)
    product_each = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        values, exists = _load(row, start, vocabulary, BLOCK)
        shifted = values - largest
        mass = tl.where(exists, tl.exp(shifted), 0.0)
        total_each += mass
        if SELECTS:
            keys = _keys(values, KEY_BITS)
            mass = tl.where(keys > limit, mass, tl.where(keys == limit, mass * share, 0.0))
        if HAS_ENTROPY:
            kept_each += mass
            product_each += tl.where(mass > 0, mass * shifted, 0.0)  # 0·(-inf) would be NaN
    return tl.sum(total_each, 0), tl.sum(kept_each, 0), tl.sum(product_each, 0)


@triton.jit
def _forward_kernel(
    logits,
    labels,
    logp_out,
    entropy_out,
    largest_out,
    log_total_out,
    log_kept_out,
    share_out,
    limit_out,
    vocabulary,
    places,
    share_of_mass,
    INCLUDE_CROSSING: tl.constexpr,
    HAS_LABELS: tl.constexpr,
    HAS_ENTROPY: tl.constexpr,
    SELECTS: tl.constexpr,
    NUCLEUS: tl.constexpr,
    KEY_BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    number = tl.program_id(0)
    row = logits + number.to(tl.int64) * vocabulary
    largest, strange = _largest(row, vocabulary, BLOCK)
    limit = tl.zeros((), tl.uint32)
    share = 0.0
    if SELECTS:
        if NUCLEUS:
            limit, share = _nucleus(row, vocabulary, largest, share_of_mass, INCLUDE_CROSSING, KEY_BITS, BLOCK)
        else:
            limit, share = _most_likely(row, vocabulary, places, KEY_BITS, BLOCK)
    total, kept, product = _sums(row, vocabulary, largest, limit, share, HAS_ENTROPY, SELECTS, KEY_BITS, BLOCK)
    log_total = tl.where(strange > 0, float("nan"), tl.log(total))
    if HAS_ENTROPY:
        kept = tl.where(kept == 0, 1.0, kept)  # an empty nucleus has entropy 0
        log_kept = tl.log(kept)
        entropy = log_kept - product / kept
        tl.store(entropy_out + number, tl.where(log_total == log_total, entropy, float("nan")))
        tl.store(log_kept_out + number, log_kept)
        if not HAS_LABELS:
            log_total = log_kept
    if HAS_LABELS:
        label = tl.load(labels + number)
        tl.store(logp_out + number, tl.load(row + label).to(tl.float32) - largest - log_total)
    tl.store(largest_out + number, largest)
    tl.store(log_total_out + number, log_total)
    tl.store(share_out + number, share)
    tl.store(limit_out + number, limit.to(tl.int64))


@triton.jit
def _backward_kernel(
    logits,
    labels,
    slope,
    at_logp,
    at_entropy,
    entropy,
    largest,
    log_total,
    log_kept,
    share,
    limit,
    vocabulary,
    HAS_LABELS: tl.constexpr,
    HAS_ENTROPY: tl.constexpr,
    SELECTS: tl.constexpr,
    NUCLEUS: tl.constexpr,
    KEY_BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    number = tl.program_id(0)
    first = number.to(tl.int64) * vocabulary
    start = tl.program_id(1) * BLOCK
    columns = start + tl.arange(0, BLOCK)
    values, exists = _load(logits + first, start, vocabulary, BLOCK)
    shifted = values - tl.load(largest + number)
    gradient = tl.zeros((BLOCK,), tl.float32)
    if HAS_ENTROPY:
        log_mass = shifted - tl.load(log_kept + number)
        mass = tl.exp(log_mass)
        if SELECTS:
            keys = _keys(values, KEY_BITS)
            cut = tl.load(limit + number).to(tl.uint32)
            mass = tl.where(keys > cut, mass, tl.where(keys == cut, mass * tl.load(share + number), 0.0))
        bracket = log_mass + tl.load(entropy + number)
        gradient -= tl.load(at_entropy + number) * tl.where(mass > 0, mass * bracket, 0.0)
    if HAS_LABELS:
        chosen = (columns == tl.load(labels + number)).to(tl.float32)
        gradient += tl.load(at_logp + number) * (chosen - tl.exp(shifted - tl.load(log_total + number)))
    tl.store(slope + first + columns, gradient.to(slope.dtype.element_ty), mask=exists)
