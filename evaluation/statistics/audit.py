"""`entrobench audit-statistics`: how often is each interval wrong? Simulated studies, judged by the code of real ones.

The committed result, results/reference/statistics/audit.csv, decides which interval may give a verdict (`admission`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .admission import COLUMNS, NEW, THESE
from .analysis import Analysis, Board, Scope
from .intervals import (
    CrossedBootstrap,
    interquartile_mean,
    interquartile_mean_samples,
    percentile_interval,
    pooled_t,
    resample_counts,
)

if TYPE_CHECKING:
    from numpy.random import Generator
    from pandas import DataFrame

SEEDS = (2, 3, 5, 10, 20)

# Variances of the quickstart study (a test recomputes them from results/reference/quickstart): difficulties from pass@1
# and pass@2, spread of the runs from the tolerances, own noise from the paired differences. INTERACTION is ours.
PROBLEMS, DRAWS = 300, 8
EASE = (0.67, 0.50)  # Beta distribution of a problem's chance to be solved
SEED_NOISE = 0.016  # standard deviation of what runs with the same seed share
RUN_NOISE = 0.014  # standard deviation of a run's own training noise
CELL_NOISE = (0.8, 0.7, 1.1, 1.3)  # both, relative, per model x dataset cell
CELL_SHIFT = (0.02, 0.01, -0.01, -0.02)
INTERACTION = 0.05  # standard deviation over problems of what a method changes for better and worse
EFFECT = 0.02  # of the method, where coverage and power are measured
REPLICATES = 500  # of a bootstrap; fewer than in a study

CELLS = [(f"model{number}", "data") for number in range(len(CELL_NOISE))]
METHODS = ("grpo", "new")
SIMULATED = {
    **{"problems": PROBLEMS, "draws": DRAWS, "ease": EASE, "seed_noise": SEED_NOISE, "run_noise": RUN_NOISE},
    **{"cell_noise": CELL_NOISE, "cell_shift": CELL_SHIFT, "interaction": INTERACTION, "effect": EFFECT},
    "replicates": REPLICATES,
}
DIFFERENCES = {
    "paired t": "difference: paired t, pooled within cells",
    "seed bootstrap": "difference: bootstrap of paired seeds",
    "crossed bootstrap": "difference: bootstrap of seeds x problems",
    "stratified bootstrap": "difference of IQMs: stratified bootstrap",
    "improvement": "P(better): bootstrap",
}
SINGLE = {"score t": "one method's score in a cell: t", "IQM": "one method's IQM: stratified bootstrap"}
QUESTIONS = {THESE: "on the benchmark's own problems", NEW: "on new problems of the same kind"}


def simulate(rng: Generator, effect: float, problems: str) -> tuple[Board, float]:
    """One study of two methods and 20 seeds per cell: its scores, and the true mean score without effects.

    A run's chance at a problem is ease + shift·w with w = p(1-p) over its mean, so that a shift moves the mean score by
    exactly itself and leaves sure problems sure. shift = cell + seed noise + run noise + effect of the method.
    """
    import numpy

    ease = rng.beta(*EASE, PROBLEMS)
    weight = ease * (1 - ease) / numpy.mean(ease * (1 - ease))
    mixed = INTERACTION * rng.standard_normal(PROBLEMS)
    if problems == THESE:
        mixed -= (mixed * weight).mean() / weight.mean()  # the method changes problems, not their mean
    size = (len(CELLS), len(METHODS), max(SEEDS))
    noise = SEED_NOISE * rng.standard_normal((size[0], 1, size[2])) + RUN_NOISE * rng.standard_normal(size)
    shift = numpy.asarray(CELL_SHIFT)[:, None, None] + noise * numpy.asarray(CELL_NOISE)[:, None, None]
    changed = numpy.stack([numpy.zeros(PROBLEMS), effect + mixed])[None, :, None, :]
    chances = (ease + weight * (shift[..., None] + changed)).astype("float32").reshape(-1, PROBLEMS)
    values = (rng.random((DRAWS, *chances.shape), dtype="float32") < chances).mean(axis=0)
    runs = [(*cell, method, seed) for cell in CELLS for method in METHODS for seed in range(size[2])]
    center = ease.mean() if problems == THESE else EASE[0] / sum(EASE)
    return Board(runs, {"b": [str(number) for number in range(PROBLEMS)]}, {"b": values}), float(center)


def first_seeds(board: Board, seeds: int) -> Board:
    """The same study as if it had been run with fewer seeds."""
    rows = [row for row, run in enumerate(board.runs) if run[3] < seeds]
    return Board([board.runs[row] for row in rows], board.items, {"b": board.values["b"][rows]})


def measure(analysis: Analysis, cells: int) -> dict[str, tuple[float, tuple[float, float]]]:
    """Estimate and bounds of every interval of one simulated study, by the functions that judge real studies."""
    import numpy

    rng, scope = analysis.rng, Scope("study", tuple(CELLS[:cells]), ("b",))
    row = analysis.compare_with_baseline(scope, METHODS[1])
    assert row is not None
    differences = [numpy.asarray(cell) for cell in row["differences"]]
    drawn = [resample_counts(cell.size, REPLICATES, rng) @ cell / cell.size for cell in differences]
    tasks = [analysis.run_scores(scope, method) for method in METHODS]
    theirs, ours = (interquartile_mean_samples(own, rng, REPLICATES) for own in tasks)
    iqms = [interquartile_mean(numpy.concatenate(own)) for own in tasks]
    interval, score = row["interval"], pooled_t(tasks[0][:1])
    found = {
        "paired t": (interval.mean, (interval.lower, interval.upper)),
        "seed bootstrap": (interval.mean, percentile_interval(numpy.mean(drawn, axis=0))),
        "crossed bootstrap": (interval.mean, row["bootstrap"]),
        "stratified bootstrap": (iqms[1] - iqms[0], percentile_interval(ours - theirs)),
        "improvement": (row["improvement"], row["improvement_interval"]),
        "IQM": (iqms[0], percentile_interval(theirs)),
    }
    return found | ({"score t": (score.mean, (score.lower, score.upper))} if cells == 1 else {})


def simulate_all(simulations: int, seed: int, effect: float, problems: str, advance: Callable[[], None]) -> DataFrame:
    """Simulate studies: a row per simulation x interval x cells x seeds with its estimate and bounds.

    Bounds of a single method's score are relative to the true mean score of the simulated study.
    """
    import numpy
    import pandas

    rng, rows = numpy.random.default_rng([seed, int(effect > 0), int(problems == NEW)]), []
    for _ in range(simulations):
        board, center = simulate(rng, effect, problems)
        bootstrap = CrossedBootstrap(board.items, rng, REPLICATES)
        for seeds in SEEDS:
            analysis = Analysis(first_seeds(board, seeds), METHODS[0], bootstrap, rng)
            for cells in (1, len(CELLS)):
                for name, (estimate, (lower, upper)) in measure(analysis, cells).items():
                    offset = center if name in SINGLE else 0.0
                    rows.append((name, cells, seeds, estimate - offset, lower - offset, upper - offset))
        advance()
    return pandas.DataFrame(rows, columns=["interval", "cells", "seeds", "estimate", "lower", "upper"])


def audit_intervals(simulations: int, seed: int, progress: bool) -> DataFrame:
    """Simulate `simulations` studies without and as many with an effect, for either question; columns COLUMNS.

    false_positives: share of intervals that exclude "no difference" where there is none; under the effect, coverage of
    the truth and power, the share that finds it. false_positives and power are NaN for the intervals of one method.
    """
    import pandas
    from rich.progress import Progress

    tables = []
    with Progress(disable=not progress) as bar:
        task = bar.add_task("simulating studies", total=2 * len(QUESTIONS) * simulations)
        for problems in QUESTIONS:
            without, effect = (
                simulate_all(simulations, seed, size, problems, lambda: bar.advance(task)) for size in (0.0, EFFECT)
            )
            tables.append(_rates(without, effect, simulations).assign(problems=problems))
    return pandas.concat(tables, ignore_index=True)[list(COLUMNS)]


def _rates(without: DataFrame, effect: DataFrame, simulations: int) -> DataFrame:
    import pandas

    groups = ["interval", "cells", "seeds"]
    effects: dict[Any, DataFrame] = dict(iter(effect.groupby(groups)))
    nulls, rows = dict(iter(without.groupby(groups))), []
    for (name, cells, seeds), found in effects.items():
        truth, nothing = _truth(name, cells, effect), 0.5 if name == "improvement" else 0.0
        row = {"interval": name, "cells": cells, "seeds": seeds, "simulations": simulations}
        row["coverage"] = ((found["lower"] <= truth) & (truth <= found["upper"])).mean()
        if name in DIFFERENCES:
            null = nulls[name, cells, seeds]
            row["false_positives"] = ((null["lower"] > nothing) | (null["upper"] < nothing)).mean()
            row["power"] = (found["lower"] > nothing).mean()
        rows.append(row)
    order = list(DIFFERENCES | SINGLE)
    table = pandas.DataFrame(rows).sort_values(["cells", "seeds"])
    return table.sort_values("interval", key=lambda names: names.map(order.index), kind="stable")


def _truth(name: str, cells: int, effect: DataFrame) -> float:
    """What an interval should cover. P(better)'s estimate is unbiased, so its mean is the truth; an IQM over several
    cells has no closed form, so the mean of the estimates at the most seeds stands for it."""
    if name == "score t":
        return CELL_SHIFT[0]
    if name in ("improvement", "IQM"):
        own = effect[(effect["interval"] == name) & (effect["cells"] == cells) & (effect["seeds"] == max(SEEDS))]
        return float(own["estimate"].mean())
    return EFFECT
