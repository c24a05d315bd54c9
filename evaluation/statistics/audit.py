"""`entrobench audit-statistics`: how often is each interval wrong? Simulated studies, judged by the code of real ones.

The committed result, results/reference/statistics/audit.csv, decides which interval may give a verdict (`admission`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .admission import COLUMNS
from .drawing import score_variance
from .intervals import (
    CrossedBootstrap,
    difference_samples,
    improvement_samples,
    interquartile_mean_samples,
    middle_half_mean,
    percentile_interval,
    resample_counts,
    win_matrix,
)
from .paired import other_residuals, paired_t
from .simulation import (
    CELL_SHIFT,
    CELLS,
    DRAWS,
    EFFECT,
    METHODS,
    PROBLEMS,
    SCENARIOS,
    SEEDS,
    Scenario,
    answered,
    scored,
    simulate,
)

if TYPE_CHECKING:
    from numpy.random import Generator
    from pandas import DataFrame

    from .intervals import Floats

REPLICATES = 500  # of a bootstrap; fewer than in a study
BATCH = 20  # studies simulated side by side, so that their answers fit into memory
OURS, THEIRS = METHODS - 1, 0
DIFFERENCES = {
    "paired t": "difference: paired t, noise pooled where alike",
    "own paired t": "difference: paired t, the two methods' own noise",
    "seed bootstrap": "difference: bootstrap of paired seeds",
    "crossed bootstrap": "difference: bootstrap of seeds x problems",
    "stratified bootstrap": "difference of IQMs: stratified bootstrap",
    "improvement": "P(better): bootstrap",
}
SINGLE = {"score t": "one method's score in a cell: t", "IQM": "one method's IQM: stratified bootstrap"}

Found = tuple["Floats", "Floats", "Floats"]  # estimate, lower and upper bound of every study


def audit_intervals(simulations: int, seed: int, progress: bool) -> DataFrame:
    """Simulate `simulations` studies without and as many with an effect, for every scenario; columns COLUMNS.

    false_positives: share of intervals that exclude "no difference" where there is none; under the effect, coverage of
    the truth and power, the share that finds it. false_positives and power are NaN for the intervals of one method.
    """
    import pandas
    from rich.progress import Progress

    tables = []
    with Progress(disable=not progress) as bar:
        task = bar.add_task("simulating studies", total=2 * len(SCENARIOS) * simulations)
        for number, scenario in enumerate(SCENARIOS):
            nothing, effect = (
                measure_all(simulations, [seed, number, place], scenario, size, lambda n: bar.advance(task, n))
                for place, size in enumerate((0.0, EFFECT))
            )
            tables.append(_rates(nothing, effect).assign(scenario=scenario.name, simulations=simulations))
    return pandas.concat(tables, ignore_index=True)[list(COLUMNS)]


Key = tuple[str, int, int]  # interval, cells, seeds


def measure_all(
    simulations: int, seed: list[int], scenario: Scenario, effect: float, advance: Callable[[int], None]
) -> dict[Key, Found]:
    """Every interval of every simulated study; those of a single method's score relative to the true mean score."""
    import numpy

    rng, batches = numpy.random.default_rng(seed), []
    for first in range(0, simulations, BATCH):
        studies = simulate(rng, min(BATCH, simulations - first), scenario, effect)
        values = answered(rng, studies) if scenario.in_full else None
        scores = scored(rng, studies) if values is None else values.mean(axis=-1, dtype="float64")
        variance = _drawing(values, scores)
        crossed = _resampled(rng, values)
        batch: dict[Key, Found] = {}
        for seeds in SEEDS:
            for cells in (1, CELLS):
                own = scores[:, :cells, :, :seeds]
                found = t_intervals(own, variance[:, :cells, :, :seeds])
                if crossed is not None:
                    found |= bootstraps(rng, own, crossed[:, :cells, :, :, :seeds])
                batch |= {(name, cells, seeds): interval for name, interval in found.items()}
        batches.append({key: _centered(key[0], found, studies.center) for key, found in batch.items()})
        advance(len(scores))
    return {key: _joined([batch[key] for batch in batches]) for key in batches[0]}


def _joined(parts: Sequence[Found]) -> Found:
    import numpy

    estimate, lower, upper = (numpy.concatenate(values) for values in zip(*parts, strict=True))
    return estimate, lower, upper


def _centered(name: str, found: Found, center: Floats | float) -> Found:
    """A single method's score relative to the true mean score of its study; differences as they are."""
    if name not in SINGLE:
        return found
    estimate, lower, upper = (values - center for values in found)
    return estimate, lower, upper


