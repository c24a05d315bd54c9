from __future__ import annotations

import json

import numpy
import pandas
import pytest
from synthetic_results import make_audit

from entrobench.errors import InputError
from entrobench.evaluation.statistics.analysis import analyse, baseline_of, make_board
from entrobench.evaluation.statistics.intervals import holm, pooled_t

AUDIT = make_audit()
CELLS = [("small", "easy"), ("small", "hard"), ("large", "easy")]
BENCHMARKS = {"first": ["a", "b", "c"], "second": ["c", "d"]}


def problem_scores(seeds: int = 5, effect: float = 0.1, methods: tuple[str, ...] = ("grpo", "new")) -> pandas.DataFrame:
    rng = numpy.random.default_rng(0)
    rows = [
        (model, dataset, method, seed, benchmark, problem, rng.uniform(0.3, 0.4) + effect * (method == "new"))
        for model, dataset in CELLS
        for method in methods
        for seed in range(seeds)
        for benchmark, problems in BENCHMARKS.items()
        for problem in problems
    ]
    columns = ["model", "dataset", "method", "seed", "benchmark", "problem_id", "avg"]
    return pandas.DataFrame(rows, columns=columns).sample(frac=1, random_state=1)


def comparison(result: dict, **where: object) -> dict:
    """The one comparison whose scope (and cell or benchmark) is as given."""
    found = [row for row in result["comparisons"] if all(row[key] == value for key, value in where.items())]
    assert len(found) == 1
    return found[0]


def score(problems: pandas.DataFrame, method: str, cell: tuple[str, str], seed: int) -> float:
    rows = problems[(problems["method"] == method) & (problems["seed"] == seed)]
    rows = rows[(rows["model"] == cell[0]) & (rows["dataset"] == cell[1])]
    return float(numpy.mean([rows[rows["benchmark"] == name]["avg"].mean() for name in BENCHMARKS]))


def test_the_study_wide_difference_is_the_pooled_t_of_seed_differences() -> None:
    problems = problem_scores()
    row = comparison(analyse(problems, "avg", ["grpo", "new"], AUDIT, replicates=500), scope="study")
    by_cell = [
        [score(problems, "new", cell, seed) - score(problems, "grpo", cell, seed) for seed in range(5)]
        for cell in sorted(CELLS)
    ]
    expected = pooled_t(by_cell)
    assert row["differences"] == [pytest.approx(cell) for cell in by_cell]
    assert (row["difference"], row["lower"], row["upper"]) == pytest.approx(
        (expected.mean, expected.lower, expected.upper)
    )
    assert row["degrees"] == 3 * 4
    assert row["verdict"] == "better"
    assert row["improvement"] == 1.0
    assert row["bootstrap"][0] < row["difference"] < row["bootstrap"][1]


def test_every_cell_and_benchmark_is_compared_and_corrected_within_its_family() -> None:
    result = analyse(
        problem_scores(methods=("grpo", "new", "same")), "avg", ["grpo", "new", "same"], AUDIT, replicates=200
    )
    counts = pandas.DataFrame(result["comparisons"])["scope"].value_counts().to_dict()
    assert counts == {"study": 2, "benchmark": 4, "cell": 6, "cell-benchmark": 12}
    family = [row for row in result["comparisons"] if row["scope"] == "cell"]
    assert [row["p_holm"] for row in family] == pytest.approx(holm([row["p"] for row in family]))
    one = comparison(result, scope="cell-benchmark", method="same", model="large", dataset="easy", benchmark="second")
    assert one["cells"] == [["large", "easy"]]
    assert one["verdict"] == "no difference shown"


def test_too_few_seeds_has_no_verdict_but_an_interval_and_the_seeds() -> None:
    row = comparison(
        analyse(problem_scores(seeds=4, effect=0.5), "avg", ["grpo", "new"], AUDIT, replicates=100), scope="study"
    )
    assert row["verdict"] == "too few seeds"
    assert row["seeds"] == [[0, 1, 2, 3]] * 3
    assert row["lower"] > 0


