"""Shows runs in MLflow while they train: new rows of live.jsonl are added to the run.

Only files are read, so it may start, stop or die at any time and costs the training nothing. When the run is finished,
the import of its study replaces it (`track`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError
from entrobench.results import Results, RunFolder
from entrobench.run_config import RunConfig, read_config
from entrobench.training.live import read_live

from .experiments import LIVE, RUN_KEY, log_metrics, log_params, one_writer, open_client, study_experiment
from .projection import run_identity, run_params, run_tags, step_metrics

if TYPE_CHECKING:
    from mlflow import MlflowClient

SECONDS = 10.0  # ours: between two looks


def follow(database: Path, seconds: float = SECONDS) -> None:
    """Look at the live files of all studies beside `database` until the parent process ends."""
    parent = os.getppid()
    client = open_client(database)
    seen: dict[Path, int] = {}
    while os.getppid() == parent:
        look(client, database, seen)
        time.sleep(seconds)


def look(client: MlflowClient, database: Path, seen: dict[Path, int]) -> None:
    """Bring every run that trains up to its last complete line; `seen` holds the time of change of each file read."""
    for run in (run for study in Results.of_database(database).studies() for run in study.runs()):
        try:
            changed, rows = run.live.stat().st_mtime_ns, read_live(run.live)
        except FileNotFoundError:
            continue  # the run does not train, or has just finished
        if rows and seen.get(run.live) != changed:
            if config := _config(run):
                with one_writer(database):
                    _bring_up(client, database, run, config, rows)
            seen[run.live] = changed


def _config(run: RunFolder) -> RunConfig | None:
    """The run's config; None where another version left the run behind, which nobody trains any more."""
    try:
        return read_config(run.folder)
    except InputError:
        return None


def _bring_up(
    client: MlflowClient, database: Path, run: RunFolder, config: RunConfig, rows: list[dict[str, float]]
) -> None:
    study, key = run.study.name, str(run.key)
    experiment = study_experiment(client, study, database)
    identity = run_identity(key, config)
    found = client.search_runs([experiment], f"tags.{RUN_KEY} = '{identity}'", max_results=1)
    if found and LIVE not in found[0].data.tags:
        return  # finished once, and trains again: the import of the study replaces it
    if found:
        mlflow_run, last = found[0].info.run_id, int(found[0].data.tags[LIVE])
    else:
        tags = {**run_tags(study, config), "kind": "run", RUN_KEY: identity, LIVE: "0"}
        mlflow_run, last = client.create_run(experiment, int(rows[0]["time"] * 1000), tags, key).info.run_id, 0
        log_params(client, mlflow_run, run_params(config))
    log_metrics(client, mlflow_run, step_metrics(row for row in rows if row["step"] > last))
    client.set_tag(mlflow_run, LIVE, str(max(last, int(rows[-1]["step"]))))  # a resumed run starts behind what is shown
