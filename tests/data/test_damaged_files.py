"""Files of a repository that are damaged or not what the recipe says: file, row and reason in one line."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from entrobench.config import parse
from entrobench.data.hub import HubSplit, _read_split
from entrobench.data.rows import Row, _records
from entrobench.errors import InputError

COLUMNS = {"problem": "q", "answer": "a"}


def read(path: Path, **columns: Any) -> list[Row]:
    split = parse(HubSplit, {"files": path.name, **COLUMNS, **columns}, "here")
    return _read_split({path.name: path}, split, "config/datasets/theirs.yaml: splits.test")


def test_rows_whose_answer_is_zero_stay_and_rows_without_one_go(tmp_path: Path) -> None:
    values = [{"q": "1 - 1", "a": 0}, {"q": "2 - 2", "a": "0"}, {"q": "?", "a": None}, {"q": "!", "a": ""}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in values))
    assert [row.answer for row in read(tmp_path / "rows.jsonl")] == ["0", "0"]
    parquet.write_table(pyarrow.table({"q": ["1 - 1", "?"], "a": [0, None]}), tmp_path / "rows.parquet")
    assert [row.answer for row in read(tmp_path / "rows.parquet")] == ["0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"q": "1", "a": "1"}\n{"q": "1"}\n', "rows.jsonl: row 2: no column 'a' .there: q."),
        (b'{"a": "1"}\n', "rows.jsonl: row 1: no column 'q' .there: a."),
        (b'{"q": null, "a": "1"}\n', "rows.jsonl: row 1: q must be text, got None"),
        (b'{"q": "1", "a": 1.5}\n', "rows.jsonl: row 1: a must be text, got 1.5"),
        (b'{"q": "1", "a": true}\n', "rows.jsonl: row 1: a must be text, got True"),
        (b'{"q": "1", "a": ' + b"7" * 5000 + b"}\n", "row 1: a whole number of 5000 digits"),
        (b'{"q": "\xe9", "a": "1"}\n', "row 1: not UTF-8"),
        (b'{"q": "\\udfff", "a": "1"}\n', "row 1: q: holds half a character"),
    ],
)
def test_rows_that_cannot_be_read_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "rows.jsonl")
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_one_line_wherever_it_is_damaged(tmp_path: Path) -> None:
    """Pages are compressed and read late: the fault may show in the footer, in a page or in a text."""
    path, draw = tmp_path / "rows.parquet", random.Random(0)
    said: list[str] = []
    table = pyarrow.table({"q": [f"{n} + {n} = ü" for n in range(300)], "a": [str(2 * n) for n in range(300)]})
    parquet.write_table(table, path)
    whole = path.read_bytes()
    for _ in range(60):
        start = draw.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[start : start + 8] = draw.randbytes(len(damaged[start : start + 8]))
        path.write_bytes(damaged[: draw.choice((len(damaged), start + 8))])
        for reading in (lambda: read(path), lambda: _records(path, b"")):
            try:
                reading()
            except InputError as error:
                said.append(str(error))
    assert len(said) > 30
    assert all(str(path) in line and "\n" not in line for line in said)
