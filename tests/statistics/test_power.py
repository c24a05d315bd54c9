"""Power against the noncentral t of another function, and by simulation."""

from __future__ import annotations

import numpy
import pytest
from scipy import stats

from entrobench.evaluation.statistics.power import seeds_for, smallest_detectable


@pytest.mark.parametrize(("degrees", "tests"), [(4, 1), (12, 6), (99, 8)])
def test_a_detectable_difference_is_found_four_times_in_five(degrees: int, tests: int) -> None:
    shift = smallest_detectable(0.01, degrees, tests) / 0.01
    limit = stats.t.isf(0.05 / tests / 2, degrees)
    assert stats.nct.sf(limit, degrees, shift) == pytest.approx(0.8, abs=1e-6)


def test_power_by_simulation() -> None:
    rng = numpy.random.default_rng(0)
    cells = smallest_detectable(1 / numpy.sqrt(6), 5, 1) + rng.normal(size=(20_000, 6))
    found = numpy.mean(stats.ttest_1samp(cells, 0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=4 * numpy.sqrt(0.8 * 0.2 / 20_000))


def test_the_seeds_that_a_difference_needs() -> None:
    error, degrees = 0.01, 12  # of 4 methods x 5 seeds in one cell
    needed = seeds_for(0.02, error, degrees, 5, tests=6)
    assert needed is not None
    at, before = (
        smallest_detectable(error * (5 / seeds) ** 0.5, degrees * (seeds - 1) / 4, 6) for seeds in (needed, needed - 1)
    )
    assert at <= 0.02 < before
    assert seeds_for(1e-6, error, degrees, 5, tests=6) is None
