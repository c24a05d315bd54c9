"""Grading a generations file, and the explanation of one verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import zstandard

from entrobench.errors import InputError
from entrobench.evaluation.graders import GRADER_VERSION
from entrobench.evaluation.grading import explain, grade_file

HEADER = {"header": {"benchmark": "toy", "benchmark_version": 1, "evaluation": {}, "seed": 0}}


def row(problem: str, draw: int, gold: Any, response: str, finish: str = "stop") -> dict[str, Any]:
    return {
        **{"problem_id": problem, "draw": draw, "problem": "?", "gold": gold, "response": response},
        **{"tokens": len(response), "finish": finish},
    }


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(zstandard.ZstdCompressor().compress(text.encode()))
    return path


def test_a_file_becomes_the_grades_table(tmp_path: Path) -> None:
    rows = [
        row("p1", 0, "4", "so \\boxed{4}"),
        row("p1", 1, "4", "so \\boxed{5}"),
        row("p2", 0, "2(x+1)", "\\boxed{2x+2}"),
        row("p2", 1, "2(x+1)", "we try and", finish="length"),
        row("p3", 0, "4", "so \\boxed{4}"),
    ]
    output = tmp_path / "grades" / "toy.parquet"
    grade_file(write(tmp_path / "toy.jsonl.zst", [HEADER, *rows]), output, progress=False)
    table = pyarrow.parquet.read_table(output)
    assert table.schema.metadata[b"grader_version"] == GRADER_VERSION.encode()
    assert table.column("problem_id").to_pylist() == ["p1", "p1", "p2", "p2", "p3"]
    assert table.column("draw").to_pylist() == [0, 1, 0, 1, 0]
    assert table.column("correct").to_pylist() == [True, False, True, False, True]
    assert table.column("outcome").to_pylist()[:3] == ["correct", "wrong", "correct"]
    assert table.column("truncated").to_pylist() == [False, False, False, True, False]
    assert table.column("extracted_prediction").to_pylist()[0] == "4"
    assert table.column("tokens").to_pylist() == [len(one["response"]) for one in rows]


@pytest.mark.parametrize("gold", ["", "  ", None])
def test_an_empty_gold_stops_with_file_and_row(tmp_path: Path, gold: str | None) -> None:
    path = write(tmp_path / "toy.jsonl.zst", [HEADER, row("p1", 0, "4", "4"), row("p2", 0, gold, "5")])
    with pytest.raises(InputError, match=r"toy\.jsonl\.zst: row 2: gold is empty"):
        grade_file(path, tmp_path / "out.parquet", progress=False)
    assert not (tmp_path / "out.parquet").exists()


def test_a_missing_gold_stops_with_file_and_row(tmp_path: Path) -> None:
    bad = row("p1", 0, "4", "4")
    del bad["gold"]
    with pytest.raises(InputError, match=r"row 1: missing gold"):
        grade_file(write(tmp_path / "toy.jsonl.zst", [HEADER, bad]), tmp_path / "out.parquet", progress=False)


def test_a_missing_file_stops(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        grade_file(tmp_path / "none.jsonl.zst", tmp_path / "out.parquet", progress=False)


def test_explain_shows_each_step() -> None:
    text = explain("The answer is \\boxed{50\\%}.", "\\frac12")
    assert "last box" in text
    assert "'\\\\frac{1}{2}'" in text
    assert "exact number 50, percent" in text
    assert text.splitlines()[-1].startswith("verdict    correct")


def test_explain_says_what_cannot_be_read() -> None:
    assert "unreadable: control character" in explain("1\x00", "1")
