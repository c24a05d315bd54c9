"""Reads the log of a run made elsewhere: its format, its rows by step in our names, whether it is whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.errors import InputError

from . import event_files, text_logs, wandb_files
from .names import NEEDED, STEP, TIME, column_of, translate

Raw = list[dict[str, Any]]  # a mapping per logged line, in the log's own names


@dataclass(frozen=True)
class Log:
    """A run as its log tells it.

    `rows` have step, time and our names, in the order of steps; `kept` are the columns whose meaning is not known,
    which stand beside them under foreign/<name>; `missing` are ours that the log does not hold.
    """

    format: str
    rows: list[dict[str, float]]
    kept: tuple[str, ...]
    missing: tuple[str, ...]
    broken: str


FORMATS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], tuple[Raw, str]]]] = {
    "TRL trainer_state.json": (text_logs.is_trainer_state, text_logs.trainer_state),
    "W&B offline file (run-*.wandb)": (wandb_files.is_wandb, wandb_files.read),
    "TensorBoard event file": (event_files.is_events, event_files.read),
    "JSON lines": (text_logs.is_json_lines, text_logs.json_lines),
    "console output of verl or OpenRLHF": (text_logs.is_console, text_logs.console),
    "CSV, also as W&B exports it": (text_logs.is_csv, text_logs.csv),
}
OURS = ("entropy", "reward", "length", "truncated", "clip_high", "clip_low", "kl", "mixed_groups", "grad_norm")


def read_log(path: Path) -> Log:
    """Read a log in any known format.

    A file that ends in the middle is read up to there, and says so. Raises InputError for a file in no known format and
    for one that logs neither entropy nor reward; it names the formats and the columns found.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file (a log: {'; '.join(FORMATS)})")
    for name, (fits, read) in FORMATS.items():
        if fits(path):
            rows, broken = read(path)
            return _translated(path, name, rows, broken)
    raise InputError(f"{path}: in no known format (known: {'; '.join(FORMATS)}); it begins with {_beginning(path)!r}")


def _translated(path: Path, name: str, rows: Raw, broken: str) -> Log:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    known = translate(columns)
    named = {ours for ours, _ in known.values()}
    step = column_of(STEP, columns)
    if not named & set(NEEDED) or step is None:
        wanted = "a step" if step is None else "neither entropy nor reward"
        lacks = f"has no column for {wanted}" if step is None else f"logs {wanted}"
        raise InputError(
            f"{path}: {name}, which {lacks} (known formats: {'; '.join(FORMATS)}); columns: {_list(columns)}"
        )
    time = column_of(TIME, columns)
    merged: dict[int, dict[str, float]] = {}
    for raw in rows:
        if (at := number(raw.get(step))) is not None:
            merged.setdefault(int(at), {}).update(_row(raw, known, step, time))
    kept = tuple(column for column in columns if column not in known and column not in (step, time))
    ordered = [{"step": at, "time": 0.0, **merged[at]} for at in sorted(merged) if merged[at]]
    return Log(name, ordered, kept, tuple(ours for ours in OURS if ours not in named), broken)


def _row(raw: dict[str, Any], known: dict[str, Any], step: str, time: str | None) -> dict[str, float]:
    """One logged line in our names; what is no finite number is left out."""
    row = {}
    for column, value in raw.items():
        plain = number(value)
        if plain is None or column == step:
            continue
        if column == time:
            row["time"] = plain
        elif column in known:
            ours, convert = known[column]
            row[ours] = convert(plain)
        else:
            row[f"foreign/{column}"] = plain
    return row


def number(value: Any) -> float | None:
    """A finite number, also where it is written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _list(columns: list[str]) -> str:
    return ", ".join(columns[:30]) + (f" and {len(columns) - 30} more" if len(columns) > 30 else "") or "none"


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(60).decode("ascii", "backslashreplace")
