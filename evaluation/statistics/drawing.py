"""The noise of drawing answers: how far a run's score moves if the same weights answer the same problems once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .intervals import Floats


def drawing_variance(correct: ArrayLike, draws: int, k: int) -> Floats:
    """Unbiased variance of each problem's pass@k, from the number of its `draws` answers that are right; 2k <= draws.

    The estimate of q^k (all k are wrong) is f(k) = C(wrong, k) / C(draws, k), so its variance is E f(k)² - q^2k, and
    f(2k) estimates q^2k. For k = 1, where pass@1 is avg@n, that is avg(1 - avg) / (draws - 1).
    """
    wrong = draws - _floats(correct)
    return all_alike(wrong, draws, k) ** 2 - all_alike(wrong, draws, 2 * k)


def all_alike(alike: ArrayLike, draws: int, k: int) -> Floats:
    """Share of the sets of k draws whose answers are all among the `alike` ones: C(alike, k) / C(draws, k)."""
    import numpy

    counts = _floats(alike)
    share = numpy.ones_like(counts)
    for i in range(k):
        share = share * numpy.clip(counts - i, 0.0, None) / (draws - i)
    return share


def score_variance(scores: ArrayLike, averages: ArrayLike, draws: int, metric: str) -> Floats:
    """Variance that drawing gives to the mean score of runs: [runs, problems] -> [runs].

    `scores` are those of `metric` (avg, pass@k or maj; a second grader's after a space), `averages` its shares of right
    answers. Where no unbiased estimate exists (maj, fewer than 2k draws) it is m(1 - m) of the mean score m, which no
    mean of values between 0 and 1 exceeds.
    """
    import numpy

    values, (kind, _, number) = _floats(scores), metric.partition(" ")[0].partition("@")
    k = int(number) if kind == "pass" else 1
    if kind == "maj" or draws < 2 * k:
        mean = values.mean(axis=-1)
        bound: Floats = mean * (1 - mean) / values.shape[-1]
        return bound
    by_count = drawing_variance(numpy.arange(draws + 1), draws, k)
    variances = by_count[numpy.round(numpy.asarray(averages) * draws).astype(int)]
    # rounding may leave -1e-17 where all problems are sure; the estimate itself may be below 0 by chance for k > 1
    return numpy.maximum(variances.mean(axis=-1), 0.0) / values.shape[-1]


def _floats(values: ArrayLike) -> Floats:
    import numpy

    return numpy.asarray(values, dtype=float)
