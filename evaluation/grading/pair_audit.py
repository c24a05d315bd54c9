"""Audits the grader on labelled pairs: wrong yes and wrong no by kind, ours beside math-verify on the same pairs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from entrobench.errors import InputError
from entrobench.json_lines import json_lines
from entrobench.text import printable, table

from .grade_files import grade_pairs
from .grader import GRADER_VERSION
from .grader_audit import SECOND, second_verdicts


def is_labelled(path: Path) -> bool:
    """Say whether a file holds labelled pairs (prediction, gold, expected) and no generations."""
    if not path.is_file() or path.suffix != ".jsonl":
        return False
    with path.open(encoding="utf-8", errors="replace") as lines:
        return '"expected"' in next(iter(lines), "")


def audit_pairs(path: Path, progress: bool) -> str:
    """Judge every pair by both graders; returns a table by kind, safe for a terminal. Raises InputError."""
    rows = [_check(row, where) for where, row in json_lines(path)]
    pairs = list(dict.fromkeys((row["prediction"], row["gold"]) for row in rows))
    verdicts = {"ours": grade_pairs(pairs, "entrobench", progress), SECOND: second_verdicts(pairs, progress)}
    misses: dict[str, Counter[tuple[str, bool]]] = {"ours": Counter(), SECOND: Counter()}
    for row in rows:
        for grader, found in verdicts.items():
            said = found[row["prediction"], row["gold"]].correct
            if said != row["expected"]:
                misses[grader][row.get("kind", ""), said] += 1
    kinds = Counter(row.get("kind", "") for row in rows)
    lines = [
        [
            printable(kind),
            str(number),
            *(str(misses[grader][kind, said]) for grader in misses for said in (True, False)),
        ]
        for kind, number in sorted(kinds.items())
    ]
    totals = [str(_total(misses[grader], said)) for grader in misses for said in (True, False)]
    right = [f"{100 * (1 - misses[grader].total() / len(rows)):.1f} % right" for grader in misses]
    header = ["kind", "pairs", *(f"{grader}: wrong {said}" for grader in misses for said in ("yes", "no"))]
    body = table(header, [*lines, ["all", str(len(rows)), *totals]])
    return f"{body}\ngrader {GRADER_VERSION}: {right[0]}; {SECOND}: {right[1]}"


def _check(row: dict[str, Any], where: str) -> dict[str, Any]:
    kinds = {"prediction": str, "gold": str, "expected": bool}
    if any(not isinstance(row.get(key), kind) for key, kind in kinds.items()):
        raise InputError(f"{where}: a labelled pair needs the texts prediction and gold, and expected: true or false")
    return row


def _total(misses: Counter[tuple[str, bool]], said: bool) -> int:
    return sum(number for (_, answer), number in misses.items() if answer == said)