def _drawing(values: Floats | None, scores: Floats) -> Floats:
    """Variance that drawing answers gives to each run's score, as a real study estimates it: [..., runs].

    Without single answers the simulated studies know no better than its bound, which is far below their other noise.
    """
    import numpy

    if values is None:
        return numpy.zeros(scores.shape)
    return score_variance(values, values, DRAWS, "avg")


def _resampled(rng: Generator, values: Floats | None) -> Floats | None:
    """Scores of the two compared methods on resampled problems: [..., 2, replicates, seeds]."""
    if values is None:
        return None
    items = {"b": [str(number) for number in range(PROBLEMS)]}
    found: Floats = CrossedBootstrap(items, rng, REPLICATES).run_scores("b", values[:, :, [THEIRS, OURS]])
    return found


def t_intervals(scores: Floats, drawing: Floats) -> dict[str, Found]:
    """The t intervals of studies [studies, cells, methods, seeds], by the functions that judge real studies."""
    cells, seeds = scores.shape[1], scores.shape[-1]
    differences = [scores[:, cell, OURS] - scores[:, cell, THEIRS] for cell in range(cells)]
    others = [other_residuals(scores[:, cell], OURS, THEIRS) for cell in range(cells)]
    noise = drawing[:, :, [THEIRS, OURS]].sum(axis=(1, 2, 3)) / (seeds * cells) ** 2
    found = {"paired t": paired_t(differences, others, noise), "own paired t": paired_t(differences, [], noise)}
    if cells == 1:
        found["score t"] = paired_t([scores[:, 0, THEIRS]], [], 0.0)
    return {name: (interval.mean, interval.lower, interval.upper) for name, interval in found.items()}


def bootstraps(rng: Generator, scores: Floats, crossed: Floats) -> dict[str, Found]:
    """The intervals that stand beside it; `crossed` are the two methods' scores on resampled problems."""
    import numpy

    cells, seeds = range(scores.shape[1]), scores.shape[-1]
    ours, theirs = scores[:, :, OURS], scores[:, :, THEIRS]
    counts = [(resample_counts(seeds, REPLICATES, rng), resample_counts(seeds, REPLICATES, rng)) for _ in cells]
    wins = win_matrix(ours, theirs)
    replicated = {
        "seed bootstrap": [(ours - theirs)[:, cell] @ counts[cell][0].T / seeds for cell in cells],
        "crossed bootstrap": [
            difference_samples(crossed[:, cell, 1], crossed[:, cell, 0], counts[cell][0]) for cell in cells
        ],
        "improvement": [improvement_samples(wins[:, cell], *counts[cell]) for cell in cells],
    }
    difference = (ours - theirs).mean(axis=(1, 2))
    estimates = {"improvement": wins.mean(axis=(1, 2, 3))}
    found = {
        name: (estimates.get(name, difference), *percentile_interval(numpy.mean(samples, axis=0)))
        for name, samples in replicated.items()
    }
    own, other = (_interquartile(rng, [runs[:, cell] for cell in cells]) for runs in (theirs, ours))
    found["IQM"] = own[0], *percentile_interval(own[1])
    found["stratified bootstrap"] = other[0] - own[0], *percentile_interval(other[1] - own[1])
    return found


def _interquartile(rng: Generator, tasks: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Interquartile mean of every study's runs, and its replicates."""
    import numpy

    return middle_half_mean(numpy.concatenate(tasks, axis=-1)), interquartile_mean_samples(tasks, rng, REPLICATES)


def _rates(without: Mapping[Key, Found], effect: Mapping[Key, Found]) -> DataFrame:
    import pandas

    rows = []
    for (name, cells, seeds), (_, lower, upper) in effect.items():
        truth, nothing = _truth(name, cells, effect), 0.5 if name == "improvement" else 0.0
        row = {"interval": name, "cells": cells, "seeds": seeds}
        row["coverage"] = ((lower <= truth) & (truth <= upper)).mean()
        if name in DIFFERENCES:
            _, low, high = without[name, cells, seeds]
            row["false_positives"] = ((low > nothing) | (high < nothing)).mean()
            row["power"] = (lower > nothing).mean()
        rows.append(row)
    order = list(DIFFERENCES | SINGLE)
    table = pandas.DataFrame(rows).sort_values(["cells", "seeds"])
    return table.sort_values("interval", key=lambda names: names.map(order.index), kind="stable")


def _truth(name: str, cells: int, effect: Mapping[Key, Found]) -> float:
    """What an interval should cover. P(better)'s estimate is unbiased, so its mean is the truth; an IQM over several
    cells has no closed form, so the mean of the estimates at the most seeds stands for it."""
    if name == "score t":
        return CELL_SHIFT[0]
    if name in ("improvement", "IQM"):
        return float(effect[name, cells, max(SEEDS)][0].mean())
    return EFFECT
