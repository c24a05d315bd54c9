"""The names by which runs are known: a run's key, what answers benchmarks, a step's folder."""

from __future__ import annotations

import re
from dataclasses import dataclass

SNAPSHOT = r"step\d+"
RUN = r"[^/]+/[^/]+/[^/]+/seed\d+"  # pattern of a run's key
SUBJECT = rf"runs/{RUN}(/evaluations/{SNAPSHOT})?|base/[^/]+"  # pattern of a subject


def step_name(step: int) -> str:
    """The folder of what belongs to a step: a checkpoint, a snapshot, the evaluation of a snapshot."""
    return f"step{step:06d}"


def step_of(name: str) -> int:
    """The step that `step_name` wrote."""
    return int(name.removeprefix("step"))


@dataclass(frozen=True)
class RunKey:
    """A run's place below runs/ of its study: model/dataset/method/seed<k>."""

    model: str
    dataset: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.model}/{self.dataset}/{self.method}/seed{self.seed}"

    @classmethod
    def read(cls, text: str) -> RunKey:
        """Read what `str` wrote. Raises ValueError for anything else."""
        if not re.fullmatch(RUN, text):
            raise ValueError(f"{text!r} is not model/dataset/method/seed<k>")
        model, dataset, method, seed = text.split("/")
        return cls(model, dataset, method, int(seed.removeprefix("seed")))


@dataclass(frozen=True)
class Subject:
    """What answers benchmarks: a run's last step, one of its snapshots, or an untrained base model.

    Its text is its folder below that of the study: runs/<run>, runs/<run>/evaluations/<snapshot> or base/<model>.
    """

    run: str = ""
    snapshot: str = ""
    model: str = ""

    def __str__(self) -> str:
        if self.model:
            return f"base/{self.model}"
        return f"runs/{self.run}" + (f"/evaluations/{self.snapshot}" if self.snapshot else "")

    @classmethod
    def read(cls, text: str) -> Subject:
        """Read what `str` wrote. Raises ValueError for anything else."""
        if not re.fullmatch(SUBJECT, text):
            raise ValueError(f"{text!r} is neither a run, nor a snapshot, nor a base model")
        kind, _, name = text.partition("/")
        run, _, snapshot = name.partition("/evaluations/")
        return cls(run, snapshot) if kind == "runs" else cls(model=name)
