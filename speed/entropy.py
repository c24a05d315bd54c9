"""Claims: clamped entropy with its gradient is at least 12 times as fast as the published way and takes at most 0.2
times its extra memory and 1.5 times the time of full entropy; with the log-probability through the output layer it
takes at most 1.25 times as long as that alone, and no longer than TRL's chunked head with full entropy.

From float32 logits (bfloat16 on a GPU), forward and backward, medians of interleaved rounds in one process. The extra
memory is the high-water mark of a fresh process's resident memory above what it held before the call (Linux:
/proc/self/clear_refs, VmHWM), gradient included; on a GPU, torch's peak of allocated memory. Errors are against float64
on the first rows. Writes table.md, times.csv and entropy.png. `--quick` takes an eighth of the rows, to try it out.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from shared.measure import describe_machine, interleaved, ratio, table, use_threads

SIZES = ((2048, 32_000), (512, 151_936))
HIDDEN, VOCABULARY, CHUNK = 1536, 151_936, 128
HEAD_TOKENS = 256
MEMORY_TOKENS = (256, 1024, 4096)
TRL_VOCABULARY_CHUNK = 8192
CHECKED = 2**21  # logits compared with float64
MIB = 2**20
SPREAD = ["min s", "median s", "max s"]
HEAD = ["tokens x vocabulary", "what", *SPREAD, "published/this", "extra MiB", "error", "gradient error"]


def main() -> None:
    options = arguments()
    if options.memory:
        print(extra_memory(options.memory, options.rows, options.columns, options.threads))
        return
    use_threads(options.threads)
    if options.device == "cuda":
        from shared.gpu import tables
    else:
        tables = cpu_tables
    lines = []
    for title, head, rows in tables(options):
        lines += [f"### {title}\n", markdown(head, rows), ""]
        print(f"\n{title}\n{table(head, rows)}", flush=True)
        write_csv(options.output, title, head, rows)
    threads = "1 thread" if options.threads == 1 else f"{options.threads} threads"
    lines += [f"{describe_machine(threads)}; {options.rounds} interleaved rounds", ""]
    print(lines[-2])
    (options.output / "table.md").write_text("\n".join(lines))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="of torch, on the CPU (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="an eighth of the rows")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks/entropy"), help="default: %(default)s")
    for name, kind in (("memory", str), ("rows", int), ("columns", int)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)  # how it calls itself to measure memory
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    return options


def cpu_tables(options: argparse.Namespace) -> Any:
    """Yield (title, head, rows) as they are measured."""
    sizes = [(rows // (8 if options.quick else 1), columns) for rows, columns in SIZES]
    found = []
    for rows, columns in sizes:
        found += from_logits(rows, columns, options)
    yield f"From float32 logits, forward and backward, {options.threads} threads", HEAD, found
    draw(found, options.output / "entropy.png")
    yield "The same on one thread", HEAD[:6], [line for size in sizes for line in one_thread_lines(*size, options)]
    yield through_head(options)
    yield head_memory(options)


def from_logits(rows: int, columns: int, options: argparse.Namespace) -> list[list[str]]:
    """A line per contender at one size."""
    from shared.entropies import CONTENDERS, FULL, errors

    logits = random_logits(rows, columns)
    seconds = interleaved({n: both_ways(f, logits) for n, f in CONTENDERS.items()}, options.rounds)
    part = logits.detach()[: max(1, CHECKED // columns)]
    lines = []
    for name, function in CONTENDERS.items():
        value, slope = errors(function, part, name in FULL)
        extra = in_subprocess(name, rows, columns, options.threads)
        times = time_cells(seconds, name)
        lines.append([f"{rows} x {columns}", name, *times, f"{extra:.0f}", f"{value:.0e}", f"{slope:.0e}"])
    return lines


def one_thread_lines(rows: int, columns: int, options: argparse.Namespace) -> list[list[str]]:
    import torch
    from shared.entropies import CONTENDERS

    logits = random_logits(rows, columns)
    torch.set_num_threads(1)
    names = ("ours, clamped", "published way", "ours, full")
    seconds = interleaved({name: both_ways(CONTENDERS[name], logits) for name in names}, options.rounds)
    torch.set_num_threads(options.threads)
    return [[f"{rows} x {columns}", name, *time_cells(seconds, name)] for name in names]


def time_cells(seconds: Mapping[str, list[float]], name: str) -> list[str]:
    """Minimum, median and maximum, and the published way's time over this one's."""
    times = seconds[name]
    spread = [f"{value:.3f}" for value in (min(times), median(times), max(times))]
    return [*spread, f"{ratio(seconds['published way'], times):.1f}x"]


def random_logits(rows: int, columns: int) -> Any:
    import torch

    return (3 * torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))).requires_grad_()


def both_ways(function: Callable[[Any], Any], logits: Any) -> Callable[[], None]:
    def run() -> None:
        logits.grad = None
        function(logits).sum().backward()

    return run


def head_contenders(tokens: int) -> dict[str, Callable[[], None]]:
    """Log-probability, with or without an entropy, through an output layer of a 1.5B model, forward and backward."""
    from functools import partial

    import torch

    from entrobench.entropy.logits import clamped_entropy, token_statistics

    source = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, HIDDEN, generator=source).requires_grad_()
    weight = (torch.randn(VOCABULARY, HIDDEN, generator=source) * (3 / HIDDEN**0.5)).requires_grad_()
    labels = torch.randint(VOCABULARY, (tokens,), generator=source)

    def ours(**stats: Any) -> None:
        hidden.grad = weight.grad = None
        logp, values = token_statistics(hidden, weight, None, labels, stats, 1.0, CHUNK)
        sum([logp, *values.values()]).sum().backward()

    def trl() -> None:
        from trl.kernels.chunked_logprob import ChunkedLogProbFunction

        hidden.grad = weight.grad = None
        chunk = TRL_VOCABULARY_CHUNK
        logp, value, *_ = ChunkedLogProbFunction.apply(
            hidden, weight, None, labels, 1.0, chunk, None, 1.0, ("entropy",)
        )
        (logp + value).sum().backward()

    return {
        "ours, log-prob": ours,
        "ours, log-prob + clamped": partial(ours, clamped=partial(clamped_entropy, clamp=0.3)),
        "TRL, log-prob + full": trl,
    }


def through_head(options: argparse.Namespace) -> tuple[str, list[str], list[list[str]]]:
    tokens = HEAD_TOKENS // (8 if options.quick else 1)
    seconds = interleaved(head_contenders(tokens), options.rounds)
    alone = seconds["ours, log-prob"]
    lines = [
        [name, *(f"{value:.2f}" for value in (min(times), median(times), max(times))), f"{ratio(times, alone):.2f}x"]
        for name, times in seconds.items()
    ]
    title = f"Through the output layer, {tokens} tokens, hidden {HIDDEN}, vocabulary {VOCABULARY}, float32"
    return title, ["what", *SPREAD, "this/log-prob alone"], lines


def head_memory(options: argparse.Namespace) -> tuple[str, list[str], list[list[str]]]:
    counts = [256, 512] if options.quick else MEMORY_TOKENS
    names = ("ours, log-prob + clamped", "TRL, log-prob + full")
    lines = [
        [name, *(f"{in_subprocess(name, count, VOCABULARY, options.threads):.0f}" for count in counts)]
        for name in names
    ]
    gradient = HIDDEN * VOCABULARY * 4 // MIB
    title = f"Extra memory through the output layer, MiB; {gradient} of them are the gradient of its weight"
    return title, ["what", *(f"{count} tokens" for count in counts)], lines


def in_subprocess(name: str, rows: int, columns: int, threads: int) -> float:
    """Extra memory of one contender in a process of its own, MiB."""
    call = [sys.executable, __file__, "--memory", name, "--rows", str(rows), "--columns", str(columns)]
    done = subprocess.run([*call, "--threads", str(threads)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def extra_memory(name: str, rows: int, columns: int, threads: int) -> float:
    """High-water mark of this process while the contender runs, above what it held before, MiB."""
    use_threads(threads)
    from shared.entropies import CONTENDERS

    if name in CONTENDERS:
        both_ways(CONTENDERS[name], random_logits(2, 64))()  # imports and pools do not count
        run = both_ways(CONTENDERS[name], random_logits(rows, columns))
    else:
        run = head_contenders(rows)[name]
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts here
    before = status("VmRSS")
    run()
    return (status("VmHWM") - before) / MIB


def status(field: str) -> int:
    """A size from /proc/self/status, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def write_csv(folder: Path, title: str, head: list[str], rows: list[list[str]]) -> None:
    name = title.partition(",")[0].lower().replace(" ", "-")
    with (folder / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def draw(rows: list[list[str]], path: Path) -> None:
    """Bars of the median times, one panel per size, each labelled with its time and ratio."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = list(dict.fromkeys(row[0] for row in rows))
    figure, panels = pyplot.subplots(1, len(sizes), figsize=(10, 3), sharey=True, squeeze=False, layout="constrained")
    for panel, size in zip(panels[0], sizes, strict=True):
        chosen = [row for row in rows if row[0] == size][::-1]
        times = [float(row[3]) for row in chosen]
        colours = ["#0072b2" if row[1].startswith("ours") else "#8c8c8c" for row in chosen]
        bars = panel.barh([row[1] for row in chosen], times, color=colours)
        labels = [f" {seconds:.2f} s, {row[5]}" for row, seconds in zip(chosen, times, strict=True)]
        panel.bar_label(bars, labels=labels, fontsize=8)
        panel.set(title=f"logits {size}", xlabel="seconds, forward + backward (x: published / this)")
        panel.set_xlim(0, max(times) * 1.35)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
