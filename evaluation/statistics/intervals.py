"""Which differences are real: the primary paired interval, and the bootstrap statistics that stand beside it.

Only the primary interval gives a verdict, and only where the audit admits it (`admission`). It sees the noise of
training seeds, which only more seeds make smaller; what it says holds for the benchmark's own problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.random import Generator
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[float64]

LEVEL = 0.95
ENOUGH_SEEDS = 5
REPLICATES = 10_000


@dataclass(frozen=True)
class Interval:
    """A mean with its t interval; the interval is None where nothing can be said (one seed)."""

    mean: float
    lower: float | None
    upper: float | None
    standard_error: float | None
    degrees: int
    p: float | None  # two-sided, of mean = 0


def pooled_t(cells: Sequence[ArrayLike], level: float = LEVEL) -> Interval:
    """t interval of the mean over cells of the cell means, with one variance pooled within cells.

    `cells[c]` holds one value per seed: scores, or differences between two methods that share the seed. Degrees of
    freedom: sum over cells of (seeds - 1); with equal seeds S in C cells the standard error is s / sqrt(C·S).
    """
    import numpy
    from scipy import special

    values = [numpy.asarray(cell, dtype=float) for cell in cells]
    mean = float(numpy.mean([cell.mean() for cell in values]))
    degrees = sum(cell.size - 1 for cell in values)
    if degrees == 0:
        return Interval(mean, None, None, None, 0, None)
    variance = sum(float(((cell - cell.mean()) ** 2).sum()) for cell in values) / degrees
    error = float(numpy.sqrt(variance * sum(1 / cell.size for cell in values))) / len(values)
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * error
    # without any spread a difference of exactly 0 is no evidence (t = 0) and any other one is not chance (t infinite)
    t = abs(mean) / error if error > 0 else (numpy.inf if mean else 0.0)
    return Interval(mean, mean - half, mean + half, error, degrees, float(2 * special.stdtr(degrees, -t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: comparing the results with α keeps the family-wise error at α."""
    import numpy

    p = numpy.asarray(p_values, dtype=float)
    order = numpy.argsort(p, kind="stable")
    stepped = numpy.maximum.accumulate(p[order] * numpy.arange(p.size, 0, -1))
    adjusted = numpy.empty_like(p)
    adjusted[order] = numpy.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def comparison_verdict(
    interval: Interval, adjusted_p: float | None, seeds: int, admitted: bool, level: float = LEVEL
) -> str:
    """'better', 'worse' or 'no difference shown'; 'too few seeds' below 5 per cell.

    `admitted`: whether the committed audit found this interval right at so many seeds; else 'no audited interval'.
    """
    if seeds < ENOUGH_SEEDS or adjusted_p is None:
        return "too few seeds"
    if not admitted:
        return "no audited interval"
    if adjusted_p > 1 - level:
        return "no difference shown"
    return "better" if interval.mean > 0 else "worse"


def resample_counts(size: int, replicates: int, rng: Generator) -> Floats:
    """How often each of `size` things is drawn with replacement: [replicates, size], rows sum to `size`."""
    import numpy

    drawn = rng.integers(size, size=(replicates, size)) + size * numpy.arange(replicates)[:, None]
    return numpy.bincount(drawn.ravel(), minlength=replicates * size).reshape(replicates, size).astype("float32")


def percentile_interval(samples: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The central interval that holds the share `level` of bootstrap samples."""
    import numpy

    low, high = numpy.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def interquartile_mean(values: ArrayLike) -> float:
    """Mean of the middle half: 25 % trimmed from each end (rliable, arXiv 2108.13264)."""
    import numpy

    return float(_middle_half_mean(numpy.asarray(values, dtype=float).ravel()))


def _middle_half_mean(values: Floats) -> Floats:
    """Over the last axis; int(n / 4) values are cut at either end."""
    import numpy

    cut = values.shape[-1] // 4
    middle: Floats = numpy.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)
    return middle


def interquartile_mean_samples(tasks: Sequence[ArrayLike], rng: Generator, replicates: int = REPLICATES) -> Floats:
    """Stratified bootstrap of the interquartile mean: runs resampled within each task (rliable); [replicates]."""
    import numpy

    drawn = []
    for task in tasks:
        values = numpy.asarray(task, dtype=float)
        drawn.append(values[rng.integers(values.size, size=(replicates, values.size))])
    return _middle_half_mean(numpy.concatenate(drawn, axis=1))


def win_matrix(ours: ArrayLike, theirs: ArrayLike) -> Floats:
    """[seeds, seeds]: 1 where our run scores higher, 1/2 at a tie; its mean estimates P(X > Y)."""
    import numpy

    x, y = numpy.asarray(ours, dtype=float)[:, None], numpy.asarray(theirs, dtype=float)[None, :]
    return (x > y) + 0.5 * (x == y)


def improvement_samples(wins: Floats, ours: Floats, theirs: Floats) -> Floats:
    """Bootstrap replicates of P(X > Y) of one task; `ours` and `theirs` are counts [replicates, seeds]."""
    product: Floats = ((ours @ wins.astype("float32")) * theirs).sum(axis=1) / wins.size
    return product


class CrossedBootstrap:
    """Paired bootstrap over training seeds and problems at once.

    `items[benchmark]` names the problem in each column of that benchmark's score matrix. A problem that stands in
    several benchmarks is drawn for all of them together; problems are drawn within groups that occur in the same
    benchmarks, so every replicate keeps each benchmark's size. Two methods see the same problems and seeds.
    """

    def __init__(self, items: Mapping[str, Sequence[str]], rng: Generator, replicates: int = REPLICATES) -> None:
        import numpy

        self.rng, self.replicates = rng, replicates
        where: dict[str, list[str]] = {}
        for benchmark, names in items.items():
            for name in names:
                where.setdefault(name, []).append(benchmark)
        columns = {name: column for column, name in enumerate(where)}
        groups: dict[tuple[str, ...], list[int]] = {}
        for name, benchmarks in where.items():
            groups.setdefault(tuple(benchmarks), []).append(columns[name])
        self.counts = numpy.empty((replicates, len(where)), dtype="float32")
        for members in groups.values():
            self.counts[:, members] = resample_counts(len(members), replicates, rng)
        self.columns = {benchmark: [columns[name] for name in names] for benchmark, names in items.items()}

    def run_scores(self, benchmark: str, scores: Floats) -> Floats:
        """Scores of each run on each resampled set of problems: [runs, problems] -> [replicates, runs]."""
        resampled: Floats = self.counts[:, self.columns[benchmark]] @ scores.T.astype("float32") / scores.shape[1]
        return resampled

    def seed_counts(self, seeds: int) -> Floats:
        """How often each seed of a cell is drawn: [replicates, seeds]."""
        return resample_counts(seeds, self.replicates, self.rng)
