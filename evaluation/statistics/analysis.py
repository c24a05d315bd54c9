"""Every comparison of a study: each method against the baseline, study-wide and per model x dataset cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from entrobench.errors import InputError

from .admission import PRIMARY, Audit
from .intervals import (
    ENOUGH_SEEDS,
    LEVEL,
    REPLICATES,
    CrossedBootstrap,
    comparison_verdict,
    holm,
    improvement_samples,
    interquartile_mean,
    interquartile_mean_samples,
    percentile_interval,
    pooled_t,
    win_matrix,
)
from .scores import RUN

if TYPE_CHECKING:
    from numpy.random import Generator
    from pandas import DataFrame

    from .intervals import Floats

Cell = tuple[str, str]  # model, dataset
BASELINE = "grpo"


@dataclass
class Board:
    """The scores of all trained runs: `values[benchmark]` is [runs, problems], its rows in the order of `runs`."""

    runs: list[tuple[str, str, str, int]]  # model, dataset, method, seed
    items: dict[str, list[str]]
    values: dict[str, Floats]

    @cached_property
    def row(self) -> dict[tuple[str, str, str, int], int]:
        return {run: row for row, run in enumerate(self.runs)}

    @cached_property
    def means(self) -> dict[str, Floats]:
        """Score of each run: {benchmark: [runs]}."""
        return {benchmark: values.mean(axis=1) for benchmark, values in self.values.items()}

    @cached_property
    def seeds_of(self) -> dict[tuple[str, str, str], list[int]]:
        found: dict[tuple[str, str, str], list[int]] = {}
        for model, dataset, method, seed in self.runs:
            found.setdefault((model, dataset, method), []).append(seed)
        return found

    def seeds(self, cell: Cell, method: str) -> list[int]:
        """The seeds with which a method was trained in a cell."""
        return self.seeds_of.get((*cell, method), [])

    def rows(self, cell: Cell, method: str, seeds: Sequence[int]) -> list[int]:
        """The rows of `values` that hold these runs."""
        return [self.row[(*cell, method, seed)] for seed in seeds]


def make_board(problems: DataFrame, column: str) -> Board:
    """Arrange one per-problem metric as matrices. InputError if two runs were graded on different problems."""
    trained = problems[problems["method"] != "base"]
    runs = sorted(trained[RUN].drop_duplicates().itertuples(index=False, name=None))
    items, values = {}, {}
    for benchmark, rows in trained.groupby("benchmark", sort=True):
        table = rows.pivot(index=RUN, columns="problem_id", values=column).reindex(runs)
        if table.isna().to_numpy().any():
            run = table.index[table.isna().any(axis=1)][0]
            raise InputError(f"{benchmark}: run {'/'.join(map(str, run))} lacks problems that other runs have")
        items[str(benchmark)], values[str(benchmark)] = list(table.columns), table.to_numpy(dtype=float)
    return Board(runs, items, values)


@dataclass(frozen=True)
class Scope:
    """What a comparison averages over; one family of Holm's correction per `name`."""

    name: str  # study, benchmark, cell or cell-benchmark
    cells: tuple[Cell, ...]
    benchmarks: tuple[str, ...]


def scopes(cells: Sequence[Cell], benchmarks: Sequence[str]) -> list[Scope]:
    """All averages the tables and the report speak about."""
    every_cell, every_benchmark = tuple(cells), tuple(benchmarks)
    return [
        Scope("study", every_cell, every_benchmark),
        *(Scope("benchmark", every_cell, (benchmark,)) for benchmark in benchmarks),
        *(Scope("cell", (cell,), every_benchmark) for cell in cells),
        *(Scope("cell-benchmark", (cell,), (benchmark,)) for cell in cells for benchmark in benchmarks),
    ]


def baseline_of(methods: Sequence[str]) -> str:
    """The method that others are compared with: grpo, or the study's first method where grpo is not in the study."""
    return BASELINE if BASELINE in methods else methods[0]


