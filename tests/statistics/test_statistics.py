from __future__ import annotations

import math
import warnings

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from entrobench.evaluation.statistics.intervals import (
    CrossedBootstrap,
    comparison_verdict,
    holm,
    improvement_samples,
    interquartile_mean,
    interquartile_mean_samples,
    percentile_interval,
    pooled_t,
    resample_counts,
    win_matrix,
)

values = st.floats(-1, 1).map(lambda value: round(value, 4))


def test_pooled_t_by_hand() -> None:
    # cell means 2 and 5; squared deviations 2 and 8; pooled variance 10 / 4; s.e. = sqrt(2.5 (1/3 + 1/3)) / 2
    interval = pooled_t([[1, 2, 3], [3, 5, 7]])
    assert (interval.mean, interval.degrees) == (3.5, 4)
    assert interval.standard_error == pytest.approx(math.sqrt(2.5 * 2 / 3) / 2)
    assert interval.upper - interval.mean == pytest.approx(2.7764451052 * 0.6454972244)
    assert interval.lower == pytest.approx(interval.mean - (interval.upper - interval.mean))


def test_pooled_t_with_unequal_cells_by_hand() -> None:
    # squared deviations 2 and 8 with 2 + 1 degrees of freedom
    interval = pooled_t([[1, 2, 3], [3, 7]])
    assert (interval.mean, interval.degrees) == (3.5, 3)
    assert interval.standard_error == pytest.approx(math.sqrt(10 / 3 * (1 / 3 + 1 / 2)) / 2)


@given(arrays(float, st.integers(2, 8), elements=values))
def test_one_cell_is_scipys_paired_t_test(differences: numpy.ndarray) -> None:
    interval = pooled_t([differences])
    if differences.std() < 1e-6:
        return
    oracle = stats.ttest_rel(differences + 0.5, numpy.full(differences.size, 0.5))
    assert interval.p == pytest.approx(oracle.pvalue, rel=1e-6)
    low, high = oracle.confidence_interval(0.95)
    assert (interval.lower, interval.upper) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_has_no_interval() -> None:
    interval = pooled_t([[0.3], [0.5]])
    assert (interval.mean, interval.lower, interval.upper, interval.p) == (0.4, None, None, None)


def test_differences_without_spread() -> None:
    assert pooled_t([[0.0, 0.0, 0.0]]).p == 1.0
    assert pooled_t([[0.25, 0.25, 0.25]]).p == 0.0


@given(arrays(float, (3, 5), elements=values), st.floats(-0.5, 0.5))
def test_pooled_t_moves_with_the_data_and_ignores_order(cells: numpy.ndarray, shift: float) -> None:
    interval, moved = pooled_t(list(cells)), pooled_t(list(cells + shift))
    assert moved.mean == pytest.approx(interval.mean + shift, abs=1e-12)
    assert moved.standard_error == pytest.approx(interval.standard_error, abs=1e-9)
    mirrored = pooled_t(list(-cells[::-1, ::-1]))
    assert mirrored.lower == pytest.approx(-interval.upper, abs=1e-12)


def test_holm_by_hand() -> None:
    # 0.01·4, max(0.04, 0.02·3), max(0.06, 0.03·2), max(0.06, 0.5·1)
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(raw <= value <= min(1, raw * len(p)) + 1e-12 for raw, value in zip(p, adjusted, strict=True))
    assert numpy.all(numpy.diff(numpy.asarray(adjusted)[numpy.argsort(p, kind="stable")]) >= 0)


def test_verdicts() -> None:
    better, worse = pooled_t([[0.1, 0.11, 0.09, 0.1, 0.1]]), pooled_t([[-0.1, -0.11, -0.09, -0.1, -0.1]])
    assert comparison_verdict(better, better.p, 5, True) == "better"
    assert comparison_verdict(worse, worse.p, 5, True) == "worse"
    assert comparison_verdict(better, 0.2, 5, True) == "no difference shown"
    assert comparison_verdict(better, better.p, 4, True) == "too few seeds"
    assert comparison_verdict(pooled_t([[0.4]]), None, 1, True) == "too few seeds"
    assert comparison_verdict(better, better.p, 5, False) == "no audited interval"
    assert comparison_verdict(better, better.p, 4, False) == "too few seeds"


