"""JSON from files that somebody else wrote: every fault is one line that names file, row and reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from entrobench.errors import InputError

DEEPEST = 100  # ours: levels of nesting; the parser's own limit is a recursion that depends on who calls
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"PK\x03\x04": "zip"}
TEXT = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)  # of JSON, also one that breaks off
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\xef\xbb\xbf": "UTF-8 with a byte order mark"}


class NotJson(InputError):
    """Text that is no JSON, or only the beginning of some."""


def decode_lines(content: bytes, where: str) -> list[str]:
    """The lines of a file in UTF-8; only \\n ends a line, for real problems contain U+2028.

    Raises InputError as `decode` does.
    """
    return decode(content, where).removesuffix("\n").split("\n")


def decode(content: bytes, where: str) -> str:
    """The text of a file in UTF-8. Raises InputError for a compressed file or another encoding."""
    for start, kind in (COMPRESSED | MARKS).items():
        if content.startswith(start):
            raise InputError(f"{where}: is {kind}, not plain UTF-8: unpack or convert it first")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        byte = content[error.start]
        raise InputError(f"{where}: row {row}: not UTF-8 (byte {byte:#04x}; Latin-1 or Windows-1252?)") from None


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every line of a file of JSON lines."""
    for number, line in enumerate(decode_lines(path.read_bytes(), str(path)), start=1):
        where = f"{path}: row {number}"
        yield where, parse_json(line, where)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds. Raises InputError, one line, for anything else."""
    return parse_json(decode(path.read_bytes(), str(path)), str(path))


def parse_json(text: str, where: str) -> dict[str, Any]:
    """A JSON object from text, as `parse_value` reads it. Raises InputError for anything else."""
    values = parse_value(text, where)
    if not isinstance(values, dict):
        raise InputError(f"{where}: must be a JSON object, got {type(values).__name__}")
    return values


def parse_value(text: str, where: str) -> Any:
    """A JSON value from text.

    Raises NotJson for text that is none or breaks off, InputError for what no table could hold: nesting and whole
    numbers beyond all measure, and halves of characters.
    """
    if _depth(text) > DEEPEST:
        raise InputError(f"{where}: nested deeper than {DEEPEST} levels")
    try:
        value = json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise NotJson(f"{where}: not JSON: {error}") from None
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if "\\ud" in text.lower():  # only an escape can bring half a character in
        _refuse_surrogates(value, where)
    return value


def _integer(digits: str) -> int:
    if len(digits) > 4000:  # Python itself refuses 4,300 and more
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _depth(text: str) -> int:
    """The levels of nesting, without parsing; brackets inside of texts are none."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0
    deepest = level = 0
    for character in TEXT.sub("", text):
        if character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


def _refuse_surrogates(value: Any, where: str) -> None:
    """Raise InputError where a text, or a key, holds half a character, which no file could store."""
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"{where}: holds half a character (a lone surrogate escape)")
    if isinstance(value, dict):
        for key, part in value.items():
            _refuse_surrogates(key, f"{where}: a key")
            _refuse_surrogates(part, f"{where}: {key}")
    for part in value if isinstance(value, list) else ():
        _refuse_surrogates(part, where)
