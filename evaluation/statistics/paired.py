"""The primary interval: a paired t on seed differences within cells, its noise pooled over methods where it is alike.

In a cell every method runs with the same seeds, so what a seed does to all of them drops out of the residuals of the
layout methods x seeds. All functions take any number of leading axes: the audit judges many simulated studies at once
with the code that judges a real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .intervals import LEVEL, Interval, t_statistic

if TYPE_CHECKING:
    from .intervals import Floats

POOLING_LEVEL = 0.25  # of the check of equal spreads (Bozivich, Bancroft and Hartley 1956, Ann. Math. Stat. 27: 1017)

Rest = tuple["Floats", int]  # sum of squares, degrees of freedom


def other_residuals(block: Floats, ours: int, theirs: int) -> Rest:
    """What the methods x seeds of a cell say about noise beside the difference of two of its methods.

    [..., methods, seeds] -> sum of squares [...] with (methods - 2)(seeds - 1) degrees of freedom: all residuals of the
    two-way layout, (methods - 1)(seeds - 1), less the share of that difference. Both parts are independent where all
    methods have equal and normal noise, for they are orthogonal contrasts.
    """
    import numpy

    methods, seeds = block.shape[-2:]
    residual = block - block.mean(axis=-1, keepdims=True)
    residual = residual - residual.mean(axis=-2, keepdims=True)
    squares = (residual**2).sum(axis=(-2, -1)) - _squares(block[..., ours, :] - block[..., theirs, :]) / 2
    return numpy.maximum(squares, 0.0), (methods - 2) * (seeds - 1)


def _squares(values: Floats) -> Floats:
    """Sum of squared deviations from the mean over the last axis."""
    found: Floats = ((values - values.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    return found


def paired_t(differences: Sequence[Floats], others: Sequence[Rest], drawing: Floats | float = 0.0) -> Interval:
    """t interval of the mean over cells of the paired differences; its fields are arrays of the leading axes.

    `differences[c]` is [..., seeds] of a cell, `others[c]` what `other_residuals` found there, `drawing` the variance
    that drawing answers alone gives to the mean: the standard error is never below its root.
    The noise of one run is pooled over cells, and over methods unless these two differ by more than the others do: an
    F test of the two independent sums of squares, one-sided at POOLING_LEVEL, for too little noise is what would make
    verdicts wrong. Where it objects, or there are no others, the differences' own spread decides: the classical test.
    """
    import numpy
    from scipy import special

    mean = numpy.mean([cell.mean(axis=-1) for cell in differences], axis=0)
    own = sum(_squares(cell) for cell in differences) / 2
    own_degrees = sum(cell.shape[-1] - 1 for cell in differences)
    other = numpy.broadcast_to(sum(squares for squares, _ in others), mean.shape)
    other_degrees = sum(degrees for _, degrees in others)
    if own_degrees == 0:
        return Interval(mean, None, None, None, 0, None)
    pooled = numpy.zeros(mean.shape, dtype=bool)
    if other_degrees:
        limit = special.fdtri(own_degrees, other_degrees, 1 - POOLING_LEVEL)
        pooled = own / own_degrees <= limit * other / other_degrees
    degrees = numpy.where(pooled, own_degrees + other_degrees, own_degrees)
    variance = numpy.where(pooled, own + other, own) / degrees  # of one run
    spread = 2 * variance * sum(1 / cell.shape[-1] for cell in differences) / len(differences) ** 2
    error = numpy.sqrt(numpy.maximum(spread, drawing))
    half = special.stdtrit(degrees, (1 + LEVEL) / 2) * error
    p = 2 * special.stdtr(degrees, -t_statistic(mean, error))
    return Interval(mean, mean - half, mean + half, error, degrees, p, pooled)
