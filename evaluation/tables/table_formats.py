"""What a table is, and how it looks in the formats people read: Markdown, LaTeX (booktabs) and terminal text.

An entry may hold text of a model: in every format it is shown, not obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from entrobench.text import visible

if TYPE_CHECKING:
    from rich.table import Table as RichTable

WIDTH = 160  # characters, of tables in a file
PADDING = 3  # characters between two columns on the terminal
_MARKUP = re.compile(r"<(?=[a-zA-Z/!?])")
LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
}


@dataclass(frozen=True)
class Entry:
    """One entry of a table: its text, a smaller second line, and the value by which it is sorted."""

    text: str
    detail: str = ""
    value: float | str | None = None
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """A titled table. Headings may hold a line break; a change in the first `group` columns begins a new block."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Entry]]
    note: str = ""
    group: int = 0


def markdown(table: Table) -> str:
    """A heading, the table and its note."""
    lines = [_markdown_row(table.columns), _markdown_row(["---"] * len(table.columns))]
    lines += [_markdown_row([_markdown_entry(entry) for entry in row]) for row in table.rows]
    return f"### {table.title}\n\n" + "\n".join(lines) + f"\n\n{table.note}\n"


def _markdown_row(texts: list[str]) -> str:
    return "| " + " | ".join(_MARKUP.sub(r"\\<", visible(text)).replace("\n", " ") for text in texts) + " |"


def _markdown_entry(entry: Entry) -> str:
    text = entry.text.replace("|", "\\|")
    text = f"**{text}**" if entry.bold else text
    return f"{text} ({entry.detail})" if entry.detail else text


def latex(table: Table) -> str:
    """A booktabs table; the document needs \\usepackage{booktabs}."""
    body = []
    for before, row in zip([None, *table.rows], table.rows, strict=False):
        if before is not None and new_block(table, before, row):
            body.append(r"\midrule")
        body.append(" & ".join(_latex_entry(entry) for entry in row) + r" \\")
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escape_latex(table.title)}. {escape_latex(table.note)}}}",
            r"\begin{tabular}{" + "l" * len(table.columns) + "}",
            r"\toprule",
            " & ".join(escape_latex(column.replace("\n", " ")) for column in table.columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def new_block(table: Table, before: list[Entry], row: list[Entry]) -> bool:
    """Whether a row starts a new model x dataset block."""
    return [entry.text for entry in before[: table.group]] != [entry.text for entry in row[: table.group]]


def _latex_entry(entry: Entry) -> str:
    text = escape_latex(entry.text)
    text = rf"\textbf{{{text}}}" if entry.bold else text
    return rf"\shortstack[l]{{{text}\\({escape_latex(entry.detail)})}}" if entry.detail else text


def escape_latex(text: str) -> str:
    """Text with the characters that LaTeX treats as commands replaced."""
    return re.sub("|".join(map(re.escape, LATEX)), lambda match: LATEX[match.group()], visible(text))


def show(tables: Sequence[Table]) -> None:
    """Print tables at the terminal's width, or wide enough for every column where the output is a file."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    for table in tables:
        for part in parts(table, console.width):
            console.print(terminal(part))


def parts(table: Table, width: int) -> list[Table]:
    """Cut a table that is wider than `width` characters into some that fit, each with the columns up to the method."""
    columns = range(len(table.columns))
    wide = [PADDING + max(map(len, _lines(table, column))) for column in columns]
    keys = list(columns[: table.columns.index("method") + 1 if "method" in table.columns else 1])
    shown: list[list[int]] = [[]]
    for column in columns[len(keys) :]:
        if shown[-1] and sum(wide[c] for c in [*keys, *shown[-1], column]) > width:
            shown.append([])
        shown[-1].append(column)
    cut = []
    for number, chosen in enumerate(shown):
        kept = [*keys, *chosen]
        rows = [[row[column] for column in kept] for row in table.rows]
        title = table.title if number == 0 else f"{table.title}, continued"
        note = table.note if chosen is shown[-1] else ""
        cut.append(replace(table, title=title, columns=[table.columns[c] for c in kept], rows=rows, note=note))
    return cut


def _lines(table: Table, column: int) -> list[str]:
    entries = [row[column] for row in table.rows]
    texts = [table.columns[column], *(entry.text for entry in entries), *(entry.detail for entry in entries)]
    return [line for text in texts for line in text.split("\n")]


def terminal(table: Table) -> RichTable:
    """The table for rich's console; seeds stand on a second line."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=table.title, caption=table.note, box=box.SIMPLE_HEAD, caption_justify="left")
    for number, column in enumerate(table.columns):
        words = all(" " not in row[number].text for row in table.rows)
        shown.add_column(column, overflow="fold", no_wrap=words)
    for before, row in zip([None, *table.rows], table.rows, strict=False):
        if before is not None and new_block(table, before, row):
            shown.add_section()
        shown.add_row(*(Text.assemble(_styled(entry), (_below(entry), "dim")) for entry in row))
    return shown


def _styled(entry: Entry) -> tuple[str, str]:
    return visible(entry.text), "bold" if entry.bold else ""


def _below(entry: Entry) -> str:
    return f"\n{visible(entry.detail)}" if entry.detail else ""
