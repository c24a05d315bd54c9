"""Shows runs in MLflow while they train: new rows of live.jsonl are added to the run.

Only files are read, so it may start, stop or die at any time and costs the training nothing. When the run is finished,
the import of its study replaces it (`track`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError, first_line
from entrobench.results import Results, RunFolder
from entrobench.run_config import RunConfig, read_config
from entrobench.training.live import read_live

from .database import writing
from .experiments import LIVE, RUN_KEY, log_metrics, log_params, study_experiment
from .projection import UNREADABLE, run_identity, run_name, run_params, run_tags, step_metrics

if TYPE_CHECKING:
    from mlflow import MlflowClient

SECONDS = 10.0  # ours: between two looks


def follow(database: Path, seconds: float = SECONDS) -> None:
    """Look at the live files of all studies beside `database` until the parent process ends."""
    parent = os.getppid()
    seen: dict[Path, int] = {}
    said: set[str] = set()
    while os.getppid() == parent:
        look(database, seen, said)
        time.sleep(seconds)


def look(database: Path, seen: dict[Path, int], said: set[str]) -> None:
    """Bring every run that trains up to its last complete line.

    `seen` holds the time of change of each file read, `said` what was reported. A run that cannot be read, or a server
    that does not answer, is reported once and tried again at the next look; the other runs are shown.
    """
    for run in _runs(database, said):
        try:
            changed = run.live.stat().st_mtime_ns
            if seen.get(run.live) == changed:
                continue
            rows = read_live(run.live)
            if rows and (config := _config(run)):
                with writing(database) as client:
                    _bring_up(client, database, run, config, rows)
            seen[run.live] = changed
        except FileNotFoundError:
            continue  # the run does not train, or has just finished
        except (InputError, *UNREADABLE) as error:
            _say(f"{run.live}: not shown: {first_line(error)}", said)


def _runs(database: Path, said: set[str]) -> Iterable[RunFolder]:
    """The runs of all studies; a folder that is named like none is reported and left out."""
    for study in Results.of_database(database).studies():
        for run in study.runs():
            try:
                str(run.key)
            except ValueError as error:
                _say(f"{run.folder}: not shown: {error}", said)
                continue
            yield run


def _say(line: str, said: set[str]) -> None:
    if line not in said:
        said.add(line)
        print(f"warning: {line}", file=sys.stderr, flush=True)


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
        started = int(rows[0]["time"] * 1000)
        mlflow_run, last = client.create_run(experiment, started, tags, run_name(config)).info.run_id, 0
        log_params(client, mlflow_run, run_params(config))
    log_metrics(client, mlflow_run, step_metrics(row for row in rows if row["step"] > last))
    client.set_tag(mlflow_run, LIVE, str(max(last, int(rows[-1]["step"]))))  # a resumed run starts behind what is shown
