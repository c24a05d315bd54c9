"""Log-probabilities and entropies of rows of logits on the CPU, block by block, with their gradients.

A block of rows fits the processor's caches, so that every pass but the first reads from there; worker threads, as many
as torch has, take the blocks. What a block computes depends on its rows alone: the number of threads changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from .selection import LOG2_E, Cut, Everything, Rule, exponential, select, shift

BLOCK = 2**19  # logits; larger blocks leave the caches, smaller ones spend their time in Python
BlockWork = Callable[[slice], None]


class RowStatistics(NamedTuple):
    """What is known of each row, [n,1] each: with the logits, all that the backward pass needs."""

    logp: Tensor  # of the label; 0 without labels
    entropy: Tensor  # of the kept tokens, nats; 0 without a rule
    largest: Tensor  # the largest logit
    log_total: Tensor  # ln Σ e^(z - largest) over all tokens with labels, over the kept ones without
    log_kept: Tensor  # the same over the kept tokens, by weight
    cut: Cut  # where kept tokens end; without meaning where all are kept


def forward(logits: Tensor, labels: Tensor | None, rule: Rule | None) -> RowStatistics:
    """The label's log-probability and the entropy of the tokens that the rule keeps; [n,V], [n] or None.

    Without labels, or without a rule, the other part is not computed.
    """
    columns = [torch.zeros(len(logits), 1, dtype=compute_dtype(logits)) for _ in range(7)]
    logp, entropy, largest, log_total, log_kept, *cut = columns

    def start() -> BlockWork:
        buffers = _buffers(logits, 2)

        def work(rows: slice) -> None:
            names = None if labels is None else labels[rows, None]
            for column, value in zip(columns, _block_forward(logits[rows], names, rule, buffers), strict=True):
                column[rows] = value

        return work

    _by_blocks(logits, start)
    return RowStatistics(logp, entropy, largest, log_total, log_kept, Cut(*cut))


def _block_forward(logits: Tensor, labels: Tensor | None, rule: Rule | None, buffers: list[Tensor]) -> Iterator[Tensor]:
    shifted, mass = (buffer[: len(logits)] for buffer in buffers)
    largest = logits.amax(1, keepdim=True).to(shifted.dtype)
    shift(logits, largest, shifted)
    zero = torch.zeros_like(largest)
    logp = zero if labels is None else shifted.gather(1, labels)
    kept, inside, cut = shifted, None, Cut(zero, zero)
    if rule is not None and not isinstance(rule, Everything):
        kept, inside, cut = select(logits, largest, shifted, rule)
    used = kept if labels is None else shifted  # a selection has only reordered `shifted`; its head is `kept`
    width = kept.shape[1]
    exponential(used, 0.0, mass[:, : used.shape[1]])
    if labels is not None:
        log_total = mass.sum(1, keepdim=True).log_()
        logp = logp - log_total
    entropy = log_kept = zero
    if rule is not None:
        mass = mass[:, :width] if inside is None else mass[:, :width].mul_(inside)
        total = mass.sum(1, keepdim=True)
        total = total.masked_fill(total == 0, 1)  # an empty nucleus has entropy 0; all other totals are at least 1
        log_kept = total.log()
        entropy = log_kept - kept.mul_(mass).sum(1, keepdim=True) / total
    yield from (logp, entropy, largest, log_kept if labels is None else log_total, log_kept, *cut)


def backward(
    logits: Tensor,
    labels: Tensor | None,
    rule: Rule | None,
    found: RowStatistics,
    grads: tuple[Tensor, Tensor],
    in_place: bool,
) -> Tensor:
    """Gradient [n,V] at the logits, given those at logp and entropy, [n] each; `in_place` writes over the logits.

    With p the softmax and q = w·e^(z - largest) / Σ of the kept: g_logp·(1[label] - p) - g_entropy·q·(ln q + H), where
    ln q stands for z - largest - log_kept.
    """
    slope = logits if in_place else _empty(logits)
    at_logp, at_entropy = (grad.to(found.logp.dtype)[:, None] for grad in grads)
    columns = (
        found.largest,
        found.log_total * -LOG2_E,
        found.entropy - found.log_kept,
        -at_entropy * (found.log_total - found.log_kept).exp(),
        at_logp,
        *found.cut,
    )

    def start() -> BlockWork:
        buffers = _buffers(logits, 3)

        def work(rows: slice) -> None:
            names = None if labels is None else labels[rows, None]
            part = [column[rows] for column in columns]
            _block_backward(logits[rows], names, rule, part, buffers, slope[rows])

        return work

    _by_blocks(logits, start)
    return slope


def _block_backward(
    logits: Tensor,
    labels: Tensor | None,
    rule: Rule | None,
    columns: list[Tensor],
    buffers: list[Tensor],
    slope: Tensor,
) -> None:
    shifted, mass, weight = (buffer[: len(logits)] for buffer in buffers)
    largest, offset, gap, factor, at_logp, *cut = columns
    shift(logits, largest, shifted)
    exponential(shifted, offset, mass)
    target = slope if slope.dtype == mass.dtype else mass
    if rule is None:
        torch.mul(mass, -at_logp, out=target)
    else:
        weights = None if isinstance(rule, Everything) else _weights(logits, shifted, Cut(*cut), weight)
        shifted.add_(gap).mul_(factor)
        if weights is not None:
            shifted.mul_(weights)
        if labels is not None:
            shifted.sub_(at_logp)
        torch.mul(mass, shifted, out=target)
    if labels is not None:
        target.scatter_add_(1, labels, at_logp)
    if target is not slope:
        slope.copy_(target)


def _weights(logits: Tensor, shifted: Tensor, cut: Cut, out: Tensor) -> Tensor:
    """1 for kept tokens, 0 for dropped ones, a share for ties on the cut."""
    torch.gt(shifted, cut.limit, out=out)  # written as floats at once, several times as fast as by way of a mask
    tied = cut.share[:, 0].nonzero()[:, 0]
    if len(tied):
        wide, limit = logits[tied].to(out.dtype), cut.limit[tied]
        out[tied] = torch.gt(wide, limit).to(out.dtype).add_((wide == limit) * cut.share[tied])
    return out


def compute_dtype(logits: Tensor) -> torch.dtype:
    """float64 from float64, else float32."""
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def _buffers(logits: Tensor, count: int) -> list[Tensor]:
    """Room for blocks, allocated once per worker."""
    shape = min(_step(logits), len(logits)), logits.shape[1]
    return [torch.empty(shape, dtype=compute_dtype(logits)) for _ in range(count)]


def _empty(like: Tensor) -> Tensor:
    """An uninitialised tensor; numpy asks for huge pages, where torch's fresh pages cost more than the arithmetic."""
    return (
        torch.from_numpy(numpy.empty(like.numel() * like.element_size(), numpy.uint8)).view(like.dtype).view(like.shape)
    )


def _step(logits: Tensor) -> int:
    return max(1, BLOCK // logits.shape[1])


def _by_blocks(logits: Tensor, start: Callable[[], BlockWork]) -> None:
    """Apply a block's work to all blocks of rows, in as many threads as torch has now; `start` prepares a worker."""
    count, step = len(logits), _step(logits)
    blocks = iter([slice(first, min(first + step, count)) for first in range(0, count, step)])
    threads = torch.get_num_threads()

    def run() -> None:
        work = start()
        for block in blocks:  # the workers draw from one list
            work(block)

    def run_alone() -> None:
        torch.set_num_threads(1)
        run()

    if threads == 1:
        run()
        return
    try:
        with ThreadPoolExecutor(threads) as pool:
            for worker in [pool.submit(run_alone) for _ in range(min(threads, -(-count // step)))]:
                worker.result()
    finally:
        torch.set_num_threads(threads)  # what a worker sets holds for the whole process in MKL
