"""The entropy benchmark on one GPU: bfloat16 logits and the output layer of a 1.5B model. Complete in minutes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

from shared.entropies import CLAMP, by_kthvalue, by_topk, published
from shared.measure import interleaved

ROWS, VOCABULARY, HIDDEN, TOKENS, CHUNK = 8192, 151_936, 1536, 16_384, 1024
MASK_ROWS = 1024  # masks need several copies of the logits
HOST_ROWS = 64  # the published way takes minutes at full size
MIB = 2**20
Table = tuple[str, list[str], list[list[str]]]
Contenders = dict[str, tuple[Callable[[], Any], int]]  # what to run, and what its time is multiplied with


def tables(options: argparse.Namespace) -> Iterator[Table]:
    """Yield (title, head, rows)."""
    yield from_logits(options.rounds)
    yield through_head(options.rounds)


def from_logits(rounds: int) -> Table:
    """Forward passes; the slow ones on some of the rows, their time scaled up."""
    import torch

    from entrobench.entropy.logits import clamped_entropy, entropy, logit_statistics

    logits = 3 * torch.randn(ROWS, VOCABULARY, device="cuda", dtype=torch.bfloat16)
    labels = torch.randint(VOCABULARY, (ROWS,), device="cuda")
    contenders: Contenders = {
        "ours, log-prob + clamped": (
            partial(logit_statistics, logits, labels, [partial(clamped_entropy, clamp=CLAMP)]),
            1,
        ),
        "ours, log-prob + full": (partial(logit_statistics, logits, labels, [entropy]), 1),
        "topk mask on the device": (partial(by_topk, logits[:MASK_ROWS]), ROWS // MASK_ROWS),
        "kthvalue mask on the device": (partial(by_kthvalue, logits[:MASK_ROWS]), ROWS // MASK_ROWS),
        "published way, host": (partial(published, logits[:HOST_ROWS]), ROWS // HOST_ROWS),
    }
    with torch.no_grad():
        return f"Forward from bfloat16 logits {ROWS} x {VOCABULARY}, milliseconds", *_lines(contenders, rounds)


def through_head(rounds: int) -> Table:
    """Forward and backward through the output layer."""
    import torch

    from entrobench.entropy.logits import clamped_entropy, token_statistics

    hidden = torch.randn(TOKENS, HIDDEN, device="cuda").requires_grad_()
    weight = (torch.randn(VOCABULARY, HIDDEN, device="cuda") * (3 / HIDDEN**0.5)).requires_grad_()
    labels = torch.randint(VOCABULARY, (TOKENS,), device="cuda")

    def run(**stats: Any) -> None:
        hidden.grad = weight.grad = None
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logp, values = token_statistics(hidden, weight, None, labels, stats, 1.0, CHUNK)
        sum([logp, *values.values()]).sum().backward()

    contenders: Contenders = {
        "ours, log-prob": (run, 1),
        "ours, log-prob + clamped": (partial(run, clamped=partial(clamped_entropy, clamp=CLAMP)), 1),
    }
    title = f"Through the output layer, forward and backward, {TOKENS} tokens, hidden {HIDDEN}, milliseconds"
    return title, *_lines(contenders, rounds)


def _lines(contenders: Contenders, rounds: int) -> tuple[list[str], list[list[str]]]:
    import torch

    def finished(run: Callable[[], Any]) -> None:
        run()
        torch.cuda.synchronize()

    seconds = interleaved({name: partial(finished, run) for name, (run, _) in contenders.items()}, rounds)
    lines, first = [], None
    for name, (run, factor) in contenders.items():
        times = [1000 * factor * value for value in seconds[name]]
        first = first or median(times)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        finished(run)
        extra = (torch.cuda.max_memory_allocated() - before) / MIB
        spread = [f"{value:.2f}" for value in (min(times), median(times), max(times))]
        lines.append(
            [name, *spread, f"{median(times) / first:.2f}x", f"{extra:.0f}", "all" if factor == 1 else f"1/{factor}"]
        )
    card = torch.cuda.get_device_name()
    return [card, "min", "median", "max", "this/first line", "extra MiB", "rows timed"], lines
