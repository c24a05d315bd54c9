"""MLflow holds exactly what the files say: after the first import, the second, a kill, a change and a rebuild."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas
import pytest
from tracked import (
    content,
    expected_histories,
    histories,
    make_run,
    make_study,
    query,
    shown_name,
    write_run,
    write_study,
)

from entrobench.errors import InputError
from entrobench.tracking import experiments
from entrobench.tracking.projection import mlflow_runs
from entrobench.tracking.summaries import score_mean
from entrobench.tracking.views import links


def test_every_metric_of_every_step_arrives_once_with_its_time(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    assert histories(database) == expected_histories(study_folder, make_study())


def test_a_second_import_changes_nothing(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    before, summary = content(database), (study_folder / "tracking.json").read_text()
    experiments.track(make_study(), study_folder, database)
    assert content(database) == before
    assert (study_folder / "tracking.json").read_text() == summary


def test_runs_carry_what_the_ui_groups_by(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("small")
    assert experiment.tags["mlflow.note.content"] == "A small study."
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    run = runs["aent · tiny · chain2 · seed 1"]
    expected = {"model": "tiny", "dataset": "chain2", "method": "aent", "seed": "1", "study": "small", "kind": "run"}
    assert expected.items() <= run.data.tags.items()
    assert run.data.tags["config_hash"] == make_run("aent", 1).config.hash
    assert run.data.tags["cpu"] == "some"
    assert not [tag for tag in run.data.tags if tag.startswith("provenance")]
    assert run.data.params["trainer.learning_rate"] == "0.0002"
    assert run.data.params["method.values.floor"] == "null"
    assert (run.info.status, run.info.start_time) == ("FINISHED", 1_700_000_000_000)
    base = runs["base · tiny"].data
    assert (base.tags["method"], base.metrics) == ("base", {"eval/chain2/avg_at_8": 0.25, "eval/score_mean": 0.25})
    assert len(runs) == 4 + 1 + 2 + 1


def test_a_run_per_method_says_what_the_headline_says_and_no_other_run_has_an_interval(
    database: Path, study_folder: Path
) -> None:
    experiments.track(make_study(), study_folder, database)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    summaries = {run.data.tags["method"]: run.data for run in runs if run.data.tags["kind"] == "summary"}
    assert summaries["grpo"].metrics == {"pooled/score": 0.625, "pooled/runs": 2.0, "pooled/base_score": 0.25}
    bounds = {"pooled/difference": 0.02, "pooled/difference_lower": -0.01, "pooled/difference_upper": 0.05}
    assert summaries["aent"].metrics == summaries["grpo"].metrics | bounds | {"pooled/p_holm": 0.3}
    assert (summaries["aent"].tags["verdict"], summaries["aent"].tags["metric"]) == ("too few seeds", "avg@8")
    others = [name for run in runs if run.data.tags["kind"] != "summary" for name in run.data.metrics]
    assert not [name for name in others if "lower" in name or "upper" in name or "difference" in name]
    (board,) = (database.parent / "mlflow-artifacts/small").rglob("leaderboard.json")
    table = json.loads(board.read_text())
    row = dict(zip(table["columns"], table["data"][1], strict=True))
    assert row == {"method": "aent", "avg@8": 0.625, "runs": 2, "difference": 0.02, "lower": -0.01} | {
        "upper": 0.05,
        "Holm p": 0.3,
        "verdict": "too few seeds",
    }


def test_a_score_is_the_mean_over_the_benchmarks_that_the_report_averages() -> None:
    """Not over those that ask a task again, at another temperature: MLflow once showed such a mean."""
    found = {("chain2", "avg@8"): 0.5, ("chain2@t1", "avg@8"): 0.1, ("chain3", "avg@8"): 0.7, ("chain3", "pass@4"): 0.9}
    assert score_mean(found, "avg@8") == pytest.approx(0.6)
    assert score_mean(found, "maj@8") is None


def test_the_experiment_opens_on_saved_views_of_what_is_there(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("small")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    for title, link in links("http://here/", experiment.experiment_id):
        assert link.startswith(
            f"http://here/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
        )
        view = json.loads(experiment.tags["mlflow.sharedViewState." + link.rpartition("=")[2]])
        found = client.search_runs([experiment.experiment_id], view["searchFilter"])
        assert len(found) == {"Learning curves": 4, "Which is better": 2}[title]
        metrics = {name for run in found for name in run.data.metrics}
        shown = [column[9:-1] for column in view["selectedColumns"] if column.startswith("metrics.")]
        assert set(shown) <= metrics, title
    curves = json.loads(experiment.tags["mlflow.sharedViewState.learning-curves"])
    assert [chart["metricKey"] for chart in curves["compareRunCharts"]][:2] == ["train/entropy", "train/reward"]
    assert curves["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "method"}]
    sections = {section["uuid"] for section in curves["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in curves["compareRunCharts"]} == sections


def test_report_tables_and_figures_are_artifacts_beside_the_database(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    (study_folder / "figures/.snakemake_timestamp").touch()
    experiments.track(make_study(), study_folder, database)
    stored = sorted(p for p in (database.parent / "mlflow-artifacts/small").rglob("*") if p.is_file())
    names = [
        str(path.relative_to(database.parent / "mlflow-artifacts/small")).partition("/artifacts/")[2] for path in stored
    ]
    of_study = ["figures/entropy.svg", "leaderboard.json", "report.html", "statistics.json", "table.md"]
    assert sorted(names) == sorted([*of_study, *["config.json", "provenance.json"] * 4])
    assert not (Path.cwd() / "mlruns").exists()


def test_tracking_json_counts_what_is_there(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    summary = json.loads((study_folder / "tracking.json").read_text())
    assert summary["runs"] == {"run": 4, "base": 1, "summary": 2, "study": 1}
    assert summary["metrics"] == query(database, "select count(*) from metrics")[0][0]
    found = query(database, f"select name from experiments where experiment_id = {summary['experiment_id']}")
    assert found == [("small",)]


def test_a_retrained_run_replaces_its_old_metrics(database: Path, study_folder: Path) -> None:
    study = make_study()
    experiments.track(study, study_folder, database)
    untouched = dict(query(database, "select name, run_uuid from runs"))
    write_run(study_folder, study.runs[0], shift=100.0)
    experiments.track(study, study_folder, database)
    assert histories(database) == expected_histories(study_folder, study)
    now = dict(query(database, "select name, run_uuid from runs"))
    assert {name for name in now if now[name] != untouched[name]} == {shown_name(study.runs[0])}


def test_a_run_that_left_the_study_leaves_mlflow(database: Path, study_folder: Path) -> None:
    study = make_study()
    experiments.track(study, study_folder, database)
    shutil.rmtree(study_folder / "runs" / study.runs[3].key)
    experiments.track(study, study_folder, database)
    assert shown_name(study.runs[3]) not in dict(query(database, "select name, run_uuid from runs"))
    assert {name for name, _ in histories(database)} == {shown_name(run) for run in study.runs[:3]}


def test_a_users_own_run_stays(database: Path, study_folder: Path) -> None:
    from mlflow import MlflowClient

    experiments.track(make_study(), study_folder, database)
    client = MlflowClient(f"sqlite:///{database}")
    own = client.create_run(client.get_experiment_by_name("small").experiment_id).info.run_id
    experiments.track(make_study(), study_folder, database)
    assert client.get_run(own).info.lifecycle_stage == "active"


def test_rebuild_ends_with_the_same_content(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    before = histories(database), histories(database, "summary"), histories(database, "base")
    ids = {run for (run,) in query(database, "select run_uuid from runs")}
    experiments.track(make_study(), study_folder, database, rebuild=True)
    assert (histories(database), histories(database, "summary"), histories(database, "base")) == before
    assert not ids & {run for (run,) in query(database, "select run_uuid from runs")}
    assert query(database, "select count(*) from experiments where name = 'small'") == [(1,)]
    assert len(list((database.parent / "mlflow-artifacts/small").iterdir())) == 5


def test_an_import_that_died_midway_is_completed_without_doubling(
    database: Path, study_folder: Path, monkeypatch: pytest.MonkeyPatch
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
            experiments.track(make_study(), study_folder, database)
    assert not (study_folder / "tracking.json").exists()
    assert 0 < query(database, "select count(*) from metrics")[0][0] < 1400
    experiments.track(make_study(), study_folder, database)
    assert histories(database) == expected_histories(study_folder, make_study())


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from tracked import make_study
from entrobench.tracking import experiments
experiments.track(make_study(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def start_import(name: str, study_folder: Path, database: Path) -> subprocess.Popen[bytes]:
    script = SCRIPT.format(tests=str(Path(__file__).parents[1] / "support"))
    return subprocess.Popen(
        [sys.executable, "-c", script, name, str(study_folder), str(database)], stderr=subprocess.PIPE
    )


@pytest.fixture
def killed_import(database: Path, study_folder: Path) -> None:
    """An import that is killed while its metrics are half written."""
    process = start_import("small", study_folder, database)
    while process.poll() is None and query(database, "select count(*) from metrics")[0][0] < 500:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.usefixtures("killed_import")
def test_a_killed_import_neither_locks_nor_doubles(database: Path, study_folder: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    assert histories(database) == expected_histories(study_folder, make_study())


WRITERS = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import mlflow
from tracked import make_study
from entrobench.tracking import experiments
writers = []
for name in sys.argv[3:]:
    if not (writer := os.fork()):
        experiments.track(make_study(name), Path(sys.argv[1]) / name, Path(sys.argv[2]))
        os._exit(0)
    writers.append(writer)
sys.exit(sum(os.waitpid(writer, 0)[1] != 0 for writer in writers))
"""


