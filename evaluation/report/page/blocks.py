"""What a page is made of: sections of blocks. `page.html` says how each kind looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from entrobench.evaluation.tables.table_formats import Table

TASK = ["model", "dataset"]  # the columns by which long tables fold


@dataclass(frozen=True)
class Paragraphs:
    """Plain sentences."""

    kind: ClassVar[str] = "paragraphs"
    lines: Sequence[str]


@dataclass(frozen=True)
class Drawing:
    """A figure: drawings that stand side by side where there is room; (title, SVG) each."""

    kind: ClassVar[str] = "drawing"
    title: str
    text: str
    panels: Sequence[tuple[str, str]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure that is an image; `source` is a data: address, `seen` says what is on it."""

    kind: ClassVar[str] = "picture"
    title: str
    text: str
    source: str
    seen: str


@dataclass(frozen=True)
class Tabular:
    """A table; one of several tasks folds into one table for each."""

    kind: ClassVar[str] = "tabular"
    table: Table

    @property
    def parts(self) -> list[tuple[str, Table]]:
        """(task, table without its columns) for each task, or the table as it is under an empty name."""
        table, keys = self.table, len(TASK)
        if table.columns[:keys] != TASK:
            return [("", table)]
        tasks: dict[str, list[int]] = {}
        for number, row in enumerate(table.rows):
            tasks.setdefault(" · ".join(entry.text for entry in row[:keys]), []).append(number)
        columns = table.columns[keys:]
        return [
            (task, Table(table.name, table.title, columns, [table.rows[number][keys:] for number in numbers]))
            for task, numbers in tasks.items()
        ]


@dataclass(frozen=True)
class Definitions:
    """Names with their values."""

    kind: ClassVar[str] = "definitions"
    title: str
    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Commands:
    """Lines to type."""

    kind: ClassVar[str] = "commands"
    lines: Sequence[str]


@dataclass(frozen=True)
class Answer:
    """One sampled answer and what the grader said of it; `details` are short facts about it."""

    text: str
    right: bool
    verdict: str
    details: str


@dataclass(frozen=True)
class SampleProblem:
    """A problem with answers side by side: (method, its answers)."""

    title: str
    problem: str
    gold: str
    columns: Sequence[tuple[str, Sequence[Answer]]]


@dataclass(frozen=True)
class Samples:
    """Sampled answers, problem by problem."""

    kind: ClassVar[str] = "samples"
    problems: Sequence[SampleProblem]


@dataclass(frozen=True)
class Folded:
    """Blocks behind a line that opens them."""

    kind: ClassVar[str] = "folded"
    title: str
    blocks: Sequence[Block]


Block = Paragraphs | Drawing | Picture | Tabular | Definitions | Commands | Samples | Folded


@dataclass(frozen=True)
class Section:
    """One part of the page; `link` names it in the page's contents."""

    name: str
    title: str
    blocks: Sequence[Block]
    link: str = ""


@dataclass(frozen=True)
class Page:
    """A whole report. `headline` is its answer in sentences, the first of them in large type."""

    study: str
    description: str
    facts: Sequence[tuple[str, str]]
    headline: Sequence[str]
    sections: Sequence[Section]
    folder: str
    methods: Sequence[str] = field(default_factory=list)
