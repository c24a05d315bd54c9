"""Every comparison of a study: each method against the baseline, study-wide and per model x dataset cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from entrobench.studies.headline import ENOUGH_SEEDS, baseline_of

from .admission import PRIMARY, Audit
from .board import Board, Cell, make_board
from .intervals import (
    LEVEL,
    REPLICATES,
    CrossedBootstrap,
    Interval,
    comparison_verdict,
    difference_samples,
    holm,
    improvement_samples,
    interquartile_mean,
    interquartile_mean_samples,
    percentile_interval,
    pooled_t,
    win_matrix,
)
from .paired import POOLING_LEVEL, Rest, other_residuals, paired_t
from .power import POWER, seeds_for, smallest_detectable

if TYPE_CHECKING:
    from numpy.random import Generator
    from pandas import DataFrame

    from .intervals import Floats


@dataclass(frozen=True)
class Scope:
    """What a comparison averages over; only `study` carries verdicts."""

    name: str  # study, benchmark, cell or cell-benchmark
    cells: tuple[Cell, ...]
    benchmarks: tuple[str, ...]


def scopes(cells: Sequence[Cell], benchmarks: Sequence[str]) -> list[Scope]:
    """All averages the tables and the report speak about, the whole study first."""
    every_cell, every_benchmark = tuple(cells), tuple(benchmarks)
    return [
        Scope("study", every_cell, every_benchmark),
        *(Scope("benchmark", every_cell, (benchmark,)) for benchmark in benchmarks),
        *(Scope("cell", (cell,), every_benchmark) for cell in cells),
        *(Scope("cell-benchmark", (cell,), (benchmark,)) for cell in cells for benchmark in benchmarks),
    ]


@dataclass(frozen=True)
class Declared:
    """What a study declared before its first run: which differences carry verdicts, and how they are read.

    `metrics` maps the columns of the problem table to names for people, the primary metric first, then the co-primary
    one if there is one: these, over all methods, are the one family of Holm's correction. `a_a_arm` is the method that
    is the baseline with a change that cannot matter; `detect` the difference that the study is meant to find;
    `clipped_at_least` the share of clipped tokens below which a method is marked as not exercised.
    """

    metrics: Mapping[str, str]
    methods: Sequence[str]
    a_a_arm: str | None = None
    detect: float | None = None
    clipped_at_least: float | None = None

    @property
    def primary(self) -> str:
        """The primary metric's column."""
        return next(iter(self.metrics))


COVERS = "these models, tasks and problems; noise of training seeds"
DESCRIPTIVE, A_A = "descriptive", "A/A arm"  # in the place of a verdict


def analyse(
    problems: DataFrame, declared: Declared, audit: Audit | None, seed: int = 0, replicates: int = REPLICATES
) -> dict[str, Any]:
    """Compare every method with the baseline and summarise each method; the content of statistics.json.

    Intervals are null wherever a cell has one seed only.

    `problems` is the table of `scores.problem_table`, `audit` the measured rates that admit the primary interval to
    give verdicts; without one there are none. A score is the unweighted mean over benchmarks. The co-primary metric is
    compared over the whole study alone. Deterministic given `seed`.
    """
    import numpy

    rng, compared, aggregates = numpy.random.default_rng(seed), [], []
    baseline = baseline_of(declared.methods)
    others = [method for method in declared.methods if method != baseline]
    for column, metric in declared.metrics.items():
        board = make_board(problems, column)
        analysis = Analysis(board, baseline, CrossedBootstrap(board.items, rng, replicates), rng)
        cells = list(dict.fromkeys((model, dataset) for model, dataset, _, _ in board.runs))
        all_scopes = scopes(cells, list(board.values))[: None if column == declared.primary else 1]
        found = [
            row for scope in all_scopes for method in others if (row := analysis.compare_with_baseline(scope, method))
        ]
        compared += [{"metric": metric, **row} for row in found]
        aggregates += [{"metric": metric, **analysis.aggregate(all_scopes[0], method)} for method in declared.methods]
    return {
        "metric": declared.metrics[declared.primary],
        "metrics": list(declared.metrics.values()),
        "baseline": baseline,
        "a_a_arm": declared.a_a_arm,
        "detect": declared.detect,
        "clipped_at_least": declared.clipped_at_least,
        "covers": COVERS,
        "level": LEVEL,
        "power": POWER,
        "pooling_level": POOLING_LEVEL,
        "enough_seeds": ENOUGH_SEEDS,
        "seed": seed,
        "replicates": replicates,
        "comparisons": [_described(row) for row in _with_verdicts(compared, declared, audit)],
        "aggregates": aggregates,
        "audit": _audited(audit, board, cells),
    }


