"""What the benchmarks share: threads, interleaved rounds, medians, and the machine they ran on."""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from entrobench.training.trainer import Trainer

MODEL = Path("results/models/chain-qwen")
DATA = Path("results/data/chain2")


def one_thread() -> None:
    """Compute on one thread without network; call before torch is imported."""
    use_threads(1)


def use_threads(count: int) -> None:
    """Compute on this many threads without network; call before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    warnings.simplefilter("ignore", FutureWarning)  # of the libraries compared
    import torch

    torch.set_num_threads(count)


def arguments(description: str | None, **numbers: int) -> argparse.Namespace:
    """What the command line says: `model` and `data`, folders, and these numbers, each with its default.

    Ends with one line where a folder is missing.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="transformers folder (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="prepared data (default: %(default)s)")
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help="(default: %(default)s)")
    chosen = parser.parse_args()
    _need(chosen.model, "config.json")
    _need(chosen.data, "manifest.json")
    return chosen


def _need(folder: Path, file: str) -> None:
    """End with one line where `make study` has not made the folder yet."""
    if not (folder / file).exists():
        sys.exit(f"{folder}: nothing here ({file} is missing); `make study` makes it, or name another folder (--help)")


def run_config(method: str, **trainer: Any) -> Any:
    """The config of a run that exists for its speed alone: it names the method, by its defaults, and the settings."""
    from entrobench.config import TrainerConfig
    from entrobench.run_config import RunConfig, RunDataset, RunModel, Variant

    dataset = RunDataset("any", "", "{problem}")
    return RunConfig(RunModel("any", ""), dataset, Variant(method, method, {}), 0, TrainerConfig(**trainer))


def trainer_of(method: str, model: Path, data: Path, folder: Path, **settings: Any) -> Trainer:
    """A trainer on the CPU as a study makes it, rewarded by the boxed answer; settings are keys of a trainer's YAML."""
    from entrobench.config import Hardware
    from entrobench.evaluation.grading.rewards import reward_function
    from entrobench.training.assembly import assemble
    from entrobench.training.trainer import Trainer

    config = run_config(method, **settings)
    with redirect_stdout(StringIO()):  # it says on what it trains
        return Trainer(assemble(config, folder, model, data, Hardware(device="cpu"), reward_function("boxed")), {})


def interleaved(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Run every contender once a round, after one round to warm up; wall seconds by name.

    Interleaving lets a change of the machine's load hit all of them alike. The order turns from round to round.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = time.perf_counter()
            contenders[name]()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median over the rounds of slow / fast: both of a round met the same load."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def describe_machine(threads: str = "1 thread") -> str:
    """The processor, its cores and how busy they are."""
    from entrobench.provenance import machine

    found = machine("cpu")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{found['cpu']}, {found['cores']} cores, load {load} (1, 5, 15 minutes); this process has {threads}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns aligned to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [[cell.rjust(width) for cell, width in zip(line, widths, strict=True)] for line in [head, *rows]]
    return "\n".join("  ".join(line) for line in lines)
