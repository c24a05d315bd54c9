"""`entrobench accept-task`: does a task leave an untrained base model something to explore?

The declared criteria look at the untrained model alone, never at what a method makes of it. An answer counts only if
its whole chain is true ("verified"), for a false chain ends in the right one of ten digits by luck.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.engines.rollout import Sampling
from entrobench.evaluation.benchmarks.drawn_answers import draw_answers
from entrobench.evaluation.statistics.drawing import all_alike
from entrobench.evaluation.tables.entries import number_entry
from entrobench.evaluation.tables.table_formats import Entry, Table, markdown
from entrobench.results import ModelFolder, ReferenceFolder

from .calibration import mixed_share, right_counts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

DRAWS, FAR = 128, 64
GROUP_SIZE = 8  # answers per prompt in training (TrainerConfig's default)
CRITERIA: Mapping[str, tuple[float, float]] = {  # declared before any method ran
    "verified pass@1": (0.0, 0.2),  # it can become much better
    f"verified pass@{FAR}": (0.4, 0.7),  # by finding what it seldom says, and not all of it is within reach
    "mixed groups": (0.0, 0.3),  # most groups teach nothing yet
}


@dataclass(frozen=True)
class Acceptance:
    """What was measured, by the names of CRITERIA."""

    values: Mapping[str, float]
    problems: int

    @property
    def accepted(self) -> bool:
        return all(low <= self.values[name] <= high for name, (low, high) in CRITERIA.items())

    @property
    def lines(self) -> list[str]:
        """One line a criterion, and what follows."""
        said = [
            f"{name}: {self.values[name]:.3f} ({'holds' if low <= self.values[name] <= high else 'fails'}: "
            f"{low:g} to {high:g})"
            for name, (low, high) in CRITERIA.items()
        ]
        end = "accepted: exploration matters here" if self.accepted else "refused"
        return [*said, f"{end} ({self.problems} problems, {DRAWS} draws each, temperature 1)"]


def judge_counts(right: ArrayLike) -> Acceptance:
    """Judge a task by how many of each problem's DRAWS answers are verified; unbiased estimates, means over problems.

    A group is mixed unless all of its answers are right or all are wrong.
    """
    import numpy

    counts = numpy.asarray(right, dtype=float)
    far = 1 - all_alike(DRAWS - counts, DRAWS, FAR).mean()
    values = counts.mean() / DRAWS, far, mixed_share(counts, DRAWS, GROUP_SIZE)
    return Acceptance(dict(zip(CRITERIA, map(float, values), strict=True)), counts.size)


def measure(model: Path, dataset: str, data: Path, problems: int, max_tokens: int = 24) -> Acceptance:
    """Let the model in a folder answer problems of a dataset's validation split, and judge the task by its answers."""
    sampling = Sampling(temperature=1.0, max_tokens=max_tokens)
    stream = f"evaluation/0/acceptance/{dataset}"  # as `entrobench generate` names it
    drawn = draw_answers(model, data / dataset, "{problem}", problems, DRAWS, sampling, stream)
    return judge_counts(right_counts(drawn, "chain"))


def record(found: Acceptance, model: Path, dataset: str, folder: Path) -> Path:
    """Put the row of a model and a dataset into folder/acceptance.csv and .md; returns the csv file.

    The row names the model's recipe by its hash, so that another recipe shows as another task.
    """
    import pandas

    files, about = ReferenceFolder(folder), json.loads(ModelFolder(model).about.read_text())
    row = {"model": about["name"], "dataset": dataset, "recipe": about["recipe_hash"], "problems": found.problems}
    row |= {name: round(value, 4) for name, value in found.values.items()} | {"accepted": found.accepted}
    rows = (
        pandas.read_csv(files.acceptance, dtype={"recipe": str}).to_dict("records")
        if files.acceptance.is_file()
        else []
    )
    kept = [old for old in rows if (old["model"], old["dataset"]) != (row["model"], dataset)]
    table = pandas.DataFrame([*kept, row]).sort_values(["model", "dataset"])
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(files.acceptance, index=False)
    files.acceptance.with_suffix(".md").write_text(markdown(_table(table.to_dict("records"))))
    return files.acceptance


def _table(rows: Sequence[Mapping[Any, Any]]) -> Table:
    body = [
        [
            *(Entry(str(row[name])) for name in ("model", "dataset")),
            *(number_entry(row[name], ".3f") for name in CRITERIA),
            Entry("yes" if row["accepted"] else "no"),
            Entry(str(row["problems"])),
            Entry(row["recipe"][:12]),
        ]
        for row in rows
    ]
    criteria = [f"{name}\n({low:g} to {high:g})" for name, (low, high) in CRITERIA.items()]
    note = (
        f"The untrained model alone, {DRAWS} answers at temperature 1 to each problem of the validation split; groups "
        f"of {GROUP_SIZE}. Verified: the problem's own operations in their order, every step true. Declared before any "
        "method ran."
    )
    columns = ["model", "dataset", *criteria, "accepted", "problems", "recipe"]
    return Table("acceptance", "Tasks in which exploration matters", columns, body, note)
