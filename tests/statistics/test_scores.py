from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_results import make_study

from entrobench.errors import InputError
from entrobench.evaluation.grading.grader import OUTCOMES
from entrobench.evaluation.statistics.board import make_board
from entrobench.evaluation.statistics.scores import (
    COLUMNS,
    carrying,
    noisy_pass_k,
    pass_at_k,
    problem_column,
    problem_table,
    read_grades,
    score_table,
)
from entrobench.evaluation.statistics.votes import groups_of


def grades_of(
    answers: list[tuple[str | None, bool]], problem: str = "a", outcome: str | None = None
) -> pandas.DataFrame:
    """Grades of one problem of one run from (prediction, correct) pairs; no prediction means unparsable."""
    rows = []
    for draw, (prediction, correct) in enumerate(answers):
        parsed = "correct" if correct else ("unparsable" if prediction is None else "wrong")
        rows.append(
            ("m", "d", "grpo", 0, "b", problem, draw, correct, outcome or parsed, prediction, 10 + draw, draw == 0)
        )
    columns = ["model", "dataset", "method", "seed", "benchmark", *COLUMNS]
    return pandas.DataFrame(rows, columns=columns).assign(snapshot=0)


def only_problem(answers: list[tuple[str | None, bool]], **options: str) -> pandas.Series:
    return problem_table(grades_of(answers, **options), [1]).iloc[0]


def test_majority_takes_the_most_frequent_prediction() -> None:
    assert only_problem([("3", True), ("3", True), ("5", False)])["maj"] == 1.0
    assert only_problem([("3", True), ("5", False), ("5", False)])["maj"] == 0.0


def test_equal_values_are_one_vote() -> None:
    half = [("1/2", True), ("0.5", True), ("\\frac{1}{2}", True)]
    assert only_problem([*half, ("3", False), ("3", False)])["maj"] == 1.0
    wrong = [("\\sqrt{8}", False), ("2\\sqrt{2}", False), ("7", True)]  # equal, as only algebra can say
    assert only_problem(wrong)["maj"] == 0.0


def test_answers_are_grouped_whatever_their_order() -> None:
    answers = ["0.5", "2", "\\frac12", "1/2", "2.0", "x"]
    found = groups_of(answers, {"0.5", "1/2"})
    assert found == groups_of(answers[::-1], {"0.5", "1/2"})
    assert {a for a in answers if found[a] == found["0.5"]} == {"0.5", "1/2", "\\frac12"}
    assert {a for a in answers if found[a] == found["2"]} == {"2", "2.0"}


def test_majority_breaks_ties_by_expectation() -> None:
    assert only_problem([("3", True), ("5", False)])["maj"] == 0.5
    assert only_problem([("3", True), ("5", False), ("7", False)])["maj"] == pytest.approx(1 / 3)
    assert only_problem([("3", True), ("3", True), ("5", False), ("5", False), ("7", False)])["maj"] == 0.5


def test_unparsable_answers_do_not_vote() -> None:
    assert only_problem([("3", True), (None, False), (None, False), (None, False)])["maj"] == 1.0
    assert only_problem([(None, False), (None, False)])["maj"] == 0.0
    assert only_problem([("3", False), ("3", False)], outcome="unparsable")["maj"] == 0.0
    assert only_problem([("", False), ("", False), ("3", True)])["maj"] == 1.0


def test_timeouts_vote_as_the_answer_they_gave() -> None:
    assert only_problem([("9", False), ("9", False), ("3", True)], outcome="timeout")["maj"] == 0.0


@pytest.mark.filterwarnings("ignore:pass@")
@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=9))
def test_majority_equals_counting_by_hand_and_ignores_order(predictions: list[str | None]) -> None:
    judged = [(prediction, prediction == "1") for prediction in predictions]
    counts = {name: predictions.count(name) for name in "123"}
    winners = [name for name in counts if counts[name] == max(counts.values()) > 0]
    expected = winners.count("1") / len(winners) if winners else 0.0
    assert only_problem(judged)["maj"] == pytest.approx(expected)
    assert only_problem(judged[::-1])["maj"] == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:pass@")
@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_equals_the_share_of_subsets_with_a_correct_draw(case: tuple[int, int, int]) -> None:
    n, correct, k = case
    subsets = list(combinations([True] * correct + [False] * (n - correct), k))
    assert pass_at_k(correct, n, k) == pytest.approx(numpy.mean([any(subset) for subset in subsets]))


@pytest.mark.parametrize(
    ("metrics", "warned"),
    [
        (["avg@6", "pass@2", "pass@4"], ["pass@4 from 6 draws is noisy: 8 or more are recommended"]),
        (["avg@4", "avg@4 (paper grader)", "pass@2", "length"], []),
        (["avg@n", "avg@n (paper grader)", "pass@2"], []),  # benchmarks with different numbers of draws
    ],
)
def test_what_is_said_of_noisy_pass_k(metrics: list[str], warned: list[str]) -> None:
    assert noisy_pass_k(pandas.DataFrame({"metric": metrics})) == warned


def test_pass_at_k_refuses_and_warns() -> None:
    with pytest.raises(InputError, match="pass@9 needs at least 9 draws per problem, the grades have 8"):
        pass_at_k([1, 2], [8, 8], 9)
    with pytest.warns(UserWarning, match="pass@5 from 8 draws is noisy: 10 or more"):
        pass_at_k([1, 2], [8, 8], 5)


