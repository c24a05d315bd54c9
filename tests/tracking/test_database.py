"""What stands where the database should: old, new, locked, foreign, moved, absent; each one line, and nothing lost."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tracked import expected_histories, histories, make_study, query

from entrobench.errors import InputError
from entrobench.tracking import database as store
from entrobench.tracking import experiments, server


def set_schema(database: Path, revision: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("update alembic_version set version_num = ?", (revision,))
    connection.close()


def refusal(database: Path) -> str:
    with pytest.raises(InputError) as refused:
        store.check(database)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_installed_schema_is_known_and_the_newest(database: Path) -> None:
    """Read from MLflow's files; the database was made by MLflow itself."""
    found = query(database, "select version_num from alembic_version")[0][0]
    assert store._newest(store._revisions()) == found
    assert store.check(database) == 0


def test_an_older_and_a_newer_database_are_told_apart(database: Path) -> None:
    known = store._revisions()
    set_schema(database, known[store._newest(known)])
    assert "older MLflow" in refusal(database)
    assert "`mlflow db upgrade sqlite:///results/mlflow.db`" in refusal(database)
    set_schema(database, "ffffffffffff")
    assert "newer MLflow" in refusal(database)


def test_what_is_no_database_is_named(database: Path) -> None:
    database.write_text("written by somebody")
    assert "no database of MLflow" in refusal(database)
    database.unlink()
    sqlite3.connect(database).execute("create table other (x)").connection.close()
    assert "no database of MLflow" in refusal(database)


def test_a_locked_database_is_named(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY", 0.05)
    other = sqlite3.connect(database)
    other.execute("begin exclusive")
    assert "locked by another program" in refusal(database)
    other.close()
    assert store.check(database) == 0


def test_doctor_says_what_is_wrong_with_the_database(database: Path) -> None:
    from entrobench.cli import doctor

    set_schema(database, store._revisions()[store._newest(store._revisions())])
    ((state, what, _),) = doctor._database()
    assert state == "fail"
    assert "mlflow db upgrade" in what


def test_a_users_own_experiment_of_the_name_stays(database: Path, study_folder: Path) -> None:
    client = store.open_client(database)
    own = client.create_experiment("small")
    client.create_run(own)
    for rebuild in (False, True):
        with pytest.raises(InputError, match="was not made by a study; rename it") as refused:
            experiments.track(make_study(), study_folder, database, rebuild=rebuild)
        assert "--rebuild" not in str(refused.value)
    assert len(client.search_runs([own])) == 1


def test_rebuild_keeps_a_users_own_runs(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    client = store.open_client(database)
    own = client.create_run(client.get_experiment_by_name("small").experiment_id).info.run_id
    before = histories(database)
    experiments.track(make_study(), study_folder, database, rebuild=True)
    assert client.get_run(own).info.lifecycle_stage == "active"
    assert histories(database) == before


def test_a_question_mark_in_the_projects_path_changes_nothing(
    empty_database: Path, study_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "what? 100%"
    place.mkdir()
    shutil.move(tmp_path / "results", place / "results")
    database = Path(shutil.copy(empty_database, place / "results/mlflow.db"))
    monkeypatch.chdir(place)
    experiments.track(make_study(), place / "results/small", database)
    assert histories(database) == expected_histories(place / "results/small", make_study())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["what? 100%"]
    assert list((place / "results/mlflow-artifacts/small").rglob("report.html"))


def test_a_server_that_does_not_answer_is_one_line_and_training_does_not_ask_it(
    database: Path, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        experiments.initialise(database)
        with pytest.raises(InputError, match=r"does not answer; nothing is lost.* the same command catches up"):
            experiments.track(make_study(), study_folder, database)
    assert not (study_folder / "tracking.json").exists()
    assert query(database, "select count(*) from runs") == [(0,)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    with pytest.raises(InputError, match="only a server's address"):
        experiments.track(make_study(), study_folder, database)


def test_a_server_gets_the_same_runs(
    database: Path, study_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of a server has no access to its store: deletion and artifacts go another way."""
    other = Path(shutil.copy(database, tmp_path / "server.db"))
    client = store.open_client(other)
    monkeypatch.setattr(store, "open_client", lambda path: client)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    monkeypatch.chdir(tmp_path)
    experiments.track(make_study(), study_folder, database)
    shutil.rmtree(study_folder / "runs" / make_study().runs[3].key)
    experiments.track(make_study(), study_folder, database)
    experiments.track(make_study(), study_folder, database, rebuild=True)
    active = query(other, "select name from runs where lifecycle_stage = 'active'")
    assert len(active) == 3 + 1 + 2 + 1
    assert query(database, "select count(*) from runs") == [(0,)]


def test_a_taken_port_is_named_before_anything_starts(database: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} is taken .*make ui PORT={port + 1}"):
            server.serve(database, port)


def test_ui_ends_with_the_servers_status(
    database: Path, study_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import subprocess
    import sys

    experiments.track(make_study(), study_folder, database)
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    monkeypatch.setattr(server, "_start", lambda *_: ended)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert server.serve(database, port) == 3
    printed: Any = capsys.readouterr().out
    assert len(re.findall(r"small, .*: http://127.0.0.1:\d+/#/experiments/1/runs\?", printed)) == 2
    assert os.environ.get("MLFLOW_TRACKING_URI") is None
