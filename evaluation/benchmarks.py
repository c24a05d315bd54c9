"""Benchmarks: the lm-eval tasks in evaluation/tasks/, one YAML file each, named after the task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from entrobench.data import SPLITS
from entrobench.errors import InputError, unknown

TASKS = Path(__file__).parent / "tasks"


@dataclass(frozen=True)
class Benchmark:
    """What the pipeline has to know of a task without lm-eval: its rows and its version."""

    name: str
    version: int
    dataset: str
    split: str
    path: Path


def benchmark_names() -> list[str]:
    """Names of all benchmarks, sorted; files that start with an underscore are shared parts."""
    return sorted(path.stem for path in TASKS.glob("*.yaml") if not path.stem.startswith("_"))


def load_benchmark(name: str) -> Benchmark:
    """Read one benchmark. Raises InputError for an unknown name or a task file without what the pipeline needs."""
    if name not in benchmark_names():
        raise unknown("benchmark", name, benchmark_names(), "evaluation/tasks")
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
