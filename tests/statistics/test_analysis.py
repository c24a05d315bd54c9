from __future__ import annotations

import json

import numpy
import pandas
import pytest
from synthetic_results import make_audit

from entrobench.errors import InputError
from entrobench.evaluation.statistics.analysis import Declared, analyse
from entrobench.evaluation.statistics.board import make_board
from entrobench.evaluation.statistics.intervals import holm, pooled_t
from entrobench.evaluation.statistics.power import seeds_for, smallest_detectable
from entrobench.studies.headline import baseline_of

AUDIT = make_audit()
DRAWS = 100_000  # so many that drawing answers makes no noise
BOTH = Declared({"avg": "avg@8"}, ["grpo", "new"])
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
    return (
        pandas.DataFrame(rows, columns=columns).assign(n=100_000, snapshot=0).sample(frac=1, random_state=1)
    )  # draws without noise


def comparison(result: dict, **where: object) -> dict:
    """The one comparison of avg@8 whose scope (and cell or benchmark) is as given."""
    where["metric"] = "avg@8"
    found = [row for row in result["comparisons"] if all(row[key] == value for key, value in where.items())]
    assert len(found) == 1
    return found[0]


def score(problems: pandas.DataFrame, method: str, cell: tuple[str, str], seed: int) -> float:
    rows = problems[(problems["method"] == method) & (problems["seed"] == seed)]
    rows = rows[(rows["model"] == cell[0]) & (rows["dataset"] == cell[1])]
    return float(numpy.mean([rows[rows["benchmark"] == name]["avg"].mean() for name in BENCHMARKS]))


def test_the_study_wide_difference_is_the_pooled_t_of_seed_differences() -> None:
    problems = problem_scores()
    row = comparison(analyse(problems, BOTH, AUDIT, replicates=500), scope="study")
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


def test_only_the_declared_family_carries_verdicts() -> None:
    problems = problem_scores(methods=("grpo", "new", "same")).assign(**{"pass@2": lambda rows: rows["avg"] + 0.1})
    declared = Declared({"avg": "avg@8", "pass@2": "pass@2"}, ["grpo", "new", "same"], detect=0.01)
    result = analyse(problems, declared, AUDIT, replicates=200)
    counts = pandas.DataFrame(result["comparisons"])[["metric", "scope"]].value_counts().to_dict()
    assert counts == {
        **{("avg@8", "study"): 2, ("pass@2", "study"): 2, ("avg@8", "benchmark"): 4},
        **{("avg@8", "cell"): 6, ("avg@8", "cell-benchmark"): 12},
    }
    family = [row for row in result["comparisons"] if row["scope"] == "study"]
    assert [row["p_holm"] for row in family] == pytest.approx(holm([row["p"] for row in family]))
    assert [row["verdict"] for row in family] == ["better", "no difference shown"] * 2
    for row in result["comparisons"]:
        if row["scope"] != "study":
            assert (row["verdict"], row["p_holm"], row["detectable"]) == ("descriptive", None, None)
    one = comparison(result, scope="cell-benchmark", method="same", model="large", dataset="easy", benchmark="second")
    assert one["cells"] == [["large", "easy"]]
    error, degrees = family[0]["standard_error"], family[0]["degrees"]
    assert family[0]["detectable"] == pytest.approx(smallest_detectable(error, degrees, tests=4))
    assert family[0]["seeds_needed"] == seeds_for(0.01, error, degrees, 5, tests=4)


def test_the_a_a_arm_is_shown_and_judged_by_nobody() -> None:
    problems = problem_scores(methods=("grpo", "new", "again"))
    arms = ["grpo", "new", "again"]
    with_arm = analyse(problems, Declared({"avg": "avg@8"}, arms, a_a_arm="again"), AUDIT, replicates=100)
    again, new = (comparison(with_arm, scope="study", method=name) for name in ("again", "new"))
    assert (again["verdict"], again["p_holm"], again["detectable"]) == ("A/A arm", None, None)
    assert again["lower"] < again["difference"] < again["upper"]
    assert new["p_holm"] == new["p"]  # the family is one comparison


