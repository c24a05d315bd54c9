"""Lines of JSON from files that somebody else wrote: every fault is one line that names file, row and reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from entrobench.errors import InputError

DEEPEST = 100  # ours: levels of nesting; the parser's own limit is a recursion that depends on who calls
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"PK\x03\x04": "zip"}
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\xef\xbb\xbf": "UTF-8 with a byte order mark"}


def decode_lines(content: bytes, where: str) -> list[str]:
    """The lines of a file in UTF-8; only \\n ends a line, for real problems contain U+2028.

    Raises InputError for a compressed file or another encoding.
    """
    for start, kind in (COMPRESSED | MARKS).items():
        if content.startswith(start):
            raise InputError(f"{where}: is {kind}, not plain UTF-8: unpack or convert it first")
    try:
        return content.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        byte = content[error.start]
        raise InputError(f"{where}: row {row}: not UTF-8 (byte {byte:#04x}; Latin-1 or Windows-1252?)") from None


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every line of a file of JSON lines."""
    for number, line in enumerate(decode_lines(path.read_bytes(), str(path)), start=1):
        where = f"{path}: row {number}"
        yield where, parse_json(line, where)


def parse_json(line: str, where: str) -> dict[str, Any]:
    """A JSON object from a line. Raises InputError for anything else, and for text that UTF-8 cannot hold."""
    if _depth(line) > DEEPEST:
        raise InputError(f"{where}: nested deeper than {DEEPEST} levels")
    try:
        values = json.loads(line, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{where}: must be a JSON object, got {type(values).__name__}")
    if "\\ud" in line.lower():  # only an escape can bring half a character in
        for key, value in values.items():
            _refuse_surrogates(value, f"{where}: {key}")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 4000:  # Python itself refuses 4,300 and more
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _depth(line: str) -> int:
    """An upper bound of the levels of nesting, without parsing: brackets inside of texts count as well."""
    if line.count("[") + line.count("{") <= DEEPEST:
        return 0
    deepest = level = 0
    for character in line:
        if character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


def _refuse_surrogates(value: Any, where: str) -> None:
    """Raise InputError where a text holds half a character, which no file could store."""
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"{where}: holds half a character (a lone surrogate escape)")
    for part in value if isinstance(value, list) else ():
        _refuse_surrogates(part, where)
