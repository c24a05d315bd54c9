"""MLflow holds exactly what the files say: after the first import, the second, a kill, a change and a rebuild."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pytest
from pyarrow import parquet

from entrobench import tracking
from entrobench.config import EvaluationConfig, Hardware, canonical_hash
from entrobench.errors import InputError
from entrobench.projection import entries, metric_name
from entrobench.recipes import Recipe
from entrobench.study import Run, Study

COLUMNS = ("reward", "entropy", "kl", "method/coefficient", "outcome/correct", *(f"extra/{n}" for n in range(5)))


def steps_of(method: str, seed: int) -> int:
    """One long run, of more metrics than MLflow takes in a call, and short ones."""
    return 120 if (method, seed) == ("grpo", 0) else 8


def make_run(method: str, seed: int) -> Run:
    config: dict[str, Any] = {
        "model": {"name": "tiny", "recipe_hash": "m"},
        "dataset": {"name": "chain2", "recipe_hash": "d", "prompt": "{problem}"},
        "method": {"name": method, "use": method, "values": {"coefficient": 0.01, "floor": None}},
        "seed": seed,
        "trainer": {"steps": steps_of(method, seed), "learning_rate": 2e-4, "loss_agg": "token-mean"},
    }
    config["hash"] = canonical_hash(config)
    return Run("tiny-chain2", "tiny", "chain2", method, seed, config, Hardware(), Path())


def make_study(name: str = "small") -> Study:
    runs = [make_run(method, seed) for method in ("grpo", "aent") for seed in (0, 1)]
    models = {"tiny": Recipe("tiny", {"kind": "trained"}, "m")}
    path = Path(f"config/studies/{name}.yaml")
    return Study(name, path, "A small study.", runs, models, {}, ["chain2"], EvaluationConfig(), "avg@8")


def write_run(folder: Path, run: Run, shift: float = 0.0) -> None:
    place = folder / "runs" / run.key
    place.mkdir(parents=True, exist_ok=True)
    count = steps_of(run.method, run.seed)
    steps = {"step": range(1, count + 1), "time": [1.7e9 + run.seed * 1000 + step for step in range(count)]}
    for column, name in enumerate(COLUMNS):
        steps[name] = [shift + run.seed + column + step / 7 for step in range(count)]
    steps["kl"] = [math.nan, *steps["kl"][1:]]
    steps["method/coefficient"] = [None, *steps["method/coefficient"][1:]]
    parquet.write_table(pyarrow.table({name: list(values) for name, values in steps.items()}), place / "steps.parquet")
    provenance = {
        "started": "2023-11-14T22:13:20+00:00",
        "seconds": 9.5,
        "cpu_seconds": 9.0,
        "peak_memory_bytes": 2**30,
    }
    provenance |= {"git_commit": None, "hardware": {"cpu": "some", "cores": 2}, "config_hash": run.config["hash"]}
    (place / "provenance.json").write_text(json.dumps(provenance))


def write_study(folder: Path, study: Study) -> None:
    for run in study.runs:
        write_run(folder, run)
    cells = [("tiny", "chain2", run.method, run.seed, 0.5 + run.seed / 4) for run in study.runs]
    rows = [(*cell[:4], "chain2", "avg@8", cell[4]) for cell in [*cells, ("tiny", "none", "base", 0, 0.25)]]
    names = ["model", "dataset", "method", "seed", "benchmark", "metric", "value"]
    pandas.DataFrame(rows, columns=names).to_parquet(folder / "scores.parquet", index=False)
    comparison = {"scope": "cell", "model": "tiny", "dataset": "chain2", "benchmark": None, "method": "aent"}
    comparison |= {"difference": 0.02, "lower": -0.01, "upper": 0.05}
    one_seed = comparison | {"scope": "cell-benchmark", "benchmark": "chain2", "lower": None, "upper": None}
    (folder / "statistics.json").write_text(json.dumps({"comparisons": [comparison, one_seed]}))
    (folder / "table.md").write_text("| method | avg@8 |\n")
    (folder / "report.html").write_text("<h1>report</h1>")
    (folder / "figures").mkdir()
    (folder / "figures/entropy.svg").write_text("<svg/>")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    tracking.initialise(database)
    return database


@pytest.fixture
def database(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "results"
    place.mkdir()
    write_study(place, make_study())
    return place


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def content(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that an import may change, run ids included."""
    return {
        table: sorted(query(database, f"select * from {table}"), key=repr)
        for table in ("experiments", "runs", "metrics", "latest_metrics", "params", "tags")
    }


def histories(database: Path, kind: str = "run") -> dict[tuple[str, str], list[tuple[int, float, int]]]:
    """(run name, metric) -> [(step, value, time)], NaN as MLflow marks it."""
    rows = query(
        database,
        "select r.name, m.key, m.step, case when m.is_nan then 'nan' else m.value end, m.timestamp from metrics m "
        f"join runs r using (run_uuid) join tags t using (run_uuid) where t.key = 'kind' and t.value = '{kind}'",
    )
    found: dict[tuple[str, str], list[tuple[int, float, int]]] = {}
    for name, key, *point in rows:
        found.setdefault((name, key), []).append(tuple(point))
    return {key: sorted(points) for key, points in found.items()}


