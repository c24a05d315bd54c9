"""W&B's offline files, run-<id>.wandb: records in the block format of LevelDB's log, each a message of protobuf.

Only the history is read (wandb_internal.proto: Record.history, its items and step).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from entrobench.json_lines import parse_value

from .messages import declare, read_message

IDENTITY = b":W&B"
HEADER, BLOCK, RECORD = 7, 32768, 7  # bytes: of the file's head, of a block, of a record's head
FULL, FIRST, LAST = 1, 2, 4  # parts of a record that spans blocks; 3 is a middle one
FIELDS = {
    "Record": {"history": (2, "History", False)},
    "History": {"item": (1, "Item", True), "step": (2, "Step", False)},
    "Item": {"key": (1, "string", False), "nested_key": (2, "string", True), "value_json": (16, "string", False)},
    "Step": {"num": (1, "int64", False)},
}


def is_wandb(path: Path) -> bool:
    """Whether the file begins as W&B's do."""
    with path.open("rb") as file:
        return file.read(len(IDENTITY)) == IDENTITY


def read(path: Path) -> tuple[list[dict[str, Any]], str]:
    """A row per logged step; a file that breaks off is read up to there."""
    data, rows = path.read_bytes(), []
    message = _messages()["Record"]
    whole = True
    for record in _records(data):
        if record is None:
            whole = False
            break
        history = read_message(message, record, str(path)).history
        if history.item:
            where = f"{path}: step {history.step.num}"
            row = {
                "/".join([item.key, *item.nested_key]).strip("/"): parse_value(item.value_json, where)
                for item in history.item
            }
            rows.append({"_step": history.step.num, **row})
    return rows, "" if whole else "the file breaks off in a record"


def _records(data: bytes) -> Iterator[bytes | None]:
    """The content of each record; None where the last one is not whole."""
    at, parts = HEADER, b""
    while at < len(data):
        left = BLOCK - at % BLOCK
        if left < RECORD:  # the rest of a block is padding
            at += left
            continue
        if at + RECORD > len(data):
            yield None
            return
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += RECORD
        if at + length > len(data):
            yield None
            return
        parts = (b"" if kind in (FULL, FIRST) else parts) + data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            yield parts
    if parts and kind not in (FULL, LAST):
        yield None


@cache
def _messages() -> dict[str, Any]:
    return declare("wandb", FIELDS)
