"""Intervals of scores, Holm's correction, and the bootstraps that stand beside the primary interval (`paired`).

Only the primary interval gives a verdict, and only where the audit admits it (`admission`). It sees the noise of
training seeds, which only more seeds make smaller; what it says holds for the study's own models, tasks and problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from entrobench.studies.headline import ENOUGH_SEEDS

if TYPE_CHECKING:
    from numpy import float64
    from numpy.random import Generator
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[float64]

LEVEL = 0.95
REPLICATES = 10_000


@dataclass(frozen=True)
class Interval:
    """A mean with its t interval; the interval is None where nothing can be said (one seed).

    Numbers, or arrays of one number per simulated study.
    """

    mean: Any
    lower: Any
    upper: Any
    standard_error: Any
    degrees: Any
    p: Any  # two-sided, of mean = 0
    pooled: Any = False  # whether the noise is that of all methods


def pooled_t(cells: Sequence[ArrayLike], drawing: float = 0.0, level: float = LEVEL) -> Interval:
    """t interval of the mean over cells of the cell means, with one variance pooled within cells.

    `cells[c]` holds one value per seed: scores, or differences between two methods that share the seed. Degrees of
    freedom: sum over cells of (seeds - 1); with equal seeds S in C cells the standard error is s / sqrt(C·S), and never
    below the root of `drawing`, the variance that drawing answers alone gives to the mean.
    """
    import numpy
    from scipy import special

    values = [numpy.asarray(cell, dtype=float) for cell in cells]
    mean = float(numpy.mean([cell.mean() for cell in values]))
    degrees = sum(cell.size - 1 for cell in values)
    if degrees == 0:
        return Interval(mean, None, None, None, 0, None)
    variance = sum(float(((cell - cell.mean()) ** 2).sum()) for cell in values) / degrees
    spread = variance * sum(1 / cell.size for cell in values) / len(values) ** 2
    error = float(numpy.sqrt(max(spread, drawing)))
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * error
    p = float(2 * special.stdtr(degrees, -t_statistic(mean, error)))
    return Interval(mean, mean - half, mean + half, error, degrees, p)


def t_statistic(mean: Any, error: Any) -> Any:
    """|mean| / error; without any noise a mean of exactly 0 is no evidence (0), any other one no chance (infinite)."""
    import numpy

    mean, error = numpy.abs(mean), numpy.asarray(error)
    endless = numpy.where(mean > 0, numpy.inf, 0.0)
    return numpy.where(error > 0, mean / numpy.where(error > 0, error, 1.0), endless)


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


def percentile_interval(samples: Floats, level: float = LEVEL) -> tuple[Any, Any]:
    """The central interval that holds the share `level` of bootstrap samples, over the last axis."""
    import numpy

    low, high = numpy.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return low, high


def interquartile_mean(values: ArrayLike) -> float:
    """Mean of the middle half: 25 % trimmed from each end (rliable, arXiv 2108.13264)."""
    import numpy

    return float(middle_half_mean(numpy.asarray(values, dtype=float).ravel()))


def middle_half_mean(values: Floats) -> Floats:
    """Over the last axis; int(n / 4) values are cut at either end."""
    import numpy

    cut = values.shape[-1] // 4
    middle: Floats = numpy.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)
    return middle


def interquartile_mean_samples(tasks: Sequence[ArrayLike], rng: Generator, replicates: int = REPLICATES) -> Floats:
    """Stratified bootstrap of the interquartile mean: runs resampled within each task (rliable).

    Every task is [..., runs]; returns [..., replicates].
    """
    import numpy

    drawn = []
    for task in tasks:
        values = numpy.asarray(task, dtype=float)
        runs = values.shape[-1]
        drawn.append(values[..., rng.integers(runs, size=(replicates, runs))])
    return middle_half_mean(numpy.concatenate(drawn, axis=-1))


def win_matrix(ours: ArrayLike, theirs: ArrayLike) -> Floats:
    """[..., seeds, seeds]: 1 where our run scores higher, 1/2 at a tie; its mean estimates P(X > Y)."""
    import numpy

    x, y = numpy.asarray(ours, dtype=float)[..., :, None], numpy.asarray(theirs, dtype=float)[..., None, :]
    return (x > y) + 0.5 * (x == y)


def improvement_samples(wins: Floats, ours: Floats, theirs: Floats) -> Floats:
    """Bootstrap replicates of P(X > Y) of one task, [..., replicates]; `ours` and `theirs` count the seeds."""
    pairs = wins.shape[-2] * wins.shape[-1]
    product: Floats = ((ours @ wins.astype("float32")) * theirs).sum(axis=-1) / pairs
    return product


def difference_samples(ours: Floats, theirs: Floats, counts: Floats) -> Floats:
    """Replicates of a paired difference, [..., replicates], of scores and seed counts [..., replicates, seeds]."""
    drawn: Floats = ((ours - theirs) * counts).mean(axis=-1)
    return drawn


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
        """Scores of each run on each resampled set of problems: [..., runs, problems] -> [..., replicates, runs]."""
        turned = scores.swapaxes(-1, -2).astype("float32")
        resampled: Floats = self.counts[:, self.columns[benchmark]] @ turned / scores.shape[-1]
        return resampled

    def seed_counts(self, seeds: int) -> Floats:
        """How often each seed of a cell is drawn: [replicates, seeds]."""
        return resample_counts(seeds, self.replicates, self.rng)
