from __future__ import annotations

import numpy
import pytest
from synthetic_results import make_audit, make_study

from entrobench.evaluation.statistics.analysis import Declared, analyse
from entrobench.evaluation.statistics.pairs import all_pairs
from entrobench.evaluation.statistics.scores import problem_table, read_grades


def test_pairs_agree_with_the_comparison_and_with_each_other(tmp_path) -> None:
    """With the baseline as the second method it is the study's own comparison; turned round, all signs turn."""
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.6, "x": 0.55}, datasets=["d", "e"], seeds=range(3), problems=8)
    problems = problem_table(read_grades(study.results), [1])
    methods = ["grpo", "aent", "x"]
    found = {(pair.first, pair.second): pair.interval for pair in all_pairs(problems, "avg", methods)}
    assert len(found) == 6
    statistics = analyse(problems, Declared({"avg": "avg@8"}, methods), make_audit(), replicates=10)
    for row in (row for row in statistics["comparisons"] if row["scope"] == "study"):
        own = found[row["method"], "grpo"]
        expected = (row["difference"], row["lower"], row["upper"], row["p"])
        assert (own.mean, own.lower, own.upper, own.p) == pytest.approx(expected)
    for first, second in (("aent", "x"), ("grpo", "x")):
        assert numpy.isclose(found[first, second].mean, -found[second, first].mean)
        assert numpy.isclose(found[first, second].lower, -found[second, first].upper)
