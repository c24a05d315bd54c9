"""Locking: config.json of each run and evaluation.json, written before a study runs; and Snakemake's own lock."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrobench.errors import InputError, unknown
from entrobench.files import write_whole
from entrobench.results import Checkpoint
from entrobench.run_config import read_config

from . import derived
from .runs import Run, Study

SNAKEMAKE_LOCKS = Path(".snakemake/locks")


def lock_run(run: Run, replace: bool = False) -> None:
    """Write a run's config.json, all that `train` reads of a study, with the values that other runs decided.

    Checkpoints of another config are kept, so that `train` refuses them; with `replace` they are deleted.
    """
    config = derived.resolve(run)
    complete = Checkpoint.complete(run.files.checkpoints)
    if replace and complete and _config_hash(complete[-1]) != config.hash:
        shutil.rmtree(run.files.checkpoints)
    _write(run.files.config, config.content)


def _config_hash(checkpoint: Checkpoint) -> str:
    """The hash of the config that a checkpoint belongs to; "" where the disk has damaged it."""
    try:
        return str(json.loads(checkpoint.state.read_text())["identity"]["config_hash"])
    except (ValueError, KeyError):
        return ""


def lock_evaluation(study: Study, only: str | None = None) -> None:
    """Write a study's evaluation.json, which `generate` reads; one per model where models are sampled differently.

    `only` names one of the files.
    """
    files = {file.name: file for file in map(study.evaluation_file, study.evaluations)}
    evaluations = {study.evaluation_file(model).name: evaluation for model, evaluation in study.evaluations.items()}
    if only is not None and only not in files:
        raise unknown("evaluation file", only, files, str(study.path))
    for name in files if only is None else [only]:
        _write(files[name], evaluations[name].file_content)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=2) + "\n")


def with_derived_values(study: Study) -> Study:
    """The study with the values in its runs' config.json in place of the declarations."""
    found = [run for run in study.runs if run.config.method.derived and run.files.config.is_file()]
    there = {run.key: read_config(run.folder) for run in found}
    runs = [dataclasses.replace(run, config=there.get(run.key, run.config)) for run in study.runs]
    return dataclasses.replace(study, runs=runs)


def different_configs(study: Study) -> list[Run]:
    """The runs whose folder holds results of another config than the study has now."""
    return [run for run in study.runs if _holds_other_work(run)]


def _holds_other_work(run: Run) -> bool:
    path = run.files.config
    stored = json.loads(path.read_text()) if path.is_file() else {}
    if not stored or stored.get("declared", stored.get("hash")) == run.config.hash:
        return False
    return run.files.checkpoints.is_dir() or run.files.final.is_dir()


def unlock() -> None:
    """Remove the lock that a killed Snakemake left in this folder.

    Raises InputError while a Snakemake works here. Jobs that outlived a killed Snakemake are waited for: two of them
    must not write into one folder.
    """
    if not SNAKEMAKE_LOCKS.is_dir() or not any(SNAKEMAKE_LOCKS.iterdir()):
        return
    if owners := _processes("snakemake"):
        raise InputError(f"snakemake (process {owners[0]}) is working in this folder; wait for it, or stop it first")
    if left := _processes("entrobench"):
        print(f"waiting for jobs that a killed run left behind: processes {', '.join(map(str, left))}", flush=True)
    while _processes("entrobench"):
        time.sleep(1)
    shutil.rmtree(SNAKEMAKE_LOCKS)  # what `snakemake --unlock` does
    print("removed the lock of a killed run; going on where it stopped", flush=True)


def _processes(command: str) -> list[int]:
    """Other processes of this user with this working directory that run `command`."""
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        words = [Path(word).name for word in (process.info["cmdline"] or [])[:4]]
        if command in words and process.info["cwd"] == os.getcwd() and process.pid != os.getpid():
            found.append(process.pid)
    return found