def test_problem_table_counts() -> None:
    row = only_problem([("3", True), ("5", False), (None, False), ("5", False)])
    assert (row["n"], row["avg"], row["pass@1"]) == (4, 0.25, pytest.approx(0.25))
    assert (row["length"], row["truncated"]) == (11.5, 0.25)
    assert [row[f"outcome_{name}"] for name in OUTCOMES] == [0.25, 0.5, 0.25, 0.0, 0.0]


def test_scores_are_means_over_problems_with_n_in_the_name() -> None:
    one = grades_of([("3", True), ("3", True), ("4", False), ("3", True)])
    two = grades_of([("3", False), ("4", True), ("3", False), ("3", False)], problem="b")
    scores = score_table(problem_table(pandas.concat([one, two]), [2])).set_index("metric")["value"]
    assert scores["avg@4"] == 0.5
    assert scores["maj@4"] == 0.5
    assert scores["pass@2"] == pytest.approx((1.0 + 0.5) / 2)


def test_grades_of_runs_and_base_models_are_scored(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.6, "aent": 0.6}, benchmarks=["b1", "b2"], seeds=(0, 3), problems=5)
    scores = score_table(problem_table(read_grades(study.results), [1, 2, 4]))
    assert list(scores.columns) == ["model", "dataset", "method", "seed", "benchmark", "metric", "value"]
    assert not scores.duplicated(list(scores.columns[:-1])).any()
    assert set(scores["metric"]) == {
        *("avg@8", "maj@8", "pass@1", "pass@2", "pass@4", "length", "truncated"),
        *(f"outcome_{name}" for name in OUTCOMES),
    }
    base = scores[scores["method"] == "base"]
    assert set(base["dataset"]) == {"none"}
    assert set(base["seed"]) == {0}
    assert set(scores[scores["method"] == "aent"]["seed"]) == {0, 3}
    wide = scores.pivot(index=["model", "dataset", "method", "seed", "benchmark"], columns="metric", values="value")
    assert numpy.allclose(wide["avg@8"], wide["outcome_correct"])
    assert numpy.allclose(wide["avg@8"], wide["pass@1"])
    assert numpy.allclose(wide[[f"outcome_{name}" for name in OUTCOMES]].sum(axis=1), 1.0)
    assert (wide["pass@4"] >= wide["pass@2"]).all()


def test_unequal_draws_are_refused(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.6}, seeds=(0,), problems=3)
    file = study.runs[0].folder / "grades" / "chain2-test.parquet"
    pandas.read_parquet(file).iloc[1:].to_parquet(file)
    with pytest.raises(InputError, match=r"chain2-test.parquet: every problem needs the same number.*found 7 to 8"):
        read_grades(study.results)


def test_a_folder_without_grades_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no grades below runs/ or base/"):
        read_grades(tmp_path)


def test_problem_column_names_the_allowed_metrics() -> None:
    columns = ["avg", "maj", "pass@4", "length"]
    assert problem_column("avg@n", columns, "x") == "avg"
    assert problem_column("maj@8", columns, "x") == "maj"
    assert problem_column("pass@4", columns, "x") == "pass@4"
    with pytest.raises(InputError, match=r"s.yaml: primary 'pass@3' is no metric .*avg@n, maj@n, pass@4"):
        problem_column("pass@3", columns, "s.yaml")


def test_each_benchmark_has_its_own_k_and_a_metric_is_averaged_over_those_that_have_it() -> None:
    few, many = [("7", True), ("8", False)], [("7", draw < 2) for draw in range(8)]
    grades = pandas.concat([grades_of(few), grades_of(many).assign(benchmark="b@far")])
    problems = problem_table(grades, {"b": [1], "b@far": [1, 4]})
    far = 1 - (6 * 5 * 4 * 3) / (8 * 7 * 6 * 5)  # 1 - C(6, 4) / C(8, 4)
    assert problems["pass@4"].tolist() == pytest.approx([math.nan, far], nan_ok=True)
    assert carrying(problems, "avg") == carrying(problems, "pass@1") == ["b"], "a task asked again stands beside it"
    assert carrying(problems, "pass@4") == ["b@far"], "unless nothing else has the metric"
    metrics = score_table(problems).groupby("benchmark")["metric"].apply(set)
    assert metrics["b@far"] - metrics["b"] == {"pass@4"}
    assert make_board(problems, "pass@4").means["b@far"] == pytest.approx([far])


def test_where_snapshots_count_a_score_is_their_mean_and_its_noise_that_of_a_mean() -> None:
    """By hand: shares 1/2 and 1/4 of 4 draws; a share varies by p(1 - p)/3, the mean of two by a quarter of the sum."""
    parts = [
        grades_of([("7", draw < right) for draw in range(4)]).assign(snapshot=place)
        for place, right in enumerate((2, 1))
    ]
    problems = problem_table(pandas.concat(parts), [1])
    board = make_board(problems, "avg")
    assert board.means["b"] == pytest.approx([0.375])
    assert board.drawing["b"] == pytest.approx([(0.25 / 3 + 0.1875 / 3) / 4])
    assert score_table(problems).set_index("metric").loc["avg@4", "value"] == pytest.approx(0.375)
