"""Grades a file of generations into the grades table, on all cores."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

from entrobench.errors import InputError
from entrobench.files import make_folder, replacing
from entrobench.json_lines import decode_lines, parse_json
from entrobench.results import GENERATIONS, AnswersFolder

from .grader import GRADER_VERSION, OUTCOMES, Verdict, grade, needs_worker, remember, warm_up, with_tolerance

_REQUIRED = ("problem_id", "draw", "gold", "response", "tokens", "finish")
_ESSENTIAL = ("gold", "response")  # of a file that the pipeline did not write
_NUMBERS: dict[str, tuple[type, ...]] = {"draw": (int,), "tokens": (int,), "tolerance": (int, float)}
ENDINGS = (GENERATIONS, ".jsonl")


def grade_file(generations: Path, output: Path, progress: bool) -> None:
    """Grade a generations file (.jsonl or .jsonl.zst) into the grades table (parquet), and print the outcomes' counts.

    Identical (response, gold) pairs are graded once. Where `output` holds the grades of this grader version already,
    an answer that it judged costs nothing. Raises InputError with file and row for a bad or missing gold.
    """
    rows = read_generations(generations)
    _remember_grades(output)
    pairs = list(dict.fromkeys((row["response"], row["gold"]) for row in rows))
    verdicts = grade_pairs(pairs, f"grading {generations.name}", progress)
    judged = [with_tolerance(verdicts[row["response"], row["gold"]], row.get("tolerance")) for row in rows]
    _write([_graded(row, verdict) for row, verdict in zip(rows, judged, strict=True)], output)
    counts = Counter(verdict.outcome for verdict in judged)
    print(f"{output}: {len(rows)} answers: {', '.join(f'{counts[outcome]} {outcome}' for outcome in OUTCOMES)}")


def output_of(generations: Path) -> Path:
    """Where the grades of a generations file go: from a run's generations/ to its grades/, else beside the file."""
    name = next((generations.name.removesuffix(end) for end in ENDINGS if generations.name.endswith(end)), None)
    if name is None:
        raise InputError(f"{generations}: a generations file ends in {' or '.join(ENDINGS)}")
    place = AnswersFolder.of_generations(generations)
    return place.grades(name) if place else generations.with_name(f"{name}.grades.parquet")


def read_generations(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a generations file, without its header; raises InputError for one that cannot be graded.

    A file without header is not the pipeline's: its rows need gold and response, the rest is numbered or left empty.
    """
    records = list(_records(path))
    rows = [(where, record) for where, record in records if "header" not in record]
    required = _REQUIRED if len(rows) < len(records) else _ESSENTIAL
    draws: Counter[str] = Counter()
    for number, (where, row) in enumerate(rows, start=1):
        _check(row, required, where)
        problem = str(row.setdefault("problem_id", row.get("id", number)))
        row.setdefault("draw", draws[problem])
        draws[problem] += 1
    return [row for _, row in rows]


def _check(row: dict[str, Any], required: Sequence[str], where: str) -> None:
    """Raise InputError for a row that cannot be graded; a gold answer that is a whole number becomes text."""
    missing = [key for key in required if key not in row]
    if missing:
        raise InputError(f"{where}: missing {', '.join(missing)} (required: {', '.join(required)})")
    if type(row["gold"]) is int:
        row["gold"] = str(row["gold"])
    if not isinstance(row["response"], str):
        raise InputError(f"{where}: response is not text ({row['response']!r:.60})")
    if not isinstance(row["gold"], str) or not row["gold"].strip():
        raise InputError(f"{where}: gold is empty or not text ({row['gold']!r:.60}), nothing to grade against")
    for key, kinds in _NUMBERS.items():
        value = row.get(key)
        wrong = isinstance(value, bool) or not isinstance(value, kinds)
        if value is not None and (wrong or abs(row[key]) >= 2**63):
            raise InputError(f"{where}: {key} is no number of this kind ({value!r:.60})")


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every line of a file."""
    output_of(path)  # refuses any other kind of file
    if not path.exists():
        raise InputError(f"{path}: no such file")
    content = _content(path)
    for number, line in enumerate(decode_lines(content, str(path)) if content else [], start=1):
        where = f"{path}: row {number}"
        yield where, parse_json(line, where)


def _content(path: Path) -> bytes:
    import zstandard

    if path.suffix != ".zst":
        return path.read_bytes()
    reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        content = reader.decompress(path.read_bytes())
    except zstandard.ZstdError as error:
        raise InputError(f"{path}: not readable as zst: {error}") from error
    if not reader.eof or reader.unused_data:  # a stream reader would end there without a word
        raise InputError(f"{path}: not readable as zst: it is cut off, or more follows its end")
    return content


def _remember_grades(grades: Path) -> None:
    """Take over the verdicts of an earlier grading by this grader version."""
    import pyarrow.parquet

    if not grades.exists():
        return
    table = pyarrow.parquet.read_table(grades)
    if (table.schema.metadata or {}).get(b"grader_version") != GRADER_VERSION.encode():
        return
    for row in table.select([field.name for field in fields(Verdict)]).to_pylist():
        remember(Verdict(**row))


def grade_pairs(pairs: list[tuple[str, str]], title: str, progress: bool) -> dict[tuple[str, str], Verdict]:
    """Grade different (response, gold) pairs on all cores, with a progress bar if wished."""
    if any(needs_worker(*pair) for pair in pairs):  # whole numbers, as the embedded tasks have them, need no sympy
        warm_up()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        graded: Iterable[Verdict] = threads.map(lambda pair: grade(*pair), pairs)
        if progress:
            from rich.progress import track

            graded = track(graded, title, total=len(pairs))
        return dict(zip(pairs, graded, strict=True))


def _graded(row: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    return {
        "problem_id": str(row["problem_id"]),
        "draw": int(row["draw"]),
        "snapshot": int(row.get("snapshot", 0)),
        "correct": verdict.correct,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "extracted_prediction": verdict.extracted_prediction,
        "extracted_gold": verdict.extracted_gold,
        "seconds": verdict.seconds,
        "tokens": row.get("tokens"),
        "truncated": row["finish"] == "length" if "finish" in row else None,
    }


def _write(rows: list[dict[str, Any]], output: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    text, whole, real, yes_no = pyarrow.string(), pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()
    schema = pyarrow.schema(
        {
            **{"problem_id": text, "draw": whole, "correct": yes_no, "outcome": text, "reason": text},
            **{"extracted_prediction": text, "extracted_gold": text, "seconds": real, "tokens": whole},
            **{"truncated": yes_no, "snapshot": whole},
        },
        metadata={b"grader_version": GRADER_VERSION.encode()},
    )
    make_folder(output.parent)
    with replacing(output) as draft:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), draft)
