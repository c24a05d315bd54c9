"""What `entrobench new-dataset` writes: the recipe of a file of problems, and a benchmark that asks its test split."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from entrobench.data.datasets import SPLITS, data_folder, verify
from entrobench.data.rows import Row, SplitFile, count_records, read_file
from entrobench.documents import CONFIG, named_files
from entrobench.errors import InputError
from entrobench.evaluation.benchmarks import task_files
from entrobench.provenance import sha256_file

PROMPT = "{problem} Let's think step by step and output the final answer within \\boxed{}."  # as the built-in recipes
ENDINGS = (".jsonl", ".parquet")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
TASK = """include: _boxed.yaml
task: {name}
metadata:
  version: 1
  dataset: {name}
  split: test
"""


@dataclass(frozen=True)
class Written:
    """What was written and counted."""

    recipe: Path
    task: Path | None
    rows: int
    twice: int

    @property
    def text(self) -> str:
        """A line per file and one of counts."""
        lines = [f"wrote {self.recipe}: {self.rows} rows, {self.twice} of them a problem that was there already"]
        return "\n".join([*lines, *([f"wrote {self.task}"] if self.task else [])])


def new_dataset(file: Path, name: str, problem: str, answer: str, split: str) -> Written:
    """Write config/datasets/<name>.yaml for a file of the data folder and, for a test split, the benchmark <name>.

    `problem` and `answer` are its columns. Raises InputError for a file elsewhere, a row that is none, or a taken name.
    """
    _check_names(file, name, split)
    found = SplitFile(file=file.name, sha256=sha256_file(file), rows=1, problem=problem, answer=answer)
    rows = _counted(file, found)
    columns = {"problem": problem, "answer": answer}
    own = {key: value for key, value in columns.items() if key != value}
    splits = {split: {"file": file.name, "sha256": found.sha256, "rows": len(rows), **own}}
    spec = {"kind": "jsonl", "source": f"{file.name}, by entrobench new-dataset", "prompt": PROMPT, "splits": splits}
    verify(name, spec)
    recipe = CONFIG / "datasets" / f"{name}.yaml"
    recipe.write_text(yaml.safe_dump(spec, sort_keys=False, width=1000, allow_unicode=True))
    task = task_files.TASKS / f"{name}.yaml" if split == "test" else None
    if task is not None:
        task.write_text(TASK.format(name=name))
    twice = sum(count - 1 for count in Counter(row.id for row in rows).values())
    return Written(recipe, task, len(rows), twice)


def _check_names(file: Path, name: str, split: str) -> None:
    where = "new-dataset"
    if not NAME.fullmatch(name):
        raise InputError(f"{where}: {name!r} is not a name: letters, digits and '_' only")
    if split not in SPLITS:
        raise InputError(f"{where}: unknown split {split!r} (allowed: {', '.join(SPLITS)})")
    if name in named_files("datasets") or name in task_files.benchmark_names():
        raise InputError(f"{where}: a dataset or benchmark {name!r} exists already")
    if not file.is_file() or file.suffix not in ENDINGS:
        raise InputError(f"{where}: {file} is no file of {' or '.join(ENDINGS)}, one problem a row")
    folder = data_folder(where)
    if file.resolve().parent != folder.resolve():
        raise InputError(f"{where}: {file} must lie in the data folder {folder}, where the pipeline reads it")


def _counted(file: Path, found: SplitFile) -> list[Row]:
    """All rows of a file whose number is not known yet: each is read as the pipeline will."""
    return read_file(file.parent, replace(found, rows=count_records(file)), f"new-dataset: {file}")
