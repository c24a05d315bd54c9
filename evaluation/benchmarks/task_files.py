"""Benchmarks: our lm-eval tasks in tasks/, one YAML file each, named after the task; and any other task of lm-eval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from entrobench.data.datasets import SPLITS
from entrobench.data.foreign_tasks import PREFIX, check_task, packaged_tasks, read_task, task_file
from entrobench.errors import InputError, nearest, unknown

TASKS = Path(__file__).parent / "tasks"
AGAIN = "@"  # `chain2@far` asks the rows of chain2 again, with values of its own


@dataclass(frozen=True)
class Benchmark:
    """What the pipeline needs to know of a task without lm-eval: its rows and its version.

    A task that is not ours is `foreign`: its dataset is prepared from its own rows, and `until` are its stop strings.
    `label` tells benchmarks apart that ask the same task: `chain2@far` has the label far, `chain2` none.
    """

    name: str
    version: int | str
    dataset: str
    split: str
    path: Path
    foreign: bool = False
    until: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """The name of the task that it asks."""
        return self.name.partition(AGAIN)[0]

    @property
    def label(self) -> str:
        return self.name.partition(AGAIN)[2]


def carriers(benchmarks: Iterable[str]) -> list[str]:
    """Of the benchmarks that have a metric those over which it is averaged: without those that ask a task again.

    A metric that only these have is averaged over them.
    """
    there = list(benchmarks)
    return [name for name in there if AGAIN not in name] or there


def benchmark_names() -> list[str]:
    """Names of our benchmarks, sorted; files that start with an underscore are shared parts."""
    return sorted(path.stem for path in TASKS.glob("*.yaml") if not path.stem.startswith("_"))


def load_benchmark(name: str, where: str = "evaluation/benchmarks/tasks") -> Benchmark:
    """Read one benchmark: ours, or the task of lm-eval with that name (`lm-eval.NAME` where we have one of the name).

    `NAME@LABEL` is the benchmark NAME once more.
    Raises InputError for an unknown name, a task that cannot be sampled, or a task file in which something is missing.
    """
    asked = name.partition(AGAIN)[0]
    if asked not in benchmark_names():
        return _foreign(name, where)
    path = TASKS / f"{asked}.yaml"
    task: dict[str, Any] = yaml.safe_load(path.read_text())
    metadata = task.get("metadata") or {}
    for key in ("version", "dataset", "split"):
        if key not in metadata:
            raise InputError(f"{path}: metadata.{key} is missing")
    if task.get("task") != asked:
        raise InputError(f"{path}: task must be the file's name {asked!r}, got {task.get('task')!r}")
    if metadata["split"] not in SPLITS:
        raise unknown("split", metadata["split"], SPLITS, str(path))
    return Benchmark(name, int(metadata["version"]), metadata["dataset"], metadata["split"], path)


def _foreign(name: str, where: str) -> Benchmark:
    task_name = name.partition(AGAIN)[0].removeprefix(PREFIX)
    path = task_file(task_name)
    if path is None:
        ours = benchmark_names()
        hint = nearest(task_name, [*ours, *packaged_tasks()])
        allowed = f"{', '.join(ours)}, a task in config/tasks or of lm-eval"
        raise InputError(f"{where}: unknown benchmark {name!r} (allowed: {allowed}){hint}")
    task = read_task(path)
    check_task(name, task, where)
    version = str((task.get("metadata") or {}).get("version", "none"))
    until = (task.get("generation_kwargs") or {}).get("until") or ()
    stops = (until,) if isinstance(until, str) else tuple(until)
    return Benchmark(name, version, f"{PREFIX}{task_name}", "test", path, foreign=True, until=stops)
