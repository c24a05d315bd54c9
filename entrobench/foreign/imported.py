"""Puts a run that was made elsewhere into a study: its rows, what is known of it, and its answers, graded by us."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.errors import InputError
from entrobench.files import write_whole
from entrobench.provenance import sha256_file
from entrobench.results import GENERATIONS, RunFolder, StudyFolder
from entrobench.run_keys import RunKey
from entrobench.training.live import write_steps

from .logs import Log, read_log

MARK = "imported"  # stands beside the method in every table
UNKNOWN = "UNKNOWN"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of a model, dataset or method, as in study.schema.yaml


@dataclass(frozen=True)
class Imported:
    """What an import wrote, in words."""

    run: RunFolder
    log: Log
    graded: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line about the rows, one about what is missing, one about answers."""
        log = self.log
        state = f"half-written ({log.broken})" if log.broken else "whole"
        columns = len({name for row in log.rows for name in row}) - 2
        lines = [f"{self.run.folder}: {log.format}, {len(log.rows)} steps of {columns} quantities, {state}"]
        if log.missing:
            lines.append(f"  not in the log: {', '.join(log.missing)}")
        if log.kept:
            lines.append(f"  kept under foreign/, meaning not known: {', '.join(log.kept)}")
        lines.append(f"  answers graded: {', '.join(self.graded) or 'none given'}")
        return "\n".join(lines)


def import_run(study: StudyFolder, key: RunKey, log_file: Path, generations: list[Path], replace: bool) -> Imported:
    """Write steps.parquet, imported.json and the graded answers of a run into a study's folder.

    `generations` are files of answers to benchmarks (rows with gold and response), each named after its benchmark.
    Raises InputError where the log cannot be read, a name is none, or a run that is not imported lies there already.
    """
    from entrobench.evaluation.grading.grade_files import ENDINGS, grade_file, read_generations

    for name in (key.model, key.dataset, key.method):
        if not NAME.fullmatch(name):
            raise InputError(f"entrobench import-run: {name!r} is no name: letters, digits, '_', '-' and '.' only")
    run = study.run(str(key))
    _check_place(run, replace)
    log = read_log(log_file)
    if not log.rows:
        raise InputError(f"{log_file}: {log.format} without a single step")
    for file in generations:
        read_generations(file)  # refused before anything is written
    run.folder.mkdir(parents=True, exist_ok=True)
    write_steps(log.rows, run.steps)
    graded = []
    for file in generations:
        benchmark = next(file.name.removesuffix(end) for end in ENDINGS if file.name.endswith(end))
        target = run.generations(benchmark) if file.name.endswith(GENERATIONS) else _plain(run, benchmark)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        grade_file(target, run.grades(benchmark), progress=False)
        graded.append(benchmark)
    _write_about(run, log_file, log, graded)
    return Imported(run, log, tuple(graded))


def _plain(run: RunFolder, benchmark: str) -> Path:
    return run.generations(benchmark).with_name(f"{benchmark}.jsonl")


def is_imported(run: RunFolder) -> bool:
    """Whether a run was made elsewhere."""
    return run.imported.is_file()


def read_about(run: RunFolder) -> dict[str, Any]:
    """What is known of an imported run."""
    content: dict[str, Any] = json.loads(run.imported.read_text())
    return content


def _check_place(run: RunFolder, replace: bool) -> None:
    if not run.folder.exists():
        return
    if not is_imported(run):
        raise InputError(f"{run.folder}: a run that was trained here; import under another method's name")
    if not replace:
        raise InputError(f"{run.folder}: imported before; add --replace to take the new log instead")
    shutil.rmtree(run.folder)


def _write_about(run: RunFolder, source: Path, log: Log, graded: list[str]) -> None:
    """Say where the run comes from and what nobody can know of it."""
    unknown = ("base model's weights", "training data", "prompts", "hardware", "versions", "seed's meaning", "cost")
    about = {
        "mark": MARK,
        "source": source.name,
        "sha256": sha256_file(source),
        "format": log.format,
        "steps": len(log.rows),
        "half_written": log.broken,
        "not_logged": list(log.missing),
        "meaning_unknown": list(log.kept),
        "graded": graded,
        **dict.fromkeys(unknown, UNKNOWN),
    }
    write_whole(run.imported, json.dumps(about, indent=2) + "\n")


def imported_keys(study: StudyFolder) -> list[RunKey]:
    """The runs of a study's folder that were made elsewhere, in the order of their names."""
    return [run.key for run in study.runs() if is_imported(run)]
