"""Evaluation along the way: the table of all evaluations, its three readings by hand, and the hours to a score."""

from __future__ import annotations

import math
from pathlib import Path

import pandas
import pytest
from synthetic_results import make_study, write_audit

from entrobench.errors import InputError
from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.report.study_page import write_report
from entrobench.evaluation.tables.evaluations import (
    BEST,
    LAST_STEP,
    LAST_TEN,
    averages,
    hours_entries,
    hours_to_best,
    readings,
)


def evaluations(scores: dict[tuple[str, int], dict[str, list[float]]], hours: float = 1.0) -> pandas.DataFrame:
    """{(method, seed): {benchmark: score of each evaluation}}, evaluated every 10 steps."""
    rows = [
        ("tiny", "chain2", method, seed, 10 * (number + 1), benchmark, score, 100 * (number + 1), hours * (number + 1))
        for (method, seed), by_benchmark in scores.items()
        for benchmark, values in by_benchmark.items()
        for number, score in enumerate(values)
    ]
    columns = ["model", "dataset", "method", "seed", "step", "benchmark", "score", "tokens", "device_hours"]
    return pandas.DataFrame(rows, columns=columns)


def test_readings_by_hand() -> None:
    a = [0.9, 0.1, 0.5, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.3]
    b = [0.0, 0.1, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.1]
    found = readings(evaluations({("grpo", 0): {"one": a, "two": b}}))
    values = {(row.reading, row.benchmark): row.score for row in found.itertuples()}
    assert values[LAST_STEP, "one"] == 0.3
    assert values[LAST_STEP, "mean"] == pytest.approx(0.2)
    assert values[LAST_TEN, "one"] == pytest.approx((0.5 + 8 * 0.2 + 0.3) / 10)
    assert values[LAST_TEN, "two"] == pytest.approx((0.5 + 8 * 0.3 + 0.1) / 10)
    assert (values[BEST, "one"], values[BEST, "two"]) == (0.5, 0.5), "by the average, not per benchmark"
    assert set(found[found["reading"] == BEST]["step"]) == {30}


def test_the_earliest_of_equal_evaluations_is_the_best() -> None:
    found = readings(evaluations({("grpo", 0): {"one": [0.1, 0.4, 0.4, 0.2]}}))
    assert set(found[found["reading"] == BEST]["step"]) == {20}
    assert list(found[found["reading"] == LAST_TEN]["score"]) == pytest.approx([1.1 / 4] * 2), "all there are"


def test_hours_until_the_baselines_best_score_of_the_same_seed() -> None:
    runs = {
        ("grpo", 0): {"one": [0.2, 0.5, 0.4]},
        ("grpo", 1): {"one": [0.2, 0.3, 0.8]},
        ("aent", 0): {"one": [0.5, 0.6, 0.7]},
        ("aent", 1): {"one": [0.5, 0.6, 0.7]},
        ("aent", 2): {"one": [0.5, 0.6, 0.7]},
    }
    found = hours_to_best(evaluations(runs, hours=2.0)).set_index(["method", "seed"])
    assert found["target"].to_dict() | {("aent", 2): 0} == {
        ("grpo", 0): 0.5,
        ("grpo", 1): 0.8,
        ("aent", 0): 0.5,
        ("aent", 1): 0.8,
        ("aent", 2): 0,
    }
    hours = found["device_hours"]
    assert (hours["grpo", 0], hours["grpo", 1], hours["aent", 0]) == (4.0, 6.0, 2.0)
    assert hours["aent", 1] == 6.0, "censored: it counts with all that it spent"
    assert found["reached"].to_dict() == {
        **dict.fromkeys([("grpo", 0), ("grpo", 1), ("aent", 0)], True),
        **dict.fromkeys([("aent", 1), ("aent", 2)], False),
    }
    text = [entry.text for entry in hours_entries(found.loc[["aent"]].reset_index())]
    assert text == ["≥ 4", "1 of 3"]
    assert hours_entries(found.loc[["grpo"]].reset_index())[0].text == "5"
    assert math.isnan(hours["aent", 2]), "without a baseline of its seed"


def test_compare_writes_them_with_what_they_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_audit(tmp_path)
    study = make_study(tmp_path, {"grpo": 0.4, "aent": 0.6}, benchmarks=("one", "two"), evaluate_every=6, steps=20)
    compare(study, study.results)
    table = pandas.read_parquet(study.results / "evaluations.parquet")
    assert sorted(set(table["step"])) == [6, 12, 18, 20]
    assert len(table) == 4 * 4 * 2
    scores = pandas.read_parquet(study.results / "scores.parquet").query("metric == 'avg@8' and method == 'aent'")
    last = table.query("step == 20 and method == 'aent'").sort_values(["seed", "benchmark"])["score"]
    assert list(last) == pytest.approx(list(scores.sort_values(["seed", "benchmark"])["value"]))
    first = table[table["step"] == 6].iloc[0]
    assert first["tokens"] == 6 * 4096
    assert first["device_hours"] == pytest.approx(6 * 0.4 / 3600)
    assert (averages(table).groupby(["method", "seed"]).size() == 4).all()
    assert (study.results / "figures" / "evaluations.svg").is_file()
    page = write_report(study, study.results).read_text()
    for text in ("Evaluation along the way", "selected on test data", "Scores along the way", "(here of all 4)"):
        assert text in page
    assert "Evaluation along the way" in (study.results / "table.md").read_text()


def test_a_study_without_any_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_figures: None) -> None:
    monkeypatch.chdir(tmp_path)
    study = make_study(tmp_path, {"grpo": 0.4}, seeds=(0,), evaluate_every=9, steps=20)
    (study.runs[0].folder / "evaluations/step000009/grades/chain2-test.parquet").unlink()
    with pytest.raises(InputError, match=r"step000009.grades.chain2-test\.parquet: missing; generate and grade"):
        compare(study, study.results)
    (study.results / "evaluations.parquet").touch()
    for run in study.runs:
        run.hardware, run.snapshots = run.hardware.__class__(), []
    compare(study, study.results)
    assert not (study.results / "evaluations.parquet").exists()
    assert "along the way" not in write_report(study, study.results).read_text()
