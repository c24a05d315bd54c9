"""Benchmark files: read without lm-eval, complete, and prompted as their data set is trained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from entrobench.errors import InputError
from entrobench.evaluation.benchmarks import task_files

ROOT = Path(__file__).parents[2]


def test_every_benchmark_file_loads_and_names_a_dataset_that_exists() -> None:
    names = task_files.benchmark_names()
    assert {"chain2", "chain3", "gsm8k", "math500"} <= set(names)
    assert not any(name.startswith("_") for name in names)
    for name in names:
        benchmark = task_files.load_benchmark(name)
        assert benchmark.name == name
        assert benchmark.version >= 1
        assert (ROOT / "config/datasets" / f"{benchmark.dataset}.yaml").is_file()


def test_an_unknown_benchmark_is_one_line() -> None:
    with pytest.raises(
        InputError, match=r"evaluation/benchmarks/tasks: unknown benchmark 'gsm9k' .*did you mean 'gsm8k'"
    ):
        task_files.load_benchmark("gsm9k")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task: mine\nmetadata: {version: 1, dataset: d}\n", "metadata.split is missing"),
        ("task: mine\n", "metadata.version is missing"),
        ("task: other\nmetadata: {version: 1, dataset: d, split: test}\n", "task must be the file's name 'mine'"),
        ("task: mine\nmetadata: {version: 1, dataset: d, split: tset}\n", "unknown split 'tset' .*did you mean 'test'"),
    ],
)
def test_an_incomplete_task_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    monkeypatch.setattr(task_files, "TASKS", tmp_path)
    with pytest.raises(InputError, match=message):
        task_files.load_benchmark("mine")


def test_benchmarks_are_read_without_heavy_imports() -> None:
    code = "import sys; from entrobench.evaluation.benchmarks.task_files import load_benchmark; load_benchmark('gsm8k')"
    heavy = "print([m for m in ('torch', 'lm_eval', 'datasets', 'pandas', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}; {heavy}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
