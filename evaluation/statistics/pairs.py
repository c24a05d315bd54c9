"""Every pair of methods over the whole study, by the interval that compares each with the baseline; no verdicts.

A pair is not in the family that the study declared, so nothing here is corrected for the number of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .analysis import Analysis
from .board import make_board
from .intervals import CrossedBootstrap, Interval
from .paired import paired_t

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Pair:
    """`first` minus `second` in one metric, mean over cells and benchmarks, over the seeds that both have."""

    first: str
    second: str
    interval: Interval


def all_pairs(problems: DataFrame, column: str, methods: Sequence[str]) -> Iterator[Pair]:
    """Every pair of different methods that share a seed in a cell, in both orders.

    `problems` is the table of `scores.problem_table`, `column` a metric in it.
    """
    import numpy

    board, rng = make_board(problems, column), numpy.random.default_rng(0)
    cells = list(dict.fromkeys((model, dataset) for model, dataset, _, _ in board.runs))
    benchmarks, unused = list(board.values), CrossedBootstrap(board.items, rng, replicates=1)
    for second in methods:
        analysis = Analysis(board, second, unused, rng)
        for first in methods:
            shared = [cell for cell in cells if analysis.paired(cell, first)] if first != second else []
            if shared:
                differences = [analysis.differences(cell, benchmarks, first) for cell in shared]
                others = [analysis.others(cell, benchmarks, first) for cell in shared]
                yield Pair(first, second, paired_t(differences, others, analysis.drawing(shared, benchmarks, first)))