def expected_histories(folder: Path, study: Study) -> dict[tuple[str, str], list[tuple[int, Any, int]]]:
    found: dict[tuple[str, str], list[tuple[int, Any, int]]] = {}
    for run in study.runs:
        rows = parquet.read_table(folder / "runs" / run.key / "steps.parquet").to_pylist()
        for row in rows:
            for name in COLUMNS:
                if row[name] is not None:
                    value = "nan" if math.isnan(row[name]) else row[name]
                    found.setdefault((run.key, name), []).append((row["step"], value, int(row["time"] * 1000)))
        last = (len(rows), int(rows[-1]["time"] * 1000))
        final = {"chain2/avg_at_8": 0.5 + run.seed / 4, "cost/seconds": 9.5, "cost/cpu_seconds": 9.0}
        for name, value in (final | {"cost/peak_memory_bytes": 2.0**30}).items():
            found[run.key, name] = [(last[0], value, last[1])]
    return found


def test_every_metric_of_every_step_arrives_once_with_its_time(database: Path, folder: Path) -> None:
    tracking.track(make_study(), folder, database)
    assert histories(database) == expected_histories(folder, make_study())


def test_a_second_import_changes_nothing(database: Path, folder: Path) -> None:
    tracking.track(make_study(), folder, database)
    before, summary = content(database), (folder / "tracking.json").read_text()
    tracking.track(make_study(), folder, database)
    assert content(database) == before
    assert (folder / "tracking.json").read_text() == summary


def test_runs_carry_what_the_ui_groups_by(database: Path, folder: Path) -> None:
    tracking.track(make_study(), folder, database)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("small")
    assert experiment.tags["mlflow.note.content"] == "A small study."
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    run = runs["tiny/chain2/aent/seed1"]
    expected = {"model": "tiny", "dataset": "chain2", "method": "aent", "seed": "1", "study": "small", "kind": "run"}
    assert expected.items() <= run.data.tags.items()
    assert run.data.tags["config_hash"] == make_run("aent", 1).config["hash"]
    assert run.data.tags["provenance.hardware.cores"] == "2"
    assert run.data.params["trainer.learning_rate"] == "0.0002"
    assert run.data.params["method.values.floor"] == "null"
    assert (run.info.status, run.info.start_time) == ("FINISHED", 1_700_000_000_000)
    base = runs["tiny/base"].data
    assert (base.tags["method"], base.metrics) == ("base", {"chain2/avg_at_8": 0.25})
    grpo = runs["tiny/chain2/grpo (mean of 2)"].data
    assert grpo.metrics == {"chain2/avg_at_8": 0.625, "seeds": 2.0}
    aent = runs["tiny/chain2/aent (mean of 2)"].data
    difference = {"all/difference": 0.02, "all/difference_lower": -0.01, "all/difference_upper": 0.05}
    assert aent.metrics == grpo.metrics | difference | {"chain2/difference": 0.02}
    assert len(runs) == 4 + 1 + 2 + 1


def test_report_tables_and_figures_are_artifacts_beside_the_database(database: Path, folder: Path) -> None:
    tracking.track(make_study(), folder, database)
    stored = sorted(p for p in (database.parent / "mlflow-artifacts/small").rglob("*") if p.is_file())
    names = [
        str(path.relative_to(database.parent / "mlflow-artifacts/small")).partition("/artifacts/")[2] for path in stored
    ]
    assert sorted(names) == ["figures/entropy.svg", "report.html", "statistics.json", "table.md"]
    assert not (Path.cwd() / "mlruns").exists()


def test_tracking_json_counts_what_is_there(database: Path, folder: Path) -> None:
    tracking.track(make_study(), folder, database)
    summary = json.loads((folder / "tracking.json").read_text())
    assert summary["runs"] == {"run": 4, "base": 1, "summary": 2, "study": 1}
    assert summary["metrics"] == query(database, "select count(*) from metrics")[0][0]
    found = query(database, f"select name from experiments where experiment_id = {summary['experiment_id']}")
    assert found == [("small",)]


def test_a_retrained_run_replaces_its_old_metrics(database: Path, folder: Path) -> None:
    study = make_study()
    tracking.track(study, folder, database)
    untouched = dict(query(database, "select name, run_uuid from runs"))
    write_run(folder, study.runs[0], shift=100.0)
    tracking.track(study, folder, database)
    assert histories(database) == expected_histories(folder, study)
    now = dict(query(database, "select name, run_uuid from runs"))
    assert {name for name in now if now[name] != untouched[name]} == {study.runs[0].key}


def test_a_run_that_left_the_study_leaves_mlflow(database: Path, folder: Path) -> None:
    study = make_study()
    tracking.track(study, folder, database)
    shutil.rmtree(folder / "runs" / study.runs[3].key)
    tracking.track(study, folder, database)
    assert study.runs[3].key not in dict(query(database, "select name, run_uuid from runs"))
    assert {name for name, _ in histories(database)} == {run.key for run in study.runs[:3]}