def test_four_writers_at_once_into_a_fresh_database_lose_nothing_and_double_nothing(
    tmp_path: Path, study_folder: Path
) -> None:
    """Two of them import the same study."""
    database, results = tmp_path / "fresh/mlflow.db", study_folder.parent
    for name in ("one", "two"):
        (results / name).mkdir()
        write_study(results / name, make_study(name))
    script = WRITERS.format(tests=str(Path(__file__).parents[1] / "support"))
    names = ["small", "one", "small", "two"]
    subprocess.run([sys.executable, "-c", script, str(results), str(database), *names], check=True)
    assert query(database, "select count(*) from runs") == [(3 * 8,)]
    once = expected_histories(study_folder, make_study())
    assert histories(database) == {key: sorted(3 * points) for key, points in once.items()}


def test_an_unfinished_run_and_missing_scores_are_no_obstacle(database: Path, study_folder: Path) -> None:
    study = make_study()
    (study_folder / "runs" / study.runs[1].key / "steps.parquet").unlink()
    for name in ("scores.parquet", "statistics.json", "table.md", "report.html", "figures/entropy.svg"):
        (study_folder / name).unlink()
    experiments.track(study, study_folder, database)
    assert json.loads((study_folder / "tracking.json").read_text())["runs"] == {
        "run": 3,
        "base": 1,
        "summary": 0,
        "study": 1,
    }


