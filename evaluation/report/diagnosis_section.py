"""The part of a report that says what the diagnosis found in the runs, on what evidence, and what to change."""

from __future__ import annotations

from collections.abc import Sequence

from entrobench.diagnosis.diagnose import HEALTHY, Finding, by_rule
from entrobench.evaluation.tables.table_formats import Entry, Table

from .page.blocks import Block, Folded, Paragraphs, Tabular

COLUMNS = ["run", "since step", "evidence"]


def diagnosis_blocks(findings: Sequence[Finding]) -> list[Block]:
    """What each rule says with its advice, and the runs behind it folded; one sentence where no rule objects."""
    blocks: list[Block] = []
    for group in by_rule(findings).values():
        first, count = group[0], f"{len(group)} run{'s' if len(group) > 1 else ''}"
        advice = Paragraphs([f"{first.advice} Settings: {first.setting}."])
        table = Table(first.rule, "", COLUMNS, [_row(finding) for finding in group])
        blocks.append(Folded(f"{first.title} ({count})", [advice, Tabular(table)]))
    return blocks or [Paragraphs([HEALTHY])]


def _row(finding: Finding) -> list[Entry]:
    step = Entry("–") if finding.step is None else Entry(str(finding.step), value=finding.step)
    return [Entry(finding.run, value=finding.run), step, Entry(finding.evidence, value=finding.evidence)]
