"""Snapshots for evaluation: weights of earlier steps, kept beside the checkpoints and published when training ends.

Snakemake deletes a job's outputs before the job starts again. checkpoints/ is no output, so what lies there survives a
kill. A snapshot is written before the checkpoint of its step, so that every checkpoint finds the snapshots up to its
own step.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from entrobench.errors import InputError
from entrobench.files import put_in_place
from entrobench.results import RunFolder
from entrobench.run_keys import step_name


def snapshot_steps(steps: int, every: int) -> range:
    """The steps of a run after which a snapshot is kept; none at the last one, whose weights are the final ones."""
    return range(every, steps, every) if every else range(0)


class Snapshots:
    """The snapshots of one run in training; `folder` is the run's."""

    def __init__(self, folder: Path, steps: int, every: int, last: int = 0) -> None:
        self.every, self.last, self.steps = every, last, snapshot_steps(steps, every)
        self.kept, self.published = RunFolder(folder).kept_snapshots, RunFolder(folder).snapshots

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Call `write` with the snapshot's folder, if this step is one of `steps`."""
        if step in self.steps:
            write(self.kept / step_name(step))

    def resume(self, step: int) -> None:
        """Keep what belongs to a checkpoint of this step (0: there is none) and drop what came after it.

        Raises InputError where the checkpoint's run kept no snapshots, or other ones.
        """
        wanted = [step_name(s) for s in self.steps if s <= step]
        missing = [name for name in wanted if not (self.kept / name).is_dir()]
        if missing:
            raise InputError(
                f"{self.kept}: {missing[0]} is missing: training began without `evaluate_every: {self.every}`; delete "
                "the checkpoints to start afresh, or take the key out of the study to go on"
            )
        for found in self.kept.glob("*"):
            if found.name not in wanted:
                shutil.rmtree(found)

    def publish(self, end: int) -> None:
        """Link the snapshots before the step `end` into the run's output folder, the newest `last` if that is not 0.

        Hard links: a kill from here on loses none of them.
        """
        if not self.every:
            return
        draft = self.published.with_name(f".{self.published.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        for step in snapshot_steps(end, self.every)[-self.last :]:
            shutil.copytree(self.kept / step_name(step), draft / step_name(step), copy_function=os.link)
        put_in_place(draft, self.published)
