"""Files of rows that somebody else wrote: what cannot be read is one line with file, row and reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from entrobench.data.rows import Columns, problem_id, row_of
from entrobench.errors import InputError
from entrobench.json_lines import NotJson, decode_lines, json_lines, parse_json

GOOD = b'{"problem": "1 + 1", "answer": "2"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + '{"problem": "é"}\n'.encode("latin-1"), "row 2: not UTF-8 .byte 0xe9; Latin-1"),
        (GOOD.decode().encode("utf-16"), "is UTF-16, not plain UTF-8"),
        (gzip.compress(GOOD, mtime=0), "is gzip, not plain UTF-8: unpack"),
        (b"\xef\xbb\xbf" + GOOD, "is UTF-8 with a byte order mark"),
        (b"\x28\xb5\x2f\xfd" + GOOD, "is zstd"),
        (GOOD + b"\n" + GOOD, "row 2: not JSON"),
        (GOOD + b"[1, 2]\n", "row 2: must be a JSON object, got list"),
        (GOOD + b"null\n", "row 2: must be a JSON object, got NoneType"),
        (GOOD + b'{"answer": ' + b"7" * 5000 + b"}\n", "row 2: a whole number of 5000 digits"),
        (GOOD + b'{"answer": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "row 2: nested deeper than 100 levels"),
        (GOOD + b'{"problem": "half \\ud800"}\n', "row 2: problem: holds half a character"),
        (GOOD + b'{"answer": ["1", "\\udc00"]}\n', "row 2: answer: holds half a character"),
        (GOOD + b'{"answer": [{"inner": "\\udc00"}]}\n', "row 2: answer: inner: holds half a character"),
        (GOOD + b'{"\\ud800": 1}\n', "row 2: a key: holds half a character"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(json_lines(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_whole_characters_of_two_escapes_are_read() -> None:
    assert parse_json('{"a": "\\ud83d\\ude00"}', "here") == {"a": "😀"}


def test_brackets_inside_of_texts_are_no_nesting() -> None:
    assert parse_json(json.dumps({"a": "[]" * 500}), "here") == {"a": "[]" * 500}


def test_a_text_without_end_is_read_in_one_pass() -> None:
    """Each of its escaped quotes could begin another text: tried one by one, these would take minutes."""
    with pytest.raises(NotJson):
        parse_json('{"a": [' + "[]," * 100 + '"' + '\\"' * 50_000, "here")


def test_only_a_newline_ends_a_line() -> None:
    assert decode_lines("a\u2028b\nc\n".encode(), "here") == ["a\u2028b", "c"]


@pytest.mark.parametrize(("answer", "text"), [(0, "0"), (-7, "-7"), ([1, 2], "1, 2"), ("x", "x")])
def test_whole_numbers_are_answers(answer: object, text: str) -> None:
    row = row_of({"problem": "p", "answer": answer}, Columns(), "here")
    assert row is not None
    assert row.answer == text


@pytest.mark.parametrize("answer", [None, True, 1.5, {}, [None], ""])
def test_other_answers_are_refused_with_their_row(answer: object) -> None:
    with pytest.raises(InputError, match="row 3: answer"):
        row_of({"problem": "p", "answer": answer}, Columns(), "rows.jsonl: row 3")


def test_raised_lowered_and_fractional_digits_are_other_problems() -> None:
    different = ["5².", "52.", "5₂.", "3½", "31⁄2", "x³", "x3"]
    assert len({problem_id(text) for text in different}) == len(different)
    assert problem_id("Ｈｏｗ  many？") == problem_id("how many?")  # full-width letters are the same text
