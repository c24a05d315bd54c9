"""Answers of a run to read in MLflow: of a few problems, the first sampled answer with its verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from entrobench.results import GENERATIONS, AnswersFolder
from entrobench.text import visible

PROBLEMS = 8  # ours: of each benchmark; the same problems for every run, so that answers stand side by side
LENGTH = 4000  # ours: characters of a long answer
COLUMNS = ("benchmark", "problem", "gold", "answer", "verdict", "reason")


def sample_answers(answers: AnswersFolder) -> dict[str, list[Any]]:
    """Columns of a table of answers, empty where a run has none or none is graded yet."""
    rows = [row for file in answers.all_generations() for row in _of_benchmark(answers, file)]
    return {name: [row[name] for row in rows] for name in COLUMNS} if rows else {}


def _of_benchmark(answers: AnswersFolder, file: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    name = file.name.removesuffix(GENERATIONS)
    if not answers.grades(name).is_file():
        return []
    table = pyarrow.parquet.read_table(answers.grades(name), columns=["problem_id", "draw", "outcome", "reason"])
    grades = {row["problem_id"]: row for row in table.to_pylist() if row["draw"] == 0}
    return [
        {
            "benchmark": name,
            "problem": _shown(row.get("problem", "")),
            "gold": _shown(row["gold"]),
            "answer": _shown(row["response"]),
            "verdict": grades[str(row["problem_id"])]["outcome"],
            "reason": _shown(grades[str(row["problem_id"])]["reason"]),
        }
        for row in _first_draws(file)
        if str(row["problem_id"]) in grades
    ]


def _first_draws(file: Path) -> list[dict[str, Any]]:
    """The first PROBLEMS rows that are a problem's first answer; the rest of the file is not read."""
    import zstandard

    found = []
    with zstandard.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if "header" not in row and row["draw"] == 0:
                found.append(row)
                if len(found) == PROBLEMS:
                    break
    return found


def _shown(text: str) -> str:
    """A text of the model or the data, cut, with control characters and their like written out."""
    text = visible(text)
    return text if len(text) <= LENGTH else f"{text[:LENGTH]} … ({len(text)} characters)"
