"""The variance of drawing answers against the exact one of a binomial count, summed over all counts."""

from __future__ import annotations

import math

import numpy
import pytest

from entrobench.evaluation.statistics.drawing import drawing_variance, score_variance
from entrobench.evaluation.statistics.scores import pass_at_k


@pytest.mark.parametrize(("draws", "k"), [(8, 1), (8, 2), (8, 4), (16, 4), (128, 64)])
@pytest.mark.parametrize("chance", [0.0, 0.03, 0.4, 1.0])
def test_the_estimate_is_unbiased(draws: int, k: int, chance: float) -> None:
    counts = numpy.arange(draws + 1)
    likely = numpy.array([math.comb(draws, c) * chance**c * (1 - chance) ** (draws - c) for c in range(draws + 1)])
    values = pass_at_k(counts, numpy.full(draws + 1, draws), k)
    exact = (likely * values**2).sum() - (likely * values).sum() ** 2
    assert (likely * drawing_variance(counts, draws, k)).sum() == pytest.approx(exact, abs=1e-12)


def test_of_avg_it_is_the_textbook_formula() -> None:
    averages = numpy.array([[0.25, 0.5, 1.0]])
    expected = (0.25 * 0.75 / 7 + 0.5 * 0.5 / 7) / 9
    assert score_variance(averages, averages, 8, "avg") == pytest.approx([expected])
    assert score_variance(averages, averages, 8, "pass@1") == pytest.approx([expected])


def test_where_no_estimate_exists_it_is_a_bound() -> None:
    scores = numpy.array([[0.25, 0.5, 1.0]])
    mean = 1.75 / 3
    for metric, draws in (("maj", 8), ("pass@8", 8), ("avg", 1), ("pass@8 (chain)", 8)):
        assert score_variance(scores, scores, draws, metric) == pytest.approx([mean * (1 - mean) / 3])
