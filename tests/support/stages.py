"""The stages of a study as pieces of work that can be killed, and what must come out of each, bit for bit."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny import coin_reward, run_config
from tracked import content, histories, make_study, query, write_study

from entrobench.config import Hardware
from entrobench.evaluation.benchmarks.generate import generate
from entrobench.evaluation.grading.grade_files import grade_file
from entrobench.files import replacing
from entrobench.tracking import experiments
from entrobench.training.trainer import train

CLOCK = (
    "time",
    "device_hours",
    "seconds",
    "seconds_device",
    "seconds_rollout",
    "seconds_reward",
    "seconds_old",
    "seconds_update",
)
RUN_NAMES = """
    select r.run_uuid, t.value || ' ' || r.name from runs r join tags t using (run_uuid) where t.key = 'kind'
"""
EVALUATION: dict[str, Any] = {
    **{"samples": 2, "temperature": 1.0, "max_tokens": 6, "pass_k": [1], "problems": 6, "seed": 7},
    "benchmarks": ["chain2", "chain2-validation"],
}


@dataclass(frozen=True)
class Stage:
    """`work` writes into a folder and may be called again after it was killed; `outcome` is what must be equal."""

    name: str
    work: Callable[[Path], None]
    outcome: Callable[[Path], Any]
    tidy: Callable[[Path], None] = lambda folder: None  # what Snakemake does before it starts a killed job again


def table(path: Path) -> dict[str, list[Any]]:
    """A table's columns without what the clock decides."""
    from pyarrow import parquet

    read = parquet.read_table(path)
    return {name: read.column(name).to_pylist() for name in read.column_names if name not in CLOCK}


def training(model: Path, data: Path, steps: int = 6) -> Stage:
    """A run with checkpoints, snapshots, a method with a state, and Adam's moments."""
    values = {"coefficient": 0.05, "clamp": 0.3, "warmup": 1, "coefficient_rate": 0.02, "coefficient_high": 0.2}
    config = run_config("aent", values=values, steps=steps, prompts=2)
    hardware = Hardware(device="cpu", micro_batch=4, checkpoint_every=2, snapshot_every=3)

    def work(folder: Path) -> None:
        train(config, folder, model, data, hardware, coin_reward)

    def outcome(folder: Path) -> Any:
        weights = sorted(path for path in folder.rglob("*.safetensors") if ".part/" not in str(path))
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))  # drafts of the killed
        return table(folder / "steps.parquet"), names, {str(p.relative_to(folder)): p.read_bytes() for p in weights}

    def tidy(folder: Path) -> None:
        for name in ("steps.parquet", "provenance.json"):
            (folder / name).unlink(missing_ok=True)
        for name in ("final", "snapshots"):
            shutil.rmtree(folder / name, ignore_errors=True)

    return Stage("training", work, outcome, tidy)


def answering(model: Path, data_root: Path) -> Stage:
    """The answers to two benchmarks."""

    def work(folder: Path) -> None:
        generate(model, EVALUATION, data_root, folder, device="cpu")

    return Stage("answering", work, lambda folder: {p.name: p.read_bytes() for p in folder.rglob("*.zst")})


def grading() -> Stage:
    """The grades of answers that need the workers."""
    rows = [{"gold": "2(x+1)", "response": f"\\boxed{{2x+{number}}}"} for number in range(6)]

    def work(folder: Path) -> None:
        file = folder.with_name("answers.jsonl")
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        grade_file(file, folder / "grades.parquet", progress=False)

    return Stage("grading", work, lambda folder: table(folder / "grades.parquet"))


def tracking(empty_database: Path) -> Stage:
    """The MLflow view of a small study."""
    study = make_study()

    def work(folder: Path) -> None:
        database = folder / "mlflow.db"
        if not database.exists():
            with replacing(database) as draft:
                draft.write_bytes(empty_database.read_bytes())
        shutil.rmtree(folder / "small", ignore_errors=True)  # what other stages have made, anew
        (folder / "small").mkdir()
        write_study(folder / "small", study)
        experiments.track(study, folder / "small", database)

    def outcome(folder: Path) -> Any:
        database = folder / "mlflow.db"
        names = dict(query(database, "select run_uuid, name from runs"))
        tables = content(database)
        own = ("mlflow.user", "content_hash")  # the hash of files covers where they lie
        tags = sorted((names[run], key, value) for key, value, run in tables["tags"] if key not in own)
        params = sorted((names[run], key, value) for key, value, run in tables["params"])
        artifacts = sorted((p.name, p.read_bytes()) for p in (folder / "mlflow-artifacts").rglob("*") if p.is_file())
        return histories(database), sorted(names.values()), tags, params, artifacts

    return Stage("tracking", work, outcome)


def snakemake(folder: Path, ended_after: float | None, how: signal.Signals, variables: dict[str, str]) -> int:
    """Run the study of a project folder; after so many seconds end Snakemake and all its jobs. The exit status."""
    command = [str(Path(sys.executable).parent / "snakemake"), "--cores", "2", "--quiet", "all"]
    subprocess.run([command[0].replace("snakemake", "entrobench"), "unlock"], cwd=folder, env=variables, check=True)
    with (folder / "snakemake.log").open("a") as log:
        started = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return started.wait(ended_after)
        except subprocess.TimeoutExpired:
            if how == signal.SIGKILL:
                os.killpg(started.pid, how)
            else:  # as a cluster does: Snakemake alone is told
                started.send_signal(how)
            status = started.wait(60)
    _wait_for_jobs(folder)
    return status


def _wait_for_jobs(folder: Path) -> None:
    """Wait until no process works in the folder any more."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        places = [place for place in Path("/proc").glob("[0-9]*/cwd") if _leads_to(place, folder)]
        if not places:
            return
        time.sleep(0.2)
    raise AssertionError(f"{places} still work in {folder}")


def _leads_to(link: Path, folder: Path) -> bool:
    try:
        return link.resolve() == folder.resolve() and "Z" not in (link.parent / "stat").read_text().split(")")[1][:3]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def study_outcome(folder: Path) -> Any:
    """All numbers of a finished study but those of clocks: weights, steps, answers, grades, scores, and MLflow's."""
    results = folder / "results"
    runs = dict(query(results / "mlflow.db", RUN_NAMES))

    def name(path: Path) -> str:  # MLflow names a run's folder by a number that it draws
        return "/".join(runs.get(part, part) for part in path.relative_to(results).parts)

    bits = {
        name(path): path.read_bytes()
        for pattern in ("*.safetensors", "*.zst", "statistics.json", "config.json")
        for path in sorted(results.rglob(pattern))
    }
    tables = {name(path): table(path) for path in sorted(results.rglob("*.parquet"))}
    for path in sorted(results.rglob("table.csv")):
        with path.open(newline="") as file:
            rows = [{name: cell for name, cell in row.items() if name not in CLOCK} for row in csv.DictReader(file)]
        tables[name(path)] = {"rows": rows}
    metrics = {
        key: [value for _, value, _ in points]
        for key, points in histories(results / "mlflow.db").items()
        if not any(word in key[1] for word in ("seconds", "memory", "time"))
    }
    return bits, tables, metrics