def _audited(audit: Audit | None, board: Board, cells: Sequence[Cell]) -> dict[str, Any] | None:
    """What the audit measured for studies of this size (or the next smaller one): rates by interval."""
    if audit is None:
        return None
    fewest = min(len(board.seeds_of[run[:3]]) for run in board.runs)
    names = dict.fromkeys(row["interval"] for row in audit.rows)
    measured = {name: audit.measured(name, fewest, len(cells)) for name in names}
    rates = ("seeds", "cells", "false_positives", "coverage", "simulations")
    return {
        "file": str(audit.file),
        "sha256": audit.sha256,
        "primary": PRIMARY,
        "admits_primary": audit.admits(PRIMARY, fewest),
        "measured": {
            name: {rate: row[rate] for rate in rates if row[rate] == row[rate]} for name, row in measured.items() if row
        },
    }


@dataclass
class Analysis:
    """All comparisons of one study; what several of them need is computed once."""

    board: Board
    baseline: str
    bootstrap: CrossedBootstrap
    rng: Generator
    resampled: dict[str, Floats] = field(default_factory=dict)
    tasks: dict[tuple[Cell, str, str], tuple[Floats, Floats, float]] = field(default_factory=dict)
    counts: dict[tuple[Cell, int], tuple[Floats, Floats]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for benchmark, values in self.board.values.items():
            self.resampled[benchmark] = self.bootstrap.run_scores(benchmark, values)

    def paired(self, cell: Cell, method: str) -> list[int]:
        """Seeds that both the method and the baseline have in a cell."""
        theirs = self.board.seeds(cell, self.baseline)
        return [seed for seed in self.board.seeds(cell, method) if seed in theirs]

    def compare_with_baseline(self, scope: Scope, method: str) -> dict[str, Any] | None:
        """One method against the baseline; None where they share no seed."""
        import numpy

        cells = [cell for cell in scope.cells if self.paired(cell, method)]
        if not cells:
            return None
        differences = [self.differences(cell, scope.benchmarks, method) for cell in cells]
        others = [self.others(cell, scope.benchmarks, method) for cell in cells]
        drawing = self.drawing(cells, scope.benchmarks, method)
        tasks = [self.task(cell, benchmark, method) for cell in cells for benchmark in scope.benchmarks]
        spread = all(len(cell) > 1 for cell in differences)  # one seed says nothing about other seeds
        return {
            "scope": scope,
            "method": method,
            "cells": cells,
            "seeds": [self.paired(cell, method) for cell in cells],
            "differences": [[float(value) for value in cell] for cell in differences],
            "interval": paired_t(differences, others, drawing),
            "drawing_error": drawing**0.5,
            "bootstrap": _bounds(numpy.mean([task[0] for task in tasks], axis=0)) if spread else None,
            "improvement": float(numpy.mean([task[2] for task in tasks])),
            "improvement_interval": _bounds(numpy.mean([task[1] for task in tasks], axis=0)) if spread else None,
        }

    def differences(self, cell: Cell, benchmarks: Sequence[str], method: str) -> Floats:
        """Difference to the baseline per paired seed, mean over benchmarks: [seeds]."""
        import numpy

        seeds = self.paired(cell, method)
        ours, theirs = (self.board.rows(cell, name, seeds) for name in (method, self.baseline))
        means = [self.board.means[benchmark] for benchmark in benchmarks]
        paired: Floats = numpy.mean([scores[ours] - scores[theirs] for scores in means], axis=0)
        return paired

    def others(self, cell: Cell, benchmarks: Sequence[str], method: str) -> Rest:
        """What the other methods of a cell say about noise, from the seeds that all of them have."""
        import numpy

        own = [key[2] for key in self.board.seeds_of if key[:2] == cell]
        seeds = [seed for seed in self.paired(cell, method) if all(seed in self.board.seeds(cell, m) for m in own)]
        if len(own) < 3 or len(seeds) < 2:
            return numpy.zeros(()), 0
        rows = [self.board.rows(cell, name, seeds) for name in own]
        block = numpy.mean([self.board.means[benchmark][rows] for benchmark in benchmarks], axis=0)
        return other_residuals(block, own.index(method), own.index(self.baseline))

    def drawing(self, cells: Sequence[Cell], benchmarks: Sequence[str], method: str) -> float:
        """Variance that drawing answers alone gives to the difference averaged over these cells and benchmarks."""
        total = 0.0
        for cell in cells:
            seeds = self.paired(cell, method)
            rows = [row for name in (method, self.baseline) for row in self.board.rows(cell, name, seeds)]
            total += sum(self.board.drawing[name][rows].sum() for name in benchmarks) / len(seeds) ** 2
        return float(total) / (len(cells) * len(benchmarks)) ** 2

    def task(self, cell: Cell, benchmark: str, method: str) -> tuple[Floats, Floats, float]:
        """Replicates of the difference and of P(better), and P(better) itself, of one cell and benchmark."""
        key = (cell, benchmark, method)
        if key not in self.tasks:
            seeds = self.paired(cell, method)
            ours, theirs = (self.board.rows(cell, name, seeds) for name in (method, self.baseline))
            counts, other_counts = self.seed_counts(cell, len(seeds))
            resampled = self.resampled[benchmark]
            difference = difference_samples(resampled[:, ours], resampled[:, theirs], counts)
            wins = win_matrix(self.board.means[benchmark][ours], self.board.means[benchmark][theirs])
            better = improvement_samples(wins, counts, other_counts)
            self.tasks[key] = difference, better, float(wins.mean())
        return self.tasks[key]

    def seed_counts(self, cell: Cell, seeds: int) -> tuple[Floats, Floats]:
        """Two independent draws of a cell's seeds: a run that is drawn is drawn for all of its benchmarks."""
        if (cell, seeds) not in self.counts:
            self.counts[cell, seeds] = self.bootstrap.seed_counts(seeds), self.bootstrap.seed_counts(seeds)
        return self.counts[cell, seeds]

    def run_scores(self, scope: Scope, method: str) -> list[Floats]:
        """Scores of a method's runs, an array per task: cell x benchmark."""
        rows = [self.board.rows(cell, method, self.board.seeds(cell, method)) for cell in scope.cells]
        return [self.board.means[name][own] for own in rows if own for name in scope.benchmarks]

    def own_drawing(self, scope: Scope, method: str) -> float:
        """Variance that drawing answers alone gives to a method's mean score."""
        seeds = {cell: found for cell in scope.cells if (found := self.board.seeds(cell, method))}
        rows = {cell: self.board.rows(cell, method, own) for cell, own in seeds.items()}
        total = sum(
            self.board.drawing[name][own].sum() / len(own) ** 2 for own in rows.values() for name in scope.benchmarks
        )
        return float(total) / (len(rows) * len(scope.benchmarks)) ** 2

    def aggregate(self, scope: Scope, method: str) -> dict[str, Any]:
        """Mean and interquartile mean of a method over all its runs x benchmarks."""
        import numpy

        tasks = self.run_scores(scope, method)
        spread = all(len(task) > 1 for task in tasks)
        samples = interquartile_mean_samples(tasks, self.rng, self.bootstrap.replicates) if spread else None
        lower, upper = (None, None) if samples is None else _bounds(samples)
        pooled, width = numpy.concatenate(tasks), len(scope.benchmarks)
        cells = [numpy.mean(tasks[first : first + width], axis=0) for first in range(0, len(tasks), width)]
        interval = pooled_t(cells, self.own_drawing(scope, method))
        return {
            "method": method,
            "runs": len(pooled) // width,
            "mean": interval.mean,
            "mean_lower": interval.lower,
            "mean_upper": interval.upper,
            "seed_means": mean_over_cells(cells),
            "interquartile_mean": interquartile_mean(pooled),
            "lower": lower,
            "upper": upper,
        }


def _bounds(samples: Floats) -> tuple[float, float]:
    low, high = percentile_interval(samples)
    return float(low), float(high)


def mean_over_cells(cells: Sequence[Floats] | Sequence[Sequence[float]]) -> list[float] | None:
    """One value per seed; None where the cells have different numbers of seeds."""
    import numpy

    if len({numpy.size(cell) for cell in cells}) > 1:
        return None
    return [float(value) for value in numpy.mean(numpy.asarray(cells), axis=0)]


def _with_verdicts(compared: list[dict[str, Any]], declared: Declared, audit: Audit | None) -> list[dict[str, Any]]:
    """Add Holm's p and the verdict within the one declared family, and what its comparisons could have shown.

    All other rows are descriptive. The A/A arm is no claim and takes no part; nor does a comparison without interval.
    """
    family = [row for row in compared if row["scope"].name == "study" and row["method"] != declared.a_a_arm]
    tested = [row for row in family if row["interval"].p is not None]
    for row, adjusted in zip(tested, holm([float(row["interval"].p) for row in tested]), strict=True):
        row["adjusted"] = adjusted
    for row in compared:
        row["verdict"] = A_A if row["method"] == declared.a_a_arm else DESCRIPTIVE
    for row in family:
        fewest = min(len(seeds) for seeds in row["seeds"])
        admitted = audit is not None and audit.admits(PRIMARY, fewest)
        row["verdict"] = comparison_verdict(row["interval"], row.get("adjusted"), fewest, admitted)
    for row in tested:
        row |= _could_show(row["interval"], min(len(seeds) for seeds in row["seeds"]), len(tested), declared.detect)
    return compared


def _could_show(interval: Interval, seeds: int, tests: int, wanted: float | None) -> dict[str, Any]:
    """The smallest difference that this comparison finds with 80 % power, and the seeds that the wanted one needs."""
    error, degrees = float(interval.standard_error), int(interval.degrees)
    needed = seeds_for(wanted, error, degrees, seeds, tests) if wanted and seeds > 1 else None
    return {"detectable": smallest_detectable(error, degrees, tests), "seeds_needed": needed}


def _described(row: dict[str, Any]) -> dict[str, Any]:
    """One comparison as plain JSON: model, dataset and benchmark are null where the comparison averages over them."""
    scope: Scope = row["scope"]
    interval = {name: getattr(value, "tolist", lambda v=value: v)() for name, value in asdict(row["interval"]).items()}
    one_cell, one_benchmark = scope.name.startswith("cell"), scope.name.endswith("benchmark")
    return {
        "metric": row["metric"],
        "scope": scope.name,
        "model": scope.cells[0][0] if one_cell else None,
        "dataset": scope.cells[0][1] if one_cell else None,
        "benchmark": scope.benchmarks[0] if one_benchmark else None,
        "method": row["method"],
        "cells": [list(cell) for cell in row["cells"]],
        "seeds": row["seeds"],
        "differences": row["differences"],
        "difference": interval.pop("mean"),
        **interval,
        "drawing_error": row["drawing_error"],
        "p_holm": row.get("adjusted"),
        "verdict": row["verdict"],
        "detectable": row.get("detectable"),
        "seeds_needed": row.get("seeds_needed"),
        "bootstrap": row["bootstrap"],
        "improvement": row["improvement"],
        "improvement_interval": row["improvement_interval"],
    }


def comparison(statistics: Mapping[str, Any], scope: str, **where: object) -> dict[str, Any] | None:
    """One comparison of statistics.json, of the primary metric unless `metric` says another.

    None for the baseline and the base model, which are compared with nothing.
    """
    wanted = {"metric": statistics["metric"], **where}
    for row in statistics["comparisons"]:
        if row["scope"] == scope and all(row[key] == value for key, value in wanted.items()):
            return dict(row)
    return None
