"""The parts shared with rliable (arXiv 2108.13264), the t interval and Holm, against other ways to the same number.

The oracles are written from the published definitions: interquartile mean = mean of the middle 50 % of all runs x
tasks; stratified bootstrap = runs resampled with replacement within each task, percentile interval; probability of
improvement = Mann-Whitney's P(X > Y) + P(X = Y) / 2, averaged over tasks. They enumerate what ours samples.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import chain, combinations, product

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from entrobench.evaluation.statistics.intervals import (
    holm,
    improvement_samples,
    interquartile_mean,
    interquartile_mean_samples,
    percentile_interval,
    pooled_t,
    resample_counts,
    win_matrix,
)

OURS = [[0.62, 0.58, 0.71], [0.33, 0.41, 0.29]]  # tasks x runs
THEIRS = [[0.55, 0.62, 0.50], [0.35, 0.30, 0.29]]


def middle_half(values: list[float]) -> float:
    """By the definition: sort, drop a quarter (rounded down) at either end, average the rest."""
    kept = sorted(values)[len(values) // 4 :]
    kept = kept[: len(values) - 2 * (len(values) // 4)]
    return float(sum(map(Fraction, kept)) / len(kept))


def improvement(ours: tuple[float, ...] | list[float], theirs: tuple[float, ...] | list[float]) -> float:
    wins = sum(Fraction(x > y) + Fraction(x == y, 2) for x in ours for y in theirs)
    return float(wins / (len(ours) * len(theirs)))


def resamples(runs: list[float]) -> list[tuple[float, ...]]:
    """All equally likely bootstrap samples of a task."""
    return list(product(runs, repeat=len(runs)))


def test_interquartile_mean_on_fixed_numbers() -> None:
    values = [0.62, 0.58, 0.71, 0.33, 0.41, 0.29, 0.9, 0.05]
    assert interquartile_mean(values) == pytest.approx((0.33 + 0.41 + 0.58 + 0.62) / 4)
    assert interquartile_mean([OURS[0], OURS[1]]) == pytest.approx((0.33 + 0.41 + 0.58 + 0.62) / 4)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_interquartile_mean_is_the_trimmed_mean(values: list[float]) -> None:
    assert interquartile_mean(values) == pytest.approx(middle_half(values), abs=1e-12)
    assert interquartile_mean(values) == pytest.approx(float(stats.trim_mean(values, 0.25)), abs=1e-12)


def test_stratified_bootstrap_on_fixed_numbers() -> None:
    exact = numpy.array([middle_half([*a, *b]) for a, b in product(*map(resamples, OURS))])
    assert exact.size == 27 * 27
    sampled = interquartile_mean_samples(OURS, numpy.random.default_rng(0), 100_000)
    assert set(numpy.round(sampled, 9)) == set(numpy.round(exact, 9))
    assert sampled.mean() == pytest.approx(exact.mean(), abs=5 * exact.std() / 100_000**0.5)
    for level in (0.8, 0.9, 0.95):  # a percentile lies on or beside an atom of the exact distribution
        for bound, rank in zip(percentile_interval(sampled, level), ((1 - level) / 2, (1 + level) / 2), strict=True):
            near = numpy.quantile(exact, [rank - 0.003, rank + 0.003])
            assert near[0] - 1e-9 <= bound <= near[1] + 1e-9


def test_probability_of_improvement_on_fixed_numbers() -> None:
    by_task = [improvement(x, y) for x, y in zip(OURS, THEIRS, strict=True)]
    assert by_task == pytest.approx([7.5 / 9, 5.5 / 9])
    assert [win_matrix(x, y).mean() for x, y in zip(OURS, THEIRS, strict=True)] == pytest.approx(by_task)


def test_bootstrap_of_the_probability_of_improvement_on_fixed_numbers() -> None:
    exact = [improvement(x, y) for x, y in product(resamples(OURS[0]), resamples(THEIRS[0]))]
    rng = numpy.random.default_rng(1)
    counts = resample_counts(3, 100_000, rng), resample_counts(3, 100_000, rng)
    sampled = improvement_samples(win_matrix(OURS[0], THEIRS[0]), *counts)
    assert sampled.mean() == pytest.approx(numpy.mean(exact), abs=0.003)
    assert percentile_interval(sampled) == pytest.approx(tuple(numpy.quantile(exact, [0.025, 0.975])), abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p: list[float]) -> None:
    """The adjusted p of i is the largest Bonferroni p, |S| min(S), of all subsets S of hypotheses that hold i."""
    subsets = list(chain.from_iterable(combinations(range(len(p)), size) for size in range(1, len(p) + 1)))
    expected = [min(1.0, max(len(s) * min(p[j] for j in s) for s in subsets if i in s)) for i in range(len(p))]
    assert holm(p) == pytest.approx(expected)


@given(st.lists(st.lists(st.integers(-50, 50), min_size=2, max_size=5), min_size=1, max_size=4))
def test_pooled_t_is_least_squares_on_cell_means(cells: list[list[int]]) -> None:
    """The mean of the cells' coefficients in the regression on cell indicators, its covariance and its t quantile."""
    y = numpy.concatenate(cells) / 100
    design = numpy.zeros((y.size, len(cells)))
    design[numpy.arange(y.size), numpy.repeat(range(len(cells)), [len(cell) for cell in cells])] = 1
    coefficients, *_ = numpy.linalg.lstsq(design, y, rcond=None)
    degrees = y.size - len(cells)
    variance = ((y - design @ coefficients) ** 2).sum() / degrees
    contrast = numpy.full(len(cells), 1 / len(cells))
    error = float(numpy.sqrt(variance * contrast @ numpy.linalg.inv(design.T @ design) @ contrast))
    interval = pooled_t([numpy.asarray(cell) / 100 for cell in cells])
    assert interval.degrees == degrees
    assert interval.mean == pytest.approx(float(contrast @ coefficients), abs=1e-12)
    assert interval.standard_error == pytest.approx(error, abs=1e-12)
    assert interval.upper == pytest.approx(interval.mean + float(stats.t.ppf(0.975, degrees)) * error, abs=1e-9)
    if error > 1e-9:
        assert interval.p == pytest.approx(2 * float(stats.t.sf(abs(interval.mean) / error, degrees)), rel=1e-6)
