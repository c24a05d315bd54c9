"""The report's tables of all pairs of methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.statistics.pairs import Pair, all_pairs
from entrobench.evaluation.tables.entries import difference_entry, p_text
from entrobench.evaluation.tables.table_formats import Entry, Table

from .page.blocks import Block, Folded, Paragraphs, Tabular

if TYPE_CHECKING:
    from pandas import DataFrame

NOTE = (
    "Row minus the method named above, mean over tasks and benchmarks, with the 95 % paired t interval that the "
    "comparison with the baseline has. No verdicts and no correction: of many intervals some leave out 0 by chance."
)


def pair_blocks(problems: DataFrame, column: str, methods: Sequence[str], metric: str) -> list[Block]:
    """A table for each method, of all others beside it, in the report's terms; nothing for a single method."""
    found: dict[str, list[Pair]] = {}
    for pair in all_pairs(problems, column, methods):
        found.setdefault(pair.second, []).append(pair)
    tables: list[Block] = [
        Folded(f"minus {second}", [Tabular(Table(f"pairs {second}", "", COLUMNS, [_row(pair) for pair in pairs]))])
        for second, pairs in found.items()
    ]
    return [Paragraphs([f"In {metric}. {NOTE}"]), *tables] if tables else []


COLUMNS = ["method", "difference", "p (not corrected)"]


def _row(pair: Pair) -> list[Entry]:
    found: dict[str, Any] = {
        name: None if value is None else float(value)
        for name in ("mean", "lower", "upper", "p")
        for value in [getattr(pair.interval, name)]
    }
    p = found["p"]
    return [
        Entry(pair.first, value=pair.first),
        difference_entry(found["mean"], found["lower"], found["upper"], ""),
        Entry("–" if p is None else p_text(p), value=p),
    ]
