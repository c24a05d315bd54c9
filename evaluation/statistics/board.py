"""The scores of a study as matrices: a row per trained run, a column per problem, and the noise of drawing answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from entrobench.errors import InputError

from .drawing import score_variance
from .scores import RUN, SNAPSHOT, carrying

if TYPE_CHECKING:
    from pandas import DataFrame

    from .intervals import Floats

Cell = tuple[str, str]  # model, dataset


@dataclass
class Board:
    """The scores of all trained runs: `values[benchmark]` is [runs, problems], its rows in the order of `runs`.

    `drawing[benchmark]` is [runs], the variance that drawing answers alone gives to a run's score.
    """

    runs: list[tuple[str, str, str, int]]  # model, dataset, method, seed
    items: dict[str, list[str]]
    values: dict[str, Floats]
    drawing: dict[str, Floats]

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
    """Arrange one per-problem metric of the benchmarks that carry it. InputError if runs have different problems."""
    trained = problems[problems["method"] != "base"]
    runs = sorted(trained[RUN].drop_duplicates().itertuples(index=False, name=None))
    items, values, drawing = {}, {}, {}
    for benchmark in carrying(trained, column):
        table, drawing[benchmark] = score_matrix(trained[trained["benchmark"] == benchmark], RUN, column)
        items[benchmark], values[benchmark] = list(table.columns), table.to_numpy(dtype=float)
    return Board(runs, items, values, drawing)


def score_matrix(rows: DataFrame, index: list[str], column: str) -> tuple[DataFrame, Floats]:
    """One benchmark's scores, a row per run and a column per problem, and the variance of drawing of each run's mean.

    Where several snapshots count, a score is the mean over them; they draw apart. InputError if two runs were graded on
    different problems.
    """
    import numpy

    tables, noise = [], []
    runs = rows[index].drop_duplicates().sort_values(index).set_index(index).index
    for _, own in rows.groupby(SNAPSHOT):
        scores, averages = (
            own.pivot(index=index, columns="problem_id", values=name).reindex(runs)
            for name in (column, average_column(column))
        )
        if scores.isna().to_numpy().any():
            run = "/".join(map(str, numpy.atleast_1d(scores.index[scores.isna().any(axis=1)][0])))
            raise InputError(f"{rows['benchmark'].iloc[0]}: run {run} lacks problems that other runs have")
        tables.append(scores)
        noise.append(score_variance(scores.to_numpy(dtype=float), averages.to_numpy(), int(own["n"].min()), column))
    count = len(tables)
    return sum(tables[1:], tables[0]) / count, sum(noise[1:], noise[0]) / count**2


def average_column(metric: str) -> str:
    """The column with the shares of right answers, by the metric's own grader: 'pass@4 (x)' -> 'avg (x)'."""
    _, space, grader = metric.partition(" ")
    return f"avg{space}{grader}"