def test_one_seed_has_no_interval() -> None:
    row = comparison(analyse(problem_scores(seeds=1), "avg", ["grpo", "new"], AUDIT, replicates=100), scope="study")
    assert (row["lower"], row["upper"], row["p"], row["p_holm"]) == (None, None, None, None)
    assert row["verdict"] == "too few seeds"


def test_only_seeds_of_both_methods_are_paired() -> None:
    problems = problem_scores()
    dropped = (problems["method"] == "new") & (problems["model"] == "large") & (problems["seed"] > 1)
    gone = (problems["method"] == "new") & (problems["dataset"] == "hard")
    row = comparison(analyse(problems[~dropped & ~gone], "avg", ["grpo", "new"], AUDIT, replicates=100), scope="study")
    assert row["cells"] == [["large", "easy"], ["small", "easy"]]
    assert row["seeds"] == [[0, 1], [0, 1, 2, 3, 4]]
    assert row["verdict"] == "too few seeds"


def test_the_same_seed_gives_the_same_statistics() -> None:
    first = analyse(problem_scores(), "avg", ["grpo", "new"], AUDIT, seed=3, replicates=300)
    again = analyse(problem_scores(), "avg", ["grpo", "new"], AUDIT, seed=3, replicates=300)
    other = analyse(problem_scores(), "avg", ["grpo", "new"], AUDIT, seed=4, replicates=300)
    assert json.dumps(first) == json.dumps(again)
    assert first["comparisons"][0]["bootstrap"] != other["comparisons"][0]["bootstrap"]
    assert first["comparisons"][0]["lower"] == other["comparisons"][0]["lower"]


def test_no_verdict_without_an_audit_that_admits_the_interval() -> None:
    for audit in (None, make_audit(wrong=0.08)):
        row = comparison(analyse(problem_scores(), "avg", ["grpo", "new"], audit, replicates=100), scope="study")
        assert row["p_holm"] < 0.001
        assert row["verdict"] == "no audited interval"


def test_the_result_cites_what_the_audit_measured() -> None:
    cited = analyse(problem_scores(seeds=3), "avg", ["grpo", "new"], AUDIT, replicates=100)["audit"]
    assert (cited["primary"], cited["admits_primary"], cited["sha256"]) == ("paired t", True, "ab" * 32)
    expected = {"seeds": 2, "cells": 1, "false_positives": 0.05, "coverage": 0.95, "simulations": 1000}
    assert cited["measured"]["paired t"] == pytest.approx(expected)
    assert analyse(problem_scores(), "avg", ["grpo", "new"], None, replicates=100)["audit"] is None


def test_aggregates_are_means_over_cells_and_benchmarks() -> None:
    problems = problem_scores()
    aggregates = analyse(problems, "avg", ["grpo", "new"], AUDIT, replicates=300)["aggregates"]
    for row, method in zip(aggregates, ["grpo", "new"], strict=True):
        every = numpy.mean([score(problems, method, cell, seed) for cell in CELLS for seed in range(5)])
        assert row["mean"] == pytest.approx(every)
        assert row["lower"] < row["interquartile_mean"] < row["upper"]
        assert row["runs"] == 15
        by_seed = [numpy.mean([score(problems, method, cell, seed) for cell in CELLS]) for seed in range(5)]
        assert row["seed_means"] == pytest.approx(by_seed)
        interval = pooled_t([[score(problems, method, cell, seed) for seed in range(5)] for cell in CELLS])
        assert (row["mean_lower"], row["mean_upper"]) == pytest.approx((interval.lower, interval.upper))


def test_the_baseline_is_grpo_or_else_the_first_method() -> None:
    assert baseline_of(["aent", "grpo"]) == "grpo"
    assert baseline_of(["aent", "siren"]) == "aent"


def test_runs_graded_on_different_problems_are_refused() -> None:
    problems = problem_scores()
    missing = (problems["method"] == "new") & (problems["seed"] == 2) & (problems["problem_id"] == "d")
    with pytest.raises(InputError, match="second: run large/easy/new/2 lacks problems that other runs have"):
        make_board(problems[~missing], "avg")
