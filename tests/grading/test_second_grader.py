"""A benchmark's tolerance, and the paper's grader beside ours, from generations to the scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest
import zstandard

from entrobench.errors import InputError
from entrobench.evaluation.grading.grade_files import grade_file
from entrobench.evaluation.grading.grader import grade, warm_up, with_tolerance
from entrobench.evaluation.grading.second_grader import add_verdicts
from entrobench.evaluation.statistics.scores import problem_table, read_grades, score_table


@pytest.fixture(scope="module", autouse=True)
def _warm_workers() -> None:
    warm_up()


@pytest.mark.parametrize(
    ("prediction", "tolerance", "correct"),
    [
        ("\\boxed{4.3}", 0.1, True),
        ("\\boxed{4.3\\%}", 0.1, True),
        ("\\boxed{4.31}", 0.1, False),
        ("\\boxed{4.3}", None, False),
        ("\\boxed{4.3 km}", 0.1, False),  # a percentage is no length
        ("\\boxed{5}", 0.1, False),
        ("\\boxed{x}", 0.1, False),
        ("", 0.1, False),
    ],
)
def test_a_stated_tolerance_widens_the_verdict(prediction: str, tolerance: float | None, correct: bool) -> None:
    verdict = with_tolerance(grade(prediction, "4.2 %"), tolerance)
    assert verdict.correct == (verdict.outcome == "correct") == correct


def test_a_tolerance_keeps_units_apart() -> None:
    assert not with_tolerance(grade("\\boxed{4.3 km}", "4.2 kg"), 0.1).correct


def write_generations(folder: Path, rows: list[dict[str, Any]], name: str = "b") -> Path:
    path = folder / f"generations/{name}.jsonl.zst"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"header": {}}, *({"tokens": 3, "finish": "stop", "problem": "?", **row} for row in rows)]
    path.write_bytes(zstandard.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return path


ROWS = [
    {"problem_id": "a", "draw": 0, "gold": "0.5", "response": "so it is $\\frac{1}{2}$"},
    {"problem_id": "a", "draw": 1, "gold": "0.5", "response": "\\boxed{3}"},
    {"problem_id": "b", "draw": 0, "gold": "4.2 %", "tolerance": 0.1, "response": "\\boxed{4.3}"},
    {"problem_id": "b", "draw": 1, "gold": "4.2 %", "tolerance": 0.1, "response": "no idea"},
]


def test_both_graders_reach_the_scores(tmp_path: Path) -> None:
    folder = tmp_path / "base/tiny"
    generations, grades = write_generations(folder, ROWS), folder / "grades/b.parquet"
    grade_file(generations, grades, progress=False)
    assert pandas.read_parquet(grades)["correct"].tolist() == [True, False, True, False]
    add_verdicts(generations, grades, "paper", progress=False)
    table = pandas.read_parquet(grades)
    assert table["paper_correct"].tolist() == [True, False, False, False]  # it knows no tolerance
    assert table["paper_outcome"].tolist() == ["correct", "wrong", "wrong", "unparsable"]
    assert table["correct"].tolist() == [True, False, True, False]
    scores = score_table(problem_table(read_grades(tmp_path), [1])).set_index("metric")["value"]
    assert (scores["avg@2"], scores["avg@2 (paper grader)"]) == (0.5, 0.25)


def test_grades_of_one_grader_stay_without_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "base/tiny"
    for name in ("b", "c"):
        grade_file(write_generations(folder, ROWS, name), folder / f"grades/{name}.parquet", progress=False)
    add_verdicts(folder / "generations/c.jsonl.zst", folder / "grades/c.parquet", "paper", progress=False)
    scores = score_table(problem_table(read_grades(tmp_path), [1]))
    assert scores.loc[scores["metric"] == "avg@2 (paper grader)", "benchmark"].tolist() == ["c"]


def test_benchmarks_with_other_numbers_of_draws_share_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "base/tiny"
    for name, draws in (("b", 2), ("c", 1)):
        rows = [row for row in ROWS if row["draw"] < draws]
        grade_file(write_generations(folder, rows, name), folder / f"grades/{name}.parquet", progress=False)
    scores = score_table(problem_table(read_grades(tmp_path), [1])).set_index(["benchmark", "metric"])["value"]
    assert scores["b", "avg@n"] == 0.5
    assert scores["c", "avg@n"] == 1.0


def test_verdicts_that_are_there_are_replaced(tmp_path: Path) -> None:
    generations, grades = write_generations(tmp_path, ROWS), tmp_path / "grades/b.parquet"
    grade_file(generations, grades, progress=False)
    add_verdicts(generations, grades, "paper", progress=False)
    once = pandas.read_parquet(grades)
    add_verdicts(generations, grades, "paper", progress=False)
    pandas.testing.assert_frame_equal(pandas.read_parquet(grades), once)


def test_an_unknown_grader_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"entrobench grade --also: unknown grader 'papr' .*did you mean 'paper'"):
        add_verdicts(tmp_path / "g", tmp_path / "h", "papr", progress=False)
