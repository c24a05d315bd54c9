"""Logs that are text: TRL's trainer_state.json, JSON lines, CSV, and what verl and OpenRLHF print.

Each format has a test that looks at the file's beginning, and a reader that returns (rows, why the file is not whole).
"""

from __future__ import annotations

import ast
import csv as csv_files
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from entrobench.errors import InputError
from entrobench.json_lines import NotJson, parse_json

BEGINNING = 65536  # bytes that a test looks at
VERL = re.compile(r"\bstep:\s*(\d+)\s+-\s+(.*)")  # step:12 - actor/entropy:0.43 - ...
VERL_ITEM = re.compile(
    r"([\w./@()\-]+):\s*(?:np\.float\d+\()?([-+]?(?:\d[\d,_]*\.?\d*(?:e[-+]?\d+)?|nan|inf))\)?", re.I
)
PRINTED = re.compile(r"\{'[^{}]*\}")  # a dict that Python printed, as OpenRLHF does each step
ITEM = "__MIN", "__MAX"  # columns that W&B's export adds for smoothing


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _start(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(BEGINNING).decode("utf-8", "replace")


def _ending(text: str) -> str:
    """Why a log whose lines hold bare numbers may not be whole: half a number is a number, too."""
    return "" if text.endswith("\n") else "the last line has no end: its last value may be cut"


def is_trainer_state(path: Path) -> bool:
    """Whether it is what transformers' Trainer, and so TRL, keeps beside a checkpoint."""
    return _start(path).lstrip().startswith("{") and '"log_history"' in _text(path)


def trainer_state(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The rows of log_history; a file that breaks off gives those that are whole."""
    text = _text(path)
    try:
        content = parse_json(text, str(path))
    except NotJson:
        return _whole_objects(text[text.index('"log_history"') :], path), "the file breaks off"
    if not isinstance(content.get("log_history"), list):
        raise InputError(f"{path}: log_history is no list of logged lines")
    rows = [row for row in content["log_history"] if isinstance(row, dict)]
    done, planned = content.get("global_step"), content.get("max_steps")
    short = isinstance(done, int) and isinstance(planned, int) and 0 <= done < planned
    return rows, f"{done} of {planned} steps are done" if short else ""


def _whole_objects(text: str, path: Path) -> list[dict[str, Any]]:
    """The flat objects of a JSON text that breaks off; what only looks like one, inside of a text, is none."""
    rows = []
    for found in re.findall(r"\{[^{}]*\}", text):
        with suppress(NotJson):
            rows += [parse_json(found, str(path))] if '"step"' in found else []
    return rows


def is_json_lines(path: Path) -> bool:
    """Whether the first line is a whole JSON object, be it one that is refused."""
    first = _start(path).partition("\n")[0]
    try:
        parse_json(first, str(path))
    except NotJson:
        return False
    except InputError:
        pass  # the reader says what is wrong, and where
    return first.lstrip().startswith("{")


def json_lines(path: Path) -> tuple[list[dict[str, Any]], str]:
    """One mapping a line, keys of nested ones joined by a slash; verl's file logger puts them below `data`."""
    rows, broken = [], ""
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line, f"{path}: row {number}")
        except NotJson:
            broken = f"line {number} is no whole JSON"
            continue
        inner = row.pop("data", None)
        rows.append(dict(_flat({**row, **inner} if isinstance(inner, dict) else row)))
    return rows, broken


def _flat(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield prefix + key, value


def is_console(path: Path) -> bool:
    """Whether lines of steps are printed as verl does, or dicts as OpenRLHF does."""
    text = _start(path)
    return bool(VERL.search(text) or any("reward" in found for found in PRINTED.findall(text)))


def console(path: Path) -> tuple[list[dict[str, Any]], str]:
    """A row per printed step; lines of anything else are passed over.

    OpenRLHF prints no step where its dict has no global_step: these are numbered as they come.
    """
    rows: list[dict[str, Any]] = []
    for line in _text(path).splitlines():
        if found := VERL.search(line):
            items = {name: value.replace(",", "") for name, value in VERL_ITEM.findall(found[2])}
            rows.append({"step": found[1], **items})
        elif (found := PRINTED.search(line)) and (printed := _printed(found[0])):
            rows.append({"step": len(rows) + 1, **printed} if "global_step" not in printed else printed)
    return rows, _ending(_text(path))


def _printed(text: str) -> dict[str, Any]:
    """A dict of literals; {} for anything else. Nothing is evaluated."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all that its documentation names
        return {}
    return found if isinstance(found, dict) else {}


def is_csv(path: Path) -> bool:
    """Whether the first line names several columns, or is one of a table with tabs or semicolons."""
    first = _start(path).partition("\n")[0].strip()
    return bool(first) and first.replace("\t", " ").isprintable() and any(mark in first for mark in ",;\t")


def csv(path: Path) -> tuple[list[dict[str, Any]], str]:
    """A row per line. W&B's export of a chart names its columns `<run> - <metric>`, with bounds that are left out."""
    text = _text(path)
    first = text.partition("\n")[0].strip()
    mark = max(",;\t", key=first.count)
    try:
        lines = list(csv_files.reader(text.splitlines(), delimiter=mark))
    except csv_files.Error as error:
        raise InputError(f"{path}: not readable as CSV: {error}") from None
    names = [_exported(name.strip().lstrip("\ufeff")) for name in lines[0]]
    rows, broken = [], _ending(text)
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) < len(names) and cells:
            broken = f"line {number} has {len(cells)} of {len(names)} columns"
        elif cells:
            rows.append({name: cell for name, cell in zip(names, cells, strict=False) if not name.endswith(ITEM)})
    return rows, broken


def _exported(name: str) -> str:
    return name.rpartition(" - ")[2] if " - " in name else name
