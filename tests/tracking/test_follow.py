"""Runs are in MLflow while they train, each metric once, and the import of the finished study takes their place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tracked import expected_histories, histories, make_study, query, shown_name, write_study

from entrobench.results import RunFolder
from entrobench.tracking import experiments
from entrobench.tracking.database import open_client
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
    return open_client(database)


def follow(database: Path) -> None:
    look(database, {}, set())


def test_rows_arrive_as_they_are_written_and_once(
    client: Any, study_folder: Path, database: Path, training: Path
) -> None:
    key = shown_name(make_study().runs[1])
    with LiveRows(training, ROWS[:1]) as live:
        follow(database)
        assert histories(database)[key, "train/reward"] == [(1, 0.25, 1_700_000_001_000)]
        live.append(ROWS[1])
        follow(database)
        follow(database)
    assert [step for step, *_ in histories(database)[key, "train/reward"]] == [1, 2]
    run = client.search_runs(["1"], f"attributes.run_name = '{key}'")[0]
    assert (run.info.status, run.data.tags["method"], run.data.tags["live"]) == ("RUNNING", "grpo", "2")
    assert run.data.params["trainer.learning_rate"] == "0.0002"


def test_a_resumed_run_adds_only_what_is_new(client: Any, study_folder: Path, database: Path, training: Path) -> None:
    with LiveRows(training, ROWS[:2]):
        follow(database)
    with LiveRows(training, ROWS[:1]) as live:  # killed, and back at its checkpoint
        follow(database)
        live.append(ROWS[1] | {"time": 1.8e9})
        live.append(ROWS[2])
        follow(database)
    assert [step for step, *_ in histories(database)[shown_name(make_study().runs[1]), "train/entropy"]] == [1, 2, 3]


def test_the_import_of_the_study_leaves_a_training_run_and_replaces_a_finished_one(
    client: Any,
    study_folder: Path,
    database: Path,
    training: Path,
    tmp_path: Path,
) -> None:
    study = make_study()
    with LiveRows(training, ROWS):
        follow(database)
    experiments.track(study, study_folder, database)
    assert (shown_name(study.runs[1]), "train/reward") in histories(database)
    finished = tmp_path / "finished"
    write_study(finished, study)
    shutil.copytree(finished / "runs" / study.runs[1].key, training, dirs_exist_ok=True)
    RunFolder(training).live.unlink()
    experiments.track(study, study_folder, database)
    assert histories(database) == expected_histories(study_folder, study)
    assert query(database, "select count(*) from runs where name = ?", shown_name(study.runs[1])) == [(1,)]


def test_a_line_that_is_being_written_waits(training: Path) -> None:
    with LiveRows(training, ROWS[:2]) as live:
        live.file.write('{"step": 3, "ti')
        live.file.flush()
        assert read_live(RunFolder(training).live) == ROWS[:2]


def test_what_cannot_be_read_is_said_once_and_hides_no_other_run(
    study_folder: Path, database: Path, training: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = make_study().runs[0]
    garbage, nameless = study_folder / "runs" / odd.key, study_folder / "runs/a/b/c/seedless"
    (garbage / "live.jsonl").write_text('{"step": 1}\nthis is no JSON\n')
    nameless.mkdir(parents=True)
    (nameless / "live.jsonl").write_text("{}\n")
    unlocked = study_folder / "runs/tiny/chain2/aent/seed9"
    unlocked.mkdir()
    (unlocked / "live.jsonl").write_text(json.dumps(ROWS[0]) + "\n")  # and no config.json
    seen: dict[Path, int] = {}
    said: set[str] = set()
    with LiveRows(training, [row | {"H>1 [%]": 3.0} for row in ROWS]):
        look(database, seen, said)
        look(database, seen, said)
    found = histories(database)
    assert len(found[shown_name(make_study().runs[1]), "train/H_gt_1 percent"]) == 3
    assert {name for name, _ in found} == {shown_name(make_study().runs[1])}
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert sum("seedless" in line for line in lines) == 1
    assert sum(str(garbage) in line for line in lines) == 1