def test_a_moved_database_is_one_line_and_rebuilt(database: Path, study_folder: Path, tmp_path: Path) -> None:
    experiments.track(make_study(), study_folder, database)
    moved = tmp_path / "elsewhere/mlflow.db"
    moved.parent.mkdir()
    shutil.move(database, moved)
    with pytest.raises(InputError, match="was moved here; run `entrobench track small --rebuild`"):
        experiments.track(make_study(), study_folder, moved)
    experiments.track(make_study(), study_folder, moved, rebuild=True)
    assert histories(moved) == expected_histories(study_folder, make_study())
    assert (moved.parent / "mlflow-artifacts/small").is_dir()


def test_an_experiment_deleted_in_the_ui_comes_back(database: Path, study_folder: Path) -> None:
    from mlflow import MlflowClient

    experiments.track(make_study(), study_folder, database)
    client = MlflowClient(f"sqlite:///{database}")
    client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
    experiments.track(make_study(), study_folder, database)
    assert client.get_experiment_by_name("small").lifecycle_stage == "active"
    assert histories(database) == expected_histories(study_folder, make_study())


def test_describing_a_study_needs_no_mlflow(study_folder: Path) -> None:
    script = "import sys; from entrobench.tracking import experiments, projection; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert [entry.content_hash for entry in mlflow_runs(make_study(), study_folder)] == [
        entry.content_hash for entry in mlflow_runs(make_study(), study_folder)
    ]


def test_evaluations_along_the_way_are_metrics_by_step(database: Path, study_folder: Path) -> None:
    steps = [(2, 0.25), (8, 0.5)]
    rows = [("tiny", "chain2", "aent", 1, step, "chain2", score) for step, score in steps]
    columns = ["model", "dataset", "method", "seed", "step", "benchmark", "score"]
    pandas.DataFrame(rows, columns=columns).to_parquet(study_folder / "evaluations.parquet", index=False)
    experiments.track(make_study(), study_folder, database)
    found = histories(database)
    name, other = (f"aent · tiny · chain2 · seed {seed}" for seed in (1, 0))
    times = {step: time for step, _, time in found[name, "train/reward"]}
    assert found[name, "eval/chain2/score_by_step"] == [(step, score, times[step]) for step, score in steps]
    assert (other, "eval/chain2/score_by_step") not in found


def test_an_imported_run_is_shown_and_marked(database: Path, study_folder: Path, tmp_path: Path) -> None:
    from entrobench.foreign.imported import import_run
    from entrobench.results import StudyFolder
    from entrobench.run_keys import RunKey

    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"step": step, "entropy": step / 4, "mine": 1.0}) + "\n" for step in (1, 2)))
    import_run(StudyFolder(study_folder), RunKey("tiny", "chain2", "theirs", 0), log, [], replace=False)
    experiments.track(make_study(), study_folder, database)
    before = content(database)
    experiments.track(make_study(), study_folder, database)
    assert content(database) == before
    name = "theirs · imported · tiny · chain2 · seed 0"
    found = histories(database)
    assert found[name, "train/entropy"] == [(1, 0.25, 0), (2, 0.5, 0)]
    assert found[name, "foreign/mine"] == [(1, 1.0, 0), (2, 1.0, 0)]
