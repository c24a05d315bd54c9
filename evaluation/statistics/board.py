"""The scores of a study as matrices: a row per trained run, a column per problem, and the noise of drawing answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from entrobench.errors import InputError

from .drawing import score_variance
from .scores import RUN

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
    """Arrange one per-problem metric as matrices. InputError if two runs were graded on different problems."""
    trained = problems[problems["method"] != "base"]
    runs = sorted(trained[RUN].drop_duplicates().itertuples(index=False, name=None))
    items, values, drawing = {}, {}, {}
    for name, rows in trained.groupby("benchmark", sort=True):
        benchmark = str(name)
        table = rows.pivot(index=RUN, columns="problem_id", values=column).reindex(runs)
        if table.isna().to_numpy().any():
            run = table.index[table.isna().any(axis=1)][0]
            raise InputError(f"{benchmark}: run {'/'.join(map(str, run))} lacks problems that other runs have")
        items[benchmark], values[benchmark] = list(table.columns), table.to_numpy(dtype=float)
        averages = rows.pivot(index=RUN, columns="problem_id", values=average_column(column)).reindex(runs)
        drawing[benchmark] = score_variance(values[benchmark], averages.to_numpy(), int(rows["n"].min()), column)
    return Board(runs, items, values, drawing)


def average_column(metric: str) -> str:
    """The column with the shares of right answers, by the metric's own grader: 'pass@4 (x)' -> 'avg (x)'."""
    _, space, grader = metric.partition(" ")
    return f"avg{space}{grader}"
