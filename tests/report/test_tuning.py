"""The choice among trials: scores by hand, what is left out, ties, cost, and the files that come of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pandas
import pytest
from synthetic_results import write_grades, write_steps

from entrobench.config import TrainerConfig
from entrobench.errors import InputError
from entrobench.evaluation.report import tuning
from entrobench.evaluation.report.tuning import tune, tuning_lines
from entrobench.run_config import RunConfig, RunDataset, RunModel, Variant
from entrobench.run_keys import RunKey

GRID = [0.001, 0.01, 0.1]
PROBLEMS, DRAWS, STEPS = 12, 4, 6


def run(folder: Path, method: str, seed: int, derived: dict[str, Any] | None = None) -> SimpleNamespace:
    variant, data = Variant(method, method, {}, derived or {}), RunDataset("chain2", "d", "{problem}")
    config = RunConfig(RunModel("tiny", "m"), data, variant, seed, TrainerConfig())
    place = folder / "runs" / "tiny" / "chain2" / method / f"seed{seed}"
    names = {"model": "tiny", "dataset": "chain2", "method": method, "seed": seed}
    return SimpleNamespace(**names, key=str(RunKey(**names)), config=config, folder=place)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Two methods tuned over three values on seeds 100 and 101, whose trials are graded."""
    monkeypatch.setattr(tuning, "_seen_problems", lambda *_: set())
    folder, place = tmp_path, tmp_path / "tuning"
    declared = {"coefficient": {"tune": GRID}}
    trials = [
        run(place, f"{method}-{value:g}", seed) for method in ("full", "cut") for value in GRID for seed in (100, 101)
    ]
    for number, trial in enumerate(trials):
        rng = numpy.random.default_rng(number)
        write_steps(trial.folder / "steps.parquet", rng, 0.2, STEPS, adaptive=False)
        write_grades(trial.folder / "grades" / "chain2-validation.parquet", rng, 0.5, PROBLEMS, DRAWS)
    return SimpleNamespace(
        name="mine",
        path=Path("config/studies/mine.yaml"),
        folder=folder,
        benchmarks=["chain2"],
        runs=[run(folder, method, seed, declared) for method in ("full", "cut") for seed in (0, 1)],
        tuning=SimpleNamespace(name="mine/tuning", runs=trials, benchmarks=["chain2-validation"]),
    )


def set_scores(study: SimpleNamespace, right: Mapping[str, int]) -> None:
    """Make that many of the draws of every problem right, by trial."""
    for trial in study.tuning.runs:
        file = trial.folder / "grades" / "chain2-validation.parquet"
        grades = pandas.read_parquet(file)
        grades["correct"] = grades["draw"] < right[trial.method]
        grades.to_parquet(file)


def test_the_best_mean_wins_and_everything_is_written(study: SimpleNamespace, tmp_path: Path) -> None:
    set_scores(study, {"full-0.001": 1, "full-0.01": 3, "full-0.1": 2, "cut-0.001": 1, "cut-0.01": 1, "cut-0.1": 4})
    found = tune(study, tmp_path, tmp_path / "data")
    assert found == json.loads((tmp_path / "tuning/tuning.json").read_text())
    assert found["methods"]["full"] == {
        "key": "coefficient",
        "value": 0.01,
        "score": 0.75,
        "trials": 6,
        "at_end_of_grid": False,
    }
    assert (found["methods"]["cut"]["value"], found["methods"]["cut"]["at_end_of_grid"]) == (0.1, True)
    assert (found["metric"], found["seeds"]) == ("avg@4", [100, 101])
    sweep = pandas.read_csv(tmp_path / "tuning/sweep.csv")
    assert list(sweep["method"]) == ["full"] * 6 + ["cut"] * 6
    assert list(sweep[sweep["method"] == "full"]["score"]) == [0.25, 0.25, 0.75, 0.75, 0.5, 0.5]
    assert (tmp_path / "tuning/sweep.svg").is_file()
    assert "At an end of the grid, so that a better value may lie beyond it: cut." in tuning_lines(tmp_path)


def test_of_equal_scores_the_first_of_the_grid_wins(study: SimpleNamespace, tmp_path: Path) -> None:
    set_scores(study, dict.fromkeys([trial.method for trial in study.tuning.runs], 2))
    assert {m["value"] for m in tune(study, tmp_path, tmp_path)["methods"].values()} == {GRID[0]}


def test_the_cost_is_that_of_all_trials(study: SimpleNamespace, tmp_path: Path) -> None:
    cost = tune(study, tmp_path, tmp_path)["cost"]
    files = [trial.folder / "grades/chain2-validation.parquet" for trial in study.tuning.runs]
    tokens = [pandas.read_parquet(file)["tokens"].sum() for file in files]
    assert cost == {
        "runs": 12,
        "training_tokens": 12 * STEPS * 4096,
        "validation_tokens": sum(tokens),
        "training_seconds": pytest.approx(12 * STEPS * 0.4),
    }
    assert any("12 runs, 0.295 million tokens" in line for line in tuning_lines(tmp_path))


def test_training_and_test_problems_do_not_judge(
    study: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_scores(study, dict.fromkeys([trial.method for trial in study.tuning.runs], 1))
    file = study.tuning.runs[0].folder / "grades/chain2-validation.parquet"
    ids = sorted(set(pandas.read_parquet(file)["problem_id"]))
    for trial in study.tuning.runs[:2]:  # full-0.001 is right about one problem only
        grades = pandas.read_parquet(trial.folder / "grades/chain2-validation.parquet")
        grades.loc[grades["problem_id"] == ids[0], "correct"] = True
        grades.to_parquet(trial.folder / "grades/chain2-validation.parquet")
    assert tune(study, tmp_path, tmp_path)["methods"]["full"]["score"] > 0.25
    monkeypatch.setattr(tuning, "_seen_problems", lambda *_: {ids[0], "elsewhere"})
    found = tune(study, tmp_path, tmp_path)
    assert found["methods"]["full"]["score"] == 0.25
    assert found["problems"] == {"judged": PROBLEMS - 1, "left_out": 1}
    monkeypatch.setattr(tuning, "_seen_problems", lambda *_: set(ids))
    with pytest.raises(InputError, match="every validation problem is a training or a test problem"):
        tune(study, tmp_path, tmp_path)


def test_a_trial_that_is_not_graded_is_named(study: SimpleNamespace, tmp_path: Path) -> None:
    (study.tuning.runs[3].folder / "grades/chain2-validation.parquet").unlink()
    with pytest.raises(InputError, match=r"the trial tiny/chain2/full-0\.01/101 is not graded yet"):
        tune(study, tmp_path, tmp_path)


def test_no_lines_without_tuning(tmp_path: Path) -> None:
    assert tuning_lines(tmp_path) == []