def test_the_noise_comes_from_methods_and_seeds_within_cells() -> None:
    methods = ("grpo", "new", "same", "other")
    problems = problem_scores(methods=methods)
    result = analyse(problems, Declared({"avg": "avg@8"}, methods), AUDIT, replicates=100)
    row = comparison(result, scope="study", method="new")
    assert row["pooled"]
    assert row["degrees"] == 3 * (4 - 1) * (5 - 1)
    squares = 0.0
    for cell in CELLS:
        layout = numpy.asarray([[score(problems, method, cell, seed) for seed in range(5)] for method in methods])
        residual = layout - layout.mean(0) - layout.mean(1, keepdims=True) + layout.mean()
        squares += (residual**2).sum()
    assert row["standard_error"] == pytest.approx(numpy.sqrt(2 * squares / row["degrees"] / (3 * 5)))


def test_no_standard_error_is_below_the_noise_of_drawing_answers() -> None:
    problems = problem_scores(effect=0.0).assign(n=8)
    problems["avg"] = numpy.where(problems["method"] == "new", 0.50125, 0.5)  # five equal differences: no spread at all
    result = analyse(problems, BOTH, AUDIT, replicates=100)
    row = comparison(result, scope="study")
    # a run: mean over 2 benchmarks of 3 and 2 problems, each with variance avg(1 - avg)/7, counts rounded to 4 of 8
    one = (0.25 / 7 / 3 + 0.25 / 7 / 2) / 4
    assert row["standard_error"] == pytest.approx(numpy.sqrt(2 * one / (5 * 3)))
    assert row["standard_error"] == row["drawing_error"]
    assert row["p"] > 0.5
    assert row["verdict"] == "no difference shown"


def test_too_few_seeds_has_no_verdict_but_an_interval_and_the_seeds() -> None:
    row = comparison(
        analyse(problem_scores(seeds=4, effect=0.5), BOTH, AUDIT, replicates=100),
        scope="study",
    )
    assert row["verdict"] == "too few seeds"
    assert row["seeds"] == [[0, 1, 2, 3]] * 3
    assert row["lower"] > 0


def test_one_seed_has_no_interval() -> None:
    row = comparison(
        analyse(problem_scores(seeds=1), BOTH, AUDIT, replicates=100),
        scope="study",
    )
    assert (row["lower"], row["upper"], row["p"], row["p_holm"]) == (None, None, None, None)
    assert row["verdict"] == "too few seeds"


def test_only_seeds_of_both_methods_are_paired() -> None:
    problems = problem_scores()
    dropped = (problems["method"] == "new") & (problems["model"] == "large") & (problems["seed"] > 1)
    gone = (problems["method"] == "new") & (problems["dataset"] == "hard")
    row = comparison(
        analyse(problems[~dropped & ~gone], BOTH, AUDIT, replicates=100),
        scope="study",
    )
    assert row["cells"] == [["large", "easy"], ["small", "easy"]]
    assert row["seeds"] == [[0, 1], [0, 1, 2, 3, 4]]
    assert row["verdict"] == "too few seeds"


def test_the_same_seed_gives_the_same_statistics() -> None:
    first = analyse(problem_scores(), BOTH, AUDIT, seed=3, replicates=300)
    again = analyse(problem_scores(), BOTH, AUDIT, seed=3, replicates=300)
    other = analyse(problem_scores(), BOTH, AUDIT, seed=4, replicates=300)
    assert json.dumps(first) == json.dumps(again)
    assert first["comparisons"][0]["bootstrap"] != other["comparisons"][0]["bootstrap"]
    assert first["comparisons"][0]["lower"] == other["comparisons"][0]["lower"]


def test_no_verdict_without_an_audit_that_admits_the_interval() -> None:
    for audit in (None, make_audit(wrong=0.08)):
        row = comparison(analyse(problem_scores(), BOTH, audit, replicates=100), scope="study")
        assert row["p_holm"] < 0.001
        assert row["verdict"] == "no audited interval"


def test_the_result_cites_what_the_audit_measured() -> None:
    cited = analyse(problem_scores(seeds=3), BOTH, AUDIT, replicates=100)["audit"]
    assert (cited["primary"], cited["admits_primary"], cited["sha256"]) == ("paired t", True, "ab" * 32)
    expected = {"seeds": 2, "cells": 1, "false_positives": 0.05, "coverage": 0.95, "simulations": 1000}
    assert cited["measured"]["paired t"] == pytest.approx(expected)
    assert analyse(problem_scores(), BOTH, None, replicates=100)["audit"] is None


def test_aggregates_are_means_over_cells_and_benchmarks() -> None:
    problems = problem_scores()
    aggregates = analyse(problems, BOTH, AUDIT, replicates=300)["aggregates"]
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
