"""Audits the grader: our verdicts beside those of a second grader, math-verify, and where they disagree.

math-verify runs in the killable workers as `reward: paper` calls it, each verdict under a wall deadline.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from entrobench.errors import InputError
from entrobench.results import generations_below
from entrobench.text import excerpt, table

from .grade_files import ENDINGS, grade_pairs, read_generations
from .grader import OUTCOMES, Verdict
from .rewards import built_in_reward

SECOND = "math-verify"
_WIDTHS = {"problem": 18, "gold": 24, "read by ours": 24, f"read by {SECOND}": 24, "end of the response": 48}


@dataclass(frozen=True)
class Judged:
    """One answer of a file under both graders."""

    file: Path
    problem: str
    draw: int
    gold: str
    response: str
    ours: Verdict
    theirs: Verdict

    @property
    def agree(self) -> bool:
        """Whether both say correct or both do not."""
        return self.ours.correct == self.theirs.correct


def generation_files(path: Path) -> list[Path]:
    """The generations files that a path means: itself, or all below a run's, base model's or study's folder."""
    if path.is_file():
        return [path]
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    files = [file for file in generations_below(path) if file.name.endswith(ENDINGS)]
    if not files:
        raise InputError(f"{path}: no generations/*.jsonl.zst in or below it; run `entrobench generate` first")
    return files


def audit(path: Path, progress: bool) -> str:
    """Judge every answer of the files by both graders and return the comparison as text, safe for a terminal."""
    rows = [(file, row) for file in generation_files(path) for row in read_generations(file)]
    answers = [(row["response"], row["gold"]) for _, row in rows]
    pairs = list(dict.fromkeys(answers))
    ours = grade_pairs(pairs, "entrobench", progress)
    theirs = second_verdicts(pairs, progress)
    judged = [
        Judged(file, str(row["problem_id"]), row["draw"], row["gold"], row["response"], ours[pair], theirs[pair])
        for (file, row), pair in zip(rows, answers, strict=True)
    ]
    return describe(judged)


def second_verdicts(pairs: list[tuple[str, str]], progress: bool) -> dict[tuple[str, str], Verdict]:
    """math-verify's verdicts on different (prediction, gold) pairs, on all cores."""
    from rich.progress import track

    reward = built_in_reward("paper")
    reward("\\boxed{1}", "1", True, "")  # imports math-verify before the first deadline that counts
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        judged = threads.map(lambda pair: reward(pair[0], pair[1], True, ""), pairs)
        return dict(zip(pairs, track(judged, SECOND, total=len(pairs), disable=not progress), strict=True))


def describe(judged: Sequence[Judged]) -> str:
    """The counts, the agreement and a table of the disagreements, sorted by who alone says correct, then by problem."""
    if not judged:
        return "0 answers: nothing to compare"
    apart = sorted(
        (row for row in judged if not row.agree),
        key=lambda row: (not row.ours.correct, str(row.file), row.problem, row.draw),
    )
    only_ours = sum(row.ours.correct for row in apart)
    lines = [
        f"{len(judged)} answers, both graders agree on {len(judged) - len(apart)} "
        f"({100 * (1 - len(apart) / len(judged)):.2f} %)",
        f"{len(apart)} disagree: {only_ours} correct for entrobench alone, "
        f"{len(apart) - only_ours} correct for {SECOND} alone",
        _counts("entrobench", [row.ours for row in judged]),
        _counts(SECOND, [row.theirs for row in judged]),
    ]
    return "\n".join([*lines, *(["", _disagreements(apart)] if apart else [])])


def _counts(name: str, verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts)
    return f"{name + ':':<13}" + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)


def _disagreements(apart: Sequence[Judged]) -> str:
    several = len({row.file for row in apart}) > 1
    header = [*(["file"] if several else []), "problem", "draw", "gold", "ours", "read by ours", SECOND]
    header += [f"read by {SECOND}", "rule of ours", "end of the response"]
    return table(header, [_cells(row, header) for row in apart])


def _cells(row: Judged, header: Sequence[str]) -> list[str]:
    texts = {
        "file": str(row.file),
        "problem": row.problem,
        "draw": str(row.draw),
        "gold": row.gold,
        "ours": row.ours.outcome,
        "read by ours": row.ours.extracted_prediction,
        SECOND: row.theirs.outcome,
        f"read by {SECOND}": row.theirs.extracted_prediction,
        "rule of ours": row.ours.reason,
        "end of the response": row.response,
    }
    return [excerpt(texts[name], _WIDTHS.get(name, 60)) for name in header]
