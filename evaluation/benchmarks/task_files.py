"""Benchmarks: our lm-eval tasks in tasks/, one YAML file each, named after the task; and any other task of lm-eval."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from entrobench.data.datasets import SPLITS
from entrobench.data.foreign_tasks import PREFIX, check_task, packaged_tasks, read_task, task_file
from entrobench.errors import InputError, nearest, unknown

TASKS = Path(__file__).parent / "tasks"


@dataclass(frozen=True)
class Benchmark:
    """What the pipeline needs to know of a task without lm-eval: its rows and its version.

    A task that is not ours is `foreign`: its dataset is prepared from its own rows, and `until` are its stop strings.
    """

    name: str
    version: int | str
    dataset: str
    split: str
    path: Path
    foreign: bool = False
    until: tuple[str, ...] = ()


def benchmark_names() -> list[str]:
    """Names of our benchmarks, sorted; files that start with an underscore are shared parts."""
    return sorted(path.stem for path in TASKS.glob("*.yaml") if not path.stem.startswith("_"))


def load_benchmark(name: str, where: str = "evaluation/benchmarks/tasks") -> Benchmark:
    """Read one benchmark: ours, or the task of lm-eval with that name (`lm-eval.NAME` where we have one of the name).

    Raises InputError for an unknown name, a task that cannot be sampled, or a task file in which something is missing.
    """
    if name not in benchmark_names():
        return _foreign(name, where)
    path = TASKS / f"{name}.yaml"
    task: dict[str, Any] = yaml.safe_load(path.read_text())
    metadata = task.get("metadata") or {}
    for key in ("version", "dataset", "split"):
        if key not in metadata:
            raise InputError(f"{path}: metadata.{key} is missing")
    if task.get("task") != name:
        raise InputError(f"{path}: task must be the file's name {name!r}, got {task.get('task')!r}")
    if metadata["split"] not in SPLITS:
        raise unknown("split", metadata["split"], SPLITS, str(path))
    return Benchmark(name, int(metadata["version"]), metadata["dataset"], metadata["split"], path)


def _foreign(name: str, where: str) -> Benchmark:
    task_name = name.removeprefix(PREFIX)
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
