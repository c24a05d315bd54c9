"""Grades a file of generations, and explains a single verdict step by step."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from entrobench.errors import InputError

from .exact_numbers import read_number
from .extraction import Extraction, extract, extract_gold
from .graders import GRADER_VERSION, Verdict, grade, warm_up
from .normalization import Unreadable, normalize
from .tolerance import with_tolerance

_REQUIRED = ("problem_id", "draw", "gold", "response", "tokens", "finish")


def grade_file(generations: Path, output: Path, progress: bool) -> None:
    """Grade generations/<benchmark>.jsonl.zst into the grades table (parquet), on all cores.

    Identical (response, gold) pairs are graded once. Raises InputError with file and row for a bad or missing gold.
    """
    rows = read_generations(generations)
    pairs = list(dict.fromkeys((row["response"], row["gold"]) for row in rows))
    verdicts = _grade_pairs(pairs, f"grading {generations.name}", progress)
    judged = (with_tolerance(verdicts[row["response"], row["gold"]], row.get("tolerance")) for row in rows)
    _write([_graded(row, verdict) for row, verdict in zip(rows, judged, strict=True)], output)


def read_generations(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a generations file, without its header; raises InputError for one that cannot be graded."""
    rows = [record for record in _records(path) if "header" not in record]
    for number, row in enumerate(rows, start=1):
        missing = [key for key in _REQUIRED if key not in row]
        if missing:
            raise InputError(f"{path}: row {number}: missing {', '.join(missing)} (required: {', '.join(_REQUIRED)})")
        if not isinstance(row["gold"], str) or not row["gold"].strip():
            raise InputError(
                f"{path}: row {number}: gold is empty or not text ({row['gold']!r}), nothing to grade against"
            )
    return rows


def _records(path: Path) -> Iterator[dict[str, Any]]:
    import zstandard

    if not path.exists():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as compressed, zstandard.ZstdDecompressor().stream_reader(compressed) as plain:
        for number, line in enumerate(io.TextIOWrapper(plain, encoding="utf-8"), start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}: line {number} is no JSON: {error.msg}") from error


def _grade_pairs(pairs: list[tuple[str, str]], title: str, progress: bool) -> dict[tuple[str, str], Verdict]:
    from rich.progress import track

    warm_up()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        graded = threads.map(lambda pair: grade(*pair), pairs)
        return dict(zip(pairs, track(graded, title, total=len(pairs), disable=not progress), strict=True))


def _graded(row: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    return {
        "problem_id": str(row["problem_id"]),
        "draw": int(row["draw"]),
        "correct": verdict.correct,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "extracted_prediction": verdict.extracted_prediction,
        "extracted_gold": verdict.extracted_gold,
        "seconds": verdict.seconds,
        "tokens": int(row["tokens"]),
        "truncated": row["finish"] == "length",
    }


def _write(rows: list[dict[str, Any]], output: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    text, whole, real, yes_no = pyarrow.string(), pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()
    schema = pyarrow.schema(
        {
            **{"problem_id": text, "draw": whole, "correct": yes_no, "outcome": text, "reason": text},
            **{"extracted_prediction": text, "extracted_gold": text, "seconds": real, "tokens": whole},
            "truncated": yes_no,
        },
        metadata={b"grader_version": GRADER_VERSION.encode()},
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), output)


def explain(prediction: str, gold: str) -> str:
    """Return, line by line, how the verdict on one prediction came about."""
    verdict = grade(prediction, gold)
    lines = [
        *_explain_side("prediction", extract(prediction)),
        *_explain_side("gold", extract_gold(gold)),
        f"decided    by {verdict.reason}",
        f"verdict    {verdict.outcome} in {verdict.seconds * 1000:.1f} ms (grader {GRADER_VERSION})",
    ]
    return "\n".join(lines)


def _explain_side(name: str, found: Extraction) -> list[str]:
    lines = [f"{name:<10} answer {found.answer!r} (rule: {found.rule})"]
    try:
        spelled = normalize(found.answer)
    except Unreadable as unreadable:
        return [*lines, f"{'':<10} unreadable: {unreadable}"]
    number = read_number(spelled)
    lines.append(f"{'':<10} spelled {spelled!r}")
    if number is not None:
        unit = f", unit {number.unit}" if number.unit not in ("", "?") else ""
        percent = ", percent" if number.percent else ""
        lines.append(f"{'':<10} exact number {number.value}{percent}{unit}")
    return lines
