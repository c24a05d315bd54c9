"""Rows: one problem each, and how they are read from a pinned file of JSON lines or Parquet."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.config import setting
from entrobench.errors import InputError, first_line, nearest
from entrobench.json_lines import decode_lines, parse_json

MEANT = {"<super>": "^", "<sub>": "_", "<fraction>": " "}  # compatibility forms that change what a number says
UNKNOWN = "UNKNOWN"  # the hash of a file that nobody here has seen


@dataclass(frozen=True)
class Row:
    """One problem; `id` is `problem_id(problem)` and unique in its dataset.

    `tolerance` is how far from the answer (absolute) a number still counts as right; None: as the grader decides.
    """

    id: str
    problem: str
    answer: str
    tolerance: float | None = None


@dataclass(frozen=True)
class Columns:
    """Which columns of a file make a row.

    `answer` may hold a list of texts, which are joined by commas. `only` keeps the rows whose columns have these
    values. `unit` and `tolerance` name columns that may be null.
    """

    problem: str = setting("problem")
    answer: str = setting("answer")
    unit: str | None = setting(None)
    tolerance: str | None = setting(None)
    only: dict[str, Any] = setting({})


@dataclass(frozen=True)
class SplitFile(Columns):
    """One pinned file of a `jsonl` recipe: name in the data folder, hash, `rows`, and how many are `selected`."""

    file: str = setting("")
    sha256: str = setting("")
    rows: int = setting(0, low=1)
    selected: int | None = setting(None, low=1)

    def __post_init__(self) -> None:
        for name in ("file", "sha256", "rows"):
            if not getattr(self, name):
                raise ValueError(f"{name} is required")
        if bool(self.only) != (self.selected is not None):
            raise ValueError("only and selected (the number of rows it keeps) go together")


def problem_id(problem: str) -> str:
    """First 16 hex of the SHA-256 of the problem as `same_text` has it."""
    return hashlib.sha256(same_text(problem).encode()).hexdigest()[:16]


def same_text(problem: str) -> str:
    """NFKC, lower case, white space collapsed; but 5² stays another text than 52, and 3½ than 31⁄2."""
    kept = "".join(_spelled(character) for character in problem)
    return " ".join(unicodedata.normalize("NFKC", kept).lower().split())


def _spelled(character: str) -> str:
    """A raised, lowered or fractional character in a way that NFKC cannot merge with plain digits."""
    sign = MEANT.get(unicodedata.decomposition(character).partition(" ")[0])
    return character if sign is None else sign + unicodedata.normalize("NFKC", character)


def read_file(folder: Path, file: SplitFile, where: str) -> list[Row]:
    """Read the rows of a pinned file that `only` keeps; `where` names the recipe.

    Raises InputError for a missing file, another hash or count, and, with its row number, for a faulty row.
    """
    path = folder / file.file
    if not path.is_file():
        names = sorted(found.name for found in folder.iterdir())
        raise InputError(f"{where}: no file {file.file!r} in {folder}{nearest(file.file, names)}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if file.sha256 == UNKNOWN:
        raise InputError(f"{where}: sha256 is {UNKNOWN}: check the rows of {path}, then write {digest} there")
    if digest != file.sha256:
        raise InputError(f"{path}: wrong SHA-256: expected {file.sha256} ({where}), found {digest}")
    records = _records(path, content)
    if len(records) != file.rows:
        raise InputError(f"{path}: expected {file.rows} rows ({where}), found {len(records)}")
    parsed = (_parse(record, file, f"{path}: row {number}") for number, record in enumerate(records, start=1))
    rows = [row for row in parsed if row is not None]
    if file.selected not in (None, len(rows)):
        raise InputError(f"{path}: expected {file.selected} rows with {file.only} ({where}), found {len(rows)}")
    return rows


def count_records(path: Path) -> int:
    """How many rows a file holds. Raises InputError where it cannot be read."""
    return len(_records(path, path.read_bytes()))


def _records(path: Path, content: bytes) -> list[Any]:
    """The records of a Parquet file, or lines of JSON as text."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            return list(pyarrow.parquet.read_table(path).to_pylist())
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not readable as Parquet: {first_line(error)}") from None
    return decode_lines(content, str(path))


def _parse(record: str | dict[str, Any], file: SplitFile, where: str) -> Row | None:
    """One line of JSON, or one record of a Parquet file, as a row; None if `only` leaves it out."""
    return row_of(parse_json(record, where) if isinstance(record, str) else record, file, where)


def row_of(values: Mapping[str, Any], columns: Columns, where: str) -> Row | None:
    """A row from a record's values; None if `only` leaves it out. Raises InputError for a missing or faulty value."""
    if any(_column(values, column, where) != wanted for column, wanted in columns.only.items()):
        return None
    problem = _text(_column(values, columns.problem, where), f"{where}: {columns.problem}")
    answer = _answer(_column(values, columns.answer, where), f"{where}: {columns.answer}")
    unit = _column(values, columns.unit, where) if columns.unit else None
    if unit is not None and "," not in answer:  # after several answers it would belong to the last one only
        answer += " " + _text(unit, f"{where}: {columns.unit}")
    tolerance = _tolerance(_column(values, columns.tolerance, where), where) if columns.tolerance else None
    return Row(problem_id(problem), problem, answer, tolerance)


def _column(values: Mapping[str, Any], column: str, where: str) -> Any:
    if column not in values:
        raise InputError(f"{where}: no column {column!r} (there: {', '.join(values)}){nearest(column, values)}")
    return values[column]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where} must be text, got {value!r:.60}")
    if not value.strip():
        raise InputError(f"{where} is empty")
    return value


def _answer(value: Any, where: str) -> str:
    """A text or whole number, or a list of them as one text: the order of several answers does not count."""
    if type(value) is int:
        return str(value)
    if not isinstance(value, list):
        return _text(value, where)
    if not value:
        raise InputError(f"{where} is empty")
    return ", ".join(_answer(part, where) for part in value)


def _tolerance(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        tolerance = float(value)
    except (TypeError, ValueError):
        tolerance = math.nan
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise InputError(f"{where}: tolerance must be a number above 0, got {value!r:.60}")
    return tolerance
