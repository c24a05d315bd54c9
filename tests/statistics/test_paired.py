"""The primary interval against the classical tests, by hand, and its check of equal spreads."""

from __future__ import annotations

import numpy
import pytest
from scipy import stats

from entrobench.evaluation.statistics.paired import other_residuals, paired_t


def test_two_methods_give_the_classical_paired_test() -> None:
    block = numpy.random.default_rng(0).normal(size=(2, 6))
    found = paired_t([block[1] - block[0]], [other_residuals(block, 1, 0)])
    oracle = stats.ttest_rel(block[1], block[0])
    low, high = oracle.confidence_interval(0.95)
    assert (found.p, found.lower, found.upper) == pytest.approx((oracle.pvalue, low, high))
    assert found.degrees == 5
    assert not found.pooled


def test_the_residuals_split_into_the_comparison_and_all_others() -> None:
    """Against an explicit basis of contrasts of four methods, orthogonal to (d - a)/√2."""
    block = numpy.random.default_rng(1).normal(size=(4, 7))
    squares, degrees = other_residuals(block, 3, 0)
    basis = numpy.array([[0, 1, -1, 0], [1, -1, -1, 1]]) / numpy.sqrt([[2], [4]])
    contrasts = basis @ block
    expected = ((contrasts - contrasts.mean(axis=1, keepdims=True)) ** 2).sum()
    assert squares == pytest.approx(expected)
    assert degrees == (4 - 2) * (7 - 1)


def test_noise_is_pooled_unless_the_compared_methods_vary_more() -> None:
    rng = numpy.random.default_rng(2)
    block = rng.normal(size=(5, 8))
    calm, wild = block.copy(), block.copy()
    wild[4] *= 10
    calm[4] = calm[0] + 0.01 * rng.normal(size=8)
    found = {name: paired_t([b[4] - b[0]], [other_residuals(b, 4, 0)]) for name, b in (("wild", wild), ("calm", calm))}
    assert not found["wild"].pooled
    assert found["wild"].degrees == 7
    assert found["calm"].pooled  # a calm pair keeps the noise of all: its own would be chosen for being small
    assert found["calm"].degrees == 4 * 7


def test_the_check_objects_to_equal_noise_as_often_as_its_level() -> None:
    blocks = numpy.random.default_rng(3).normal(size=(4000, 4, 5))
    found = paired_t([blocks[:, 3] - blocks[:, 0]], [other_residuals(blocks, 3, 0)])
    assert 1 - found.pooled.mean() == pytest.approx(0.25, abs=4 * numpy.sqrt(0.25 * 0.75 / 4000))


def test_the_standard_error_is_never_below_the_noise_of_drawing() -> None:
    found = paired_t([numpy.full(5, 0.00125)], [], drawing=0.01**2)
    assert found.standard_error == pytest.approx(0.01)
    assert found.p > 0.5
    assert paired_t([numpy.full(5, 0.25)], []).p == 0


def test_many_studies_at_once_are_each_study_alone() -> None:
    blocks = numpy.random.default_rng(4).normal(size=(3, 2, 4, 5))
    together = paired_t(
        [blocks[:, c, 3] - blocks[:, c, 0] for c in range(2)], [other_residuals(blocks[:, c], 3, 0) for c in range(2)]
    )
    for number, block in enumerate(blocks):
        others = [other_residuals(block[c], 3, 0) for c in range(2)]
        alone = paired_t([block[c, 3] - block[c, 0] for c in range(2)], others)
        expected = together.mean[number], together.lower[number], together.p[number]
        assert (alone.mean, alone.lower, alone.p) == pytest.approx(expected)