def test_interquartile_mean_by_hand() -> None:
    assert interquartile_mean([100, 1, 2, 3, 4, 5, 6, -100]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean([1.0]) == 1.0
    assert interquartile_mean([[1, 2], [3, 90]]) == 2.5


def test_the_bootstrap_of_the_interquartile_mean_resamples_within_tasks() -> None:
    rng = numpy.random.default_rng(0)
    assert interquartile_mean_samples([[0.2, 0.2], [0.6, 0.6]], rng, 200) == pytest.approx(0.4)
    low, high = percentile_interval(interquartile_mean_samples([rng.normal(0.5, 0.1, 8) for _ in range(4)], rng, 2000))
    assert low < 0.5 < high
    assert 0.02 < high - low < 0.2


def test_probability_of_improvement_by_hand() -> None:
    # wins of (2, 3) over (1, 2): 1, 1/2, 1, 1
    assert win_matrix([2, 3], [1, 2]).mean() == pytest.approx(3.5 / 4)


@given(arrays(float, st.integers(1, 7), elements=values), arrays(float, st.integers(1, 7), elements=values))
def test_probability_of_improvement_is_mann_whitneys_u(ours: numpy.ndarray, theirs: numpy.ndarray) -> None:
    wins = win_matrix(ours, theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = stats.mannwhitneyu(ours, theirs).statistic
    assert wins.sum() == pytest.approx(oracle)
    assert wins.mean() + win_matrix(theirs, ours).mean() == pytest.approx(1)


def test_improvement_samples_equal_explicit_resampling() -> None:
    rng = numpy.random.default_rng(3)
    x, y = numpy.array([0.1, 0.5, 0.4]), numpy.array([0.2, 0.4, 0.3])
    ours, theirs = resample_counts(3, 20, rng), resample_counts(3, 20, rng)
    fast = improvement_samples(win_matrix(x, y), ours, theirs)
    for row, u, v in zip(fast, ours.astype(int), theirs.astype(int), strict=True):
        assert row == pytest.approx(win_matrix(numpy.repeat(x, u), numpy.repeat(y, v)).mean())


def test_resampled_problems_move_together_and_keep_sizes() -> None:
    items = {"small": ["a", "b"], "large": ["b", "c", "d", "a"]}
    bootstrap = CrossedBootstrap(items, numpy.random.default_rng(0), 50)
    counts = dict(zip("abcd", bootstrap.counts[:, [0, 1, 2, 3]].T, strict=True))
    assert (counts["a"] + counts["b"] == 2).all()
    assert (counts["c"] + counts["d"] == 2).all()
    scores = numpy.array([[1.0, 0.0, 0.0, 0.5]])
    expected = (counts["b"] + 0.5 * counts["a"]) / 4
    assert numpy.allclose(bootstrap.run_scores("large", scores)[:, 0], expected)
    assert numpy.allclose(bootstrap.run_scores("small", numpy.array([[1.0, 0.0]]))[:, 0], counts["a"] / 2)


def test_resampling_problems_has_the_standard_error_of_the_mean() -> None:
    rng = numpy.random.default_rng(5)
    scores = rng.random((1, 400))
    bootstrap = CrossedBootstrap({"b": [str(i) for i in range(400)]}, rng, 4000)
    resampled = bootstrap.run_scores("b", scores)[:, 0]
    assert resampled.mean() == pytest.approx(scores.mean(), abs=0.002)
    assert resampled.std() == pytest.approx(scores.std() / 20, rel=0.05)


def simulate(seeds: int, effect: float, repeats: int) -> tuple[float, float, float]:
    """Rates of wrong primary intervals, wrong percentile intervals, and 'better', over simulated studies of 4 cells."""
    rng = numpy.random.default_rng(seeds)
    wrong, narrow, better = 0, 0, 0
    counts = resample_counts(seeds, 400, rng)
    for _ in range(repeats):
        cells = effect + rng.normal(0, 0.02, (4, seeds)) - rng.normal(0, 0.02, (4, seeds))
        interval = pooled_t(list(cells))
        low, high = percentile_interval(counts @ cells[0] / seeds)
        wrong += not interval.lower <= effect <= interval.upper
        narrow += not low <= effect <= high
        better += comparison_verdict(interval, interval.p, seeds, True) == "better"
    return wrong / repeats, narrow / repeats, better / repeats


def test_the_primary_interval_is_wrong_five_percent_of_the_time() -> None:
    wrong, narrow, better = simulate(seeds=5, effect=0.0, repeats=2000)
    assert wrong == pytest.approx(0.05, abs=0.015)  # three standard errors of 2,000 repeats
    assert better == pytest.approx(0.025, abs=0.0105)
    assert narrow > 0.10  # why the percentile bootstrap gives no verdict
    assert simulate(seeds=5, effect=0.05, repeats=300)[2] > 0.9
