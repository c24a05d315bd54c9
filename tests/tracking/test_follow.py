"""Runs are in MLflow while they train, each metric once, and the import of the finished study takes their place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tracked import expected_histories, histories, make_study, query, write_study

from entrobench.results import RunFolder
from entrobench.tracking import experiments
from entrobench.tracking.follow import look
from entrobench.training.live import LiveRows, read_live

ROWS = [{"step": step, "time": 1.7e9 + step, "reward": step / 4, "entropy": 0.3} for step in (1, 2, 3)]


@pytest.fixture
def training(study_folder: Path) -> Path:
    """The study_folder of a run that trains: its settings and a live file, no outputs yet."""
    run = make_study().runs[1]
    place = study_folder / "runs" / run.key
    shutil.rmtree(place)
    place.mkdir()
    (place / "config.json").write_text(json.dumps(run.config.content))
    return place


@pytest.fixture
def client(database: Path) -> Any:
    return experiments.open_client(database)


def follow(client: Any, database: Path) -> None:
    look(client, database, {})


def test_rows_arrive_as_they_are_written_and_once(
    client: Any, study_folder: Path, database: Path, training: Path
) -> None:
    key = make_study().runs[1].key
    with LiveRows(training, ROWS[:1]) as live:
        follow(client, database)
        assert histories(database)[key, "reward"] == [(1, 0.25, 1_700_000_001_000)]
        live.append(ROWS[1])
        follow(client, database)
        follow(client, database)
    assert [step for step, *_ in histories(database)[key, "reward"]] == [1, 2]
    run = client.search_runs(["1"], f"attributes.run_name = '{key}'")[0]
    assert (run.info.status, run.data.tags["method"], run.data.tags["live"]) == ("RUNNING", "grpo", "2")
    assert run.data.params["trainer.learning_rate"] == "0.0002"


def test_a_resumed_run_adds_only_what_is_new(client: Any, study_folder: Path, database: Path, training: Path) -> None:
    with LiveRows(training, ROWS[:2]):
        follow(client, database)
    with LiveRows(training, ROWS[:1]) as live:  # killed, and back at its checkpoint
        follow(client, database)
        live.append(ROWS[1] | {"time": 1.8e9})
        live.append(ROWS[2])
        follow(client, database)
    assert [step for step, *_ in histories(database)[make_study().runs[1].key, "entropy"]] == [1, 2, 3]


def test_the_import_of_the_study_leaves_a_training_run_and_replaces_a_finished_one(
    client: Any,
    study_folder: Path,
    database: Path,
    training: Path,
    tmp_path: Path,
) -> None:
    study = make_study()
    with LiveRows(training, ROWS):
        follow(client, database)
    experiments.track(study, study_folder, database)
    assert (study.runs[1].key, "reward") in histories(database)
    finished = tmp_path / "finished"
    write_study(finished, study)
    shutil.copytree(finished / "runs" / study.runs[1].key, training, dirs_exist_ok=True)
    RunFolder(training).live.unlink()
    experiments.track(study, study_folder, database)
    assert histories(database) == expected_histories(study_folder, study)
    assert query(database, "select count(*) from runs where name = ?", study.runs[1].key) == [(1,)]


def test_a_line_that_is_being_written_waits(training: Path) -> None:
    with LiveRows(training, ROWS[:2]) as live:
        live.file.write('{"step": 3, "ti')
        live.file.flush()
        assert read_live(RunFolder(training).live) == ROWS[:2]
