"""A second grader beside ours judges the same answers: the paper's (math-verify), or whether a chain is true."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from entrobench.errors import unknown
from entrobench.files import replacing

from .grade_files import read_generations
from .rewards import reward_function

SECOND = ("paper", "chain")


def add_verdicts(generations: Path, grades: Path, grader: str, progress: bool) -> None:
    """Add the columns <grader>_correct and <grader>_outcome to the grades of a generations file.

    Identical (response, gold) pairs are judged once, on all cores. Raises InputError for an unknown grader.
    """
    import pyarrow
    import pyarrow.parquet
    from rich.progress import track

    if grader not in SECOND:
        raise unknown("grader", grader, SECOND, "entrobench grade --also")
    judge = reward_function(grader)
    rows = read_generations(generations)
    keys = [(r["response"], r["gold"], r.get("finish") == "stop", "", r.get("problem", "")) for r in rows]
    distinct = list(dict.fromkeys(keys))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        title = f"grading {generations.name} ({grader})"
        found = track(threads.map(lambda key: judge(*key), distinct), title, len(distinct), disable=not progress)
        verdicts = dict(zip(distinct, found, strict=True))
    table = pyarrow.parquet.read_table(grades)
    added = {f"{grader}_{name}": [getattr(verdicts[key], name) for key in keys] for name in ("correct", "outcome")}
    table = table.drop_columns([name for name in added if name in table.column_names])  # of another process, or earlier
    for name, values in added.items():
        table = table.append_column(name, pyarrow.array(values))
    with replacing(grades) as draft:
        pyarrow.parquet.write_table(table, draft)