def test_a_users_own_run_stays(database: Path, folder: Path) -> None:
    from mlflow import MlflowClient

    tracking.track(make_study(), folder, database)
    client = MlflowClient(f"sqlite:///{database}")
    own = client.create_run(client.get_experiment_by_name("small").experiment_id).info.run_id
    tracking.track(make_study(), folder, database)
    assert client.get_run(own).info.lifecycle_stage == "active"


def test_rebuild_ends_with_the_same_content(database: Path, folder: Path) -> None:
    tracking.track(make_study(), folder, database)
    before = histories(database), histories(database, "summary"), histories(database, "base")
    ids = {run for (run,) in query(database, "select run_uuid from runs")}
    tracking.track(make_study(), folder, database, rebuild=True)
    assert (histories(database), histories(database, "summary"), histories(database, "base")) == before
    assert not ids & {run for (run,) in query(database, "select run_uuid from runs")}
    assert query(database, "select count(*) from experiments where name = 'small'") == [(1,)]
    assert len(list((database.parent / "mlflow-artifacts/small").iterdir())) == 1


def test_an_import_that_died_midway_is_completed_without_doubling(
    database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    calls = 0
    log_batch = MlflowClient.log_batch

    def dying(self: Any, *arguments: Any, **keywords: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        log_batch(self, *arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", dying)
        with pytest.raises(KeyboardInterrupt):
            tracking.track(make_study(), folder, database)
    assert not (folder / "tracking.json").exists()
    assert 0 < query(database, "select count(*) from metrics")[0][0] < 1400
    tracking.track(make_study(), folder, database)
    assert histories(database) == expected_histories(folder, make_study())


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_tracking import make_study
from entrobench import tracking
tracking.track(make_study(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def start_import(name: str, folder: Path, database: Path) -> subprocess.Popen[bytes]:
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    return subprocess.Popen([sys.executable, "-c", script, name, str(folder), str(database)], stderr=subprocess.PIPE)


@pytest.fixture
def killed_import(database: Path, folder: Path) -> None:
    """An import that is killed while its metrics are half written."""
    process = start_import("small", folder, database)
    while process.poll() is None and query(database, "select count(*) from metrics")[0][0] < 500:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.usefixtures("killed_import")
def test_a_killed_import_neither_locks_nor_doubles(database: Path, folder: Path) -> None:
    tracking.track(make_study(), folder, database)
    assert histories(database) == expected_histories(folder, make_study())


def test_imports_side_by_side_into_a_fresh_database_do_not_double(tmp_path: Path, folder: Path) -> None:
    database = tmp_path / "fresh/mlflow.db"
    jobs = [start_import("small", folder, database) for _ in range(2)]
    assert [(job.wait(), job.communicate()[1].decode())[0] for job in jobs] == [0, 0]
    assert query(database, "select count(*) from runs") == [(8,)]
    assert histories(database) == expected_histories(folder, make_study())


def test_an_unfinished_run_and_missing_scores_are_no_obstacle(database: Path, folder: Path) -> None:
    study = make_study()
    (folder / "runs" / study.runs[1].key / "steps.parquet").unlink()
    for name in ("scores.parquet", "statistics.json", "table.md", "report.html", "figures/entropy.svg"):
        (folder / name).unlink()
    tracking.track(study, folder, database)
    assert json.loads((folder / "tracking.json").read_text())["runs"] == {"run": 3, "base": 1, "summary": 0, "study": 1}


def test_a_moved_database_is_one_line_and_rebuilt(database: Path, folder: Path, tmp_path: Path) -> None:
    tracking.track(make_study(), folder, database)
    moved = tmp_path / "elsewhere/mlflow.db"
    moved.parent.mkdir()
    shutil.move(database, moved)
    with pytest.raises(InputError, match="was moved here; run `entrobench track small --rebuild`"):
        tracking.track(make_study(), folder, moved)
    tracking.track(make_study(), folder, moved, rebuild=True)
    assert histories(moved) == expected_histories(folder, make_study())
    assert (moved.parent / "mlflow-artifacts/small").is_dir()


def test_an_experiment_deleted_in_the_ui_comes_back(database: Path, folder: Path) -> None:
    from mlflow import MlflowClient

    tracking.track(make_study(), folder, database)
    client = MlflowClient(f"sqlite:///{database}")
    client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
    tracking.track(make_study(), folder, database)
    assert client.get_experiment_by_name("small").lifecycle_stage == "active"
    assert histories(database) == expected_histories(folder, make_study())


def test_describing_a_study_needs_no_mlflow(folder: Path) -> None:
    script = "import sys; from entrobench import tracking, projection; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert [entry.content_hash for entry in entries(make_study(), folder)] == [
        entry.content_hash for entry in entries(make_study(), folder)
    ]
    assert metric_name("chain2/avg@8") == "chain2/avg_at_8"
