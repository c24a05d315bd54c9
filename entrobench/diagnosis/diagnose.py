"""From rows to findings: of one run, of a study, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.catalogue.marks import INERT, marks_of
from entrobench.errors import InputError
from entrobench.results import RunFolder, StudyFolder
from entrobench.run_config import read_config
from entrobench.training.live import read_live

from .rules import FEWEST, RULES, WINDOW
from .series import Log

HEALTHY = "nothing found: no rule of entrobench/diagnosis/rules.py fires"


@dataclass(frozen=True)
class Finding:
    """One rule that fired for one run: since which step, on what evidence, and what to do."""

    run: str
    rule: str
    title: str
    step: int | None
    evidence: str
    advice: str
    setting: str


def diagnose(
    rows: Sequence[Mapping[str, Any]], run: str = "", values: Mapping[str, Any] | None = None, inert: bool = False
) -> list[Finding]:
    """Apply every rule to a run's rows; fewer than FEWEST steps are not judged.

    `values` are the method's settings, `inert` says that the method acts only where ratios have moved.
    """
    if len(rows) < FEWEST:
        return []
    log = Log(rows, values or {}, inert, WINDOW)
    seen = ((rule, rule.sign(log)) for rule in RULES)
    return [
        Finding(run, rule.name, rule.title, found.step, found.text, rule.advice, rule.setting)
        for rule, found in seen
        if found is not None
    ]


def run_findings(run: RunFolder) -> list[Finding]:
    """Diagnose a run by its files: finished, or still training. InputError where it has no rows yet.

    A run that was imported, or that another version trained, is judged by its rows alone: its settings are not known.
    """
    rows = read_rows(run)
    try:
        method = read_config(run.folder).method
    except InputError:
        return diagnose(rows, str(run.key))
    return diagnose(rows, str(run.key), method.values, INERT in marks_of(method.use, method.values))


def read_rows(run: RunFolder) -> list[dict[str, Any]]:
    """The rows of a run, of steps.parquet or, while it trains, of live.jsonl."""
    import pyarrow.parquet

    if run.steps.is_file():
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(run.steps).to_pylist()
        return rows
    if run.live.is_file():
        return list(read_live(run.live))
    raise InputError(f"{run.folder}: neither {run.steps.name} nor {run.live.name} is there: the run has not begun")


def study_findings(study: StudyFolder) -> list[Finding]:
    """Diagnose every run of a study that has rows."""
    runs = [run for run in study.runs() if run.steps.is_file() or run.live.is_file()]
    return [finding for run in runs for finding in run_findings(run)]


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return RunFolder(folder).config.is_file()


def by_rule(found: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings of one rule together, in the order in which rules first come."""
    groups: dict[str, list[Finding]] = {}
    for finding in found:
        groups.setdefault(finding.rule, []).append(finding)
    return groups


def as_text(found: Iterable[Finding]) -> str:
    """Findings for a terminal: runs with the same finding stand together, each with its evidence."""
    blocks = []
    for rule, group in by_rule(found).items():
        lines = [f"{rule}: {group[0].title}"]
        lines += [f"  {finding.run + ': ' if finding.run else ''}{finding.evidence}" for finding in group]
        blocks.append("\n".join([*lines, f"  -> {group[0].advice}", f"     settings: {group[0].setting}"]))
    return "\n\n".join(blocks) or HEALTHY
