"""The rows of a run. While it trains, each is a line of JSON in <run>/live.jsonl, which the MLflow view follows.

live.jsonl is no output of the job: it is rewritten when training starts or resumes, and removed when steps.parquet is
written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from entrobench.files import replacing
from entrobench.results import RunFolder


class LiveRows:
    """Appends a row per step; starts with those that a resumed run already has."""

    def __init__(self, folder: Path, rows: Iterable[Mapping[str, float]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = RunFolder(folder).live
        draft = path.with_name(f".{path.name}.part")
        draft.write_text("".join(map(_line, rows)))
        self.file = draft.rename(path).open("a")

    def __enter__(self) -> LiveRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def append(self, row: Mapping[str, float]) -> None:
        self.file.write(_line(row))
        self.file.flush()


def _line(row: Mapping[str, float]) -> str:
    return json.dumps(row) + "\n"


def read_live(path: Path) -> list[dict[str, float]]:
    """The complete lines of a live file; a last line that is still being written is left for the next look."""
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def write_steps(rows: list[dict[str, float]], path: Path) -> None:
    """Write the rows of a finished run as steps.parquet, whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name, 0.0 if name.startswith("outcome/") else None) for row in rows] for name in names}
    with replacing(path) as draft:
        pyarrow.parquet.write_table(pyarrow.table(columns), draft)