def analyse(
    problems: DataFrame,
    column: str,
    methods: Sequence[str],
    audit: Audit | None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> dict[str, Any]:
    """Compare every method with the baseline and summarise each method; the content of statistics.json.

    Intervals are null wherever a cell has one seed only.

    `problems` is the table of `scores.problem_table`, `column` the metric in it, `methods` the study's order, `audit`
    the measured rates that admit the primary interval to give verdicts; without one there are none.
    A score is the unweighted mean over benchmarks. Deterministic given `seed`.
    """
    import numpy

    rng = numpy.random.default_rng(seed)
    board = make_board(problems, column)
    baseline = baseline_of(methods)
    analysis = Analysis(board, baseline, CrossedBootstrap(board.items, rng, replicates), rng)
    cells = list(dict.fromkeys((model, dataset) for model, dataset, _, _ in board.runs))
    all_scopes = scopes(cells, list(board.values))
    others = [method for method in methods if method != baseline]
    compared = [
        row for scope in all_scopes for method in others if (row := analysis.compare_with_baseline(scope, method))
    ]
    return {
        "metric": column,
        "baseline": baseline,
        "level": LEVEL,
        "enough_seeds": ENOUGH_SEEDS,
        "seed": seed,
        "replicates": replicates,
        "comparisons": [_described(row) for row in _with_verdicts(compared, audit)],
        "aggregates": [analysis.aggregate(all_scopes[0], method) for method in methods],
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
        tasks = [self.task(cell, benchmark, method) for cell in cells for benchmark in scope.benchmarks]
        spread = all(len(cell) > 1 for cell in differences)  # one seed says nothing about other seeds
        return {
            "scope": scope,
            "method": method,
            "cells": cells,
            "seeds": [self.paired(cell, method) for cell in cells],
            "differences": [[float(value) for value in cell] for cell in differences],
            "interval": pooled_t(differences),
            "bootstrap": percentile_interval(numpy.mean([task[0] for task in tasks], axis=0)) if spread else None,
            "improvement": float(numpy.mean([task[2] for task in tasks])),
            "improvement_interval": percentile_interval(numpy.mean([t[1] for t in tasks], axis=0)) if spread else None,
        }

    def differences(self, cell: Cell, benchmarks: Sequence[str], method: str) -> Floats:
        """Difference to the baseline per paired seed, mean over benchmarks: [seeds]."""
        import numpy

        seeds = self.paired(cell, method)
        ours, theirs = (self.board.rows(cell, name, seeds) for name in (method, self.baseline))
        means = [self.board.means[benchmark] for benchmark in benchmarks]
        paired: Floats = numpy.mean([scores[ours] - scores[theirs] for scores in means], axis=0)
        return paired

    def task(self, cell: Cell, benchmark: str, method: str) -> tuple[Floats, Floats, float]:
        """Replicates of the difference and of P(better), and P(better) itself, of one cell and benchmark."""
        key = (cell, benchmark, method)
        if key not in self.tasks:
            seeds = self.paired(cell, method)
            ours, theirs = (self.board.rows(cell, name, seeds) for name in (method, self.baseline))
            counts, other_counts = self.seed_counts(cell, len(seeds))
            resampled = self.resampled[benchmark]
            difference = ((resampled[:, ours] - resampled[:, theirs]) * counts).mean(axis=1)
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

    def aggregate(self, scope: Scope, method: str) -> dict[str, Any]:
        """Mean and interquartile mean of a method over all its runs x benchmarks."""
        import numpy

        tasks = self.run_scores(scope, method)
        spread = all(len(task) > 1 for task in tasks)
        samples = interquartile_mean_samples(tasks, self.rng, self.bootstrap.replicates) if spread else None
        lower, upper = (None, None) if samples is None else percentile_interval(samples)
        pooled, width = numpy.concatenate(tasks), len(scope.benchmarks)
        cells = [numpy.mean(tasks[first : first + width], axis=0) for first in range(0, len(tasks), width)]
        interval = pooled_t(cells)
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


def mean_over_cells(cells: Sequence[Floats] | Sequence[Sequence[float]]) -> list[float] | None:
    """One value per seed; None where the cells have different numbers of seeds."""
    import numpy

    if len({numpy.size(cell) for cell in cells}) > 1:
        return None
    return [float(value) for value in numpy.mean(numpy.asarray(cells), axis=0)]


def _with_verdicts(compared: list[dict[str, Any]], audit: Audit | None) -> list[dict[str, Any]]:
    """Add Holm's p within each family and the verdict; a comparison without an interval takes no part."""
    for family in dict.fromkeys(row["scope"].name for row in compared):
        tested = [row for row in compared if row["scope"].name == family and row["interval"].p is not None]
        for row, adjusted in zip(tested, holm([row["interval"].p for row in tested]), strict=True):
            row["adjusted"] = adjusted
    for row in compared:
        fewest = min(len(seeds) for seeds in row["seeds"])
        admitted = audit is not None and audit.admits(PRIMARY, fewest)
        row["verdict"] = comparison_verdict(row["interval"], row.get("adjusted"), fewest, admitted)
    return compared


def _described(row: dict[str, Any]) -> dict[str, Any]:
    """One comparison as plain JSON: model, dataset and benchmark are null where the comparison averages over them."""
    scope: Scope = row["scope"]
    interval = asdict(row["interval"])
    one_cell, one_benchmark = scope.name.startswith("cell"), scope.name.endswith("benchmark")
    return {
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
        "p_holm": row.get("adjusted"),
        "verdict": row["verdict"],
        "bootstrap": row["bootstrap"],
        "improvement": row["improvement"],
        "improvement_interval": row["improvement_interval"],
    }


def comparison(statistics: Mapping[str, Any], scope: str, **where: object) -> dict[str, Any] | None:
    """One comparison of statistics.json; None for the baseline and the base model, which are compared with nothing."""
    for row in statistics["comparisons"]:
        if row["scope"] == scope and all(row[key] == value for key, value in where.items()):
            return dict(row)
    return None
