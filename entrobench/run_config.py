"""A run's config.json, typed: what decides the run's result and nothing else, with its hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .config import TrainerConfig, canonical_hash, parse, setting, stored
from .errors import InputError
from .results import RunFolder

MATHEMATICS = 3  # raised by each change that moves the numbers of a run whose settings stay; CHANGELOG has its history

Declarations = dict[str, dict[str, Any]]  # of values that runs decide, by the method's key


@dataclass(frozen=True)
class Variant:
    """A method with all its values: `name` is used in paths and tables, `use` is the registered method.

    `derived` holds the declarations of values that runs decide, `values` all others, and once these are found all.
    """

    name: str
    use: str
    values: dict[str, Any]
    derived: Declarations = setting({}, added=True)


@dataclass(frozen=True)
class RunModel:
    """The base model that a run starts from."""

    name: str
    recipe_hash: str


@dataclass(frozen=True)
class RunDataset:
    """What a run trains on; `decontaminated` says which benchmarks' rows are left out of it."""

    name: str
    recipe_hash: str
    prompt: str  # the template around each problem
    decontaminated: dict[str, Any] = setting({}, added=True)


@dataclass(frozen=True)
class RunConfig:
    """All that decides a run's result.

    The order of the fields is that of config.json, which `content` gives and `read_config` takes back unchanged.
    """

    model: RunModel
    dataset: RunDataset
    method: Variant
    seed: int
    trainer: TrainerConfig
    reward_code: dict[str, Any] = setting({}, added=True)  # what pins a reward that is not built in
    declared: str = setting("", added=True)  # hash of the run as its study declares it, where runs decided a value

    @property
    def content(self) -> dict[str, Any]:
        """What config.json holds: the values, their hash and, beside the hash, MATHEMATICS.

        A new number is new content, so that the pipeline trains the run anew.
        """
        values = stored(self)
        return {**values, "hash": canonical_hash(values), "mathematics": MATHEMATICS}

    @property
    def stream(self) -> str:
        """What names all random numbers of the run: model/dataset/seed.

        Methods of a cell share them, so that their runs pair; cells do not, so that they are independent of each other.
        """
        return f"{self.model.name}/{self.dataset.name}/{self.seed}"

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of the values; worked out once, for Snakemake asks for it whenever a job ends."""
        return canonical_hash(stored(self))


def read_config(folder: Path) -> RunConfig:
    """Read a run's config.json.

    Raises InputError if it is missing, was edited after locking, or is of another version or of other mathematics.

    What is read is what was locked: written again, it has the same bytes.
    """
    path = RunFolder(folder).config
    if not path.is_file():
        raise InputError(f"{path}: missing; `entrobench lock STUDY RUN` writes it")
    content: Mapping[str, Any] = json.loads(path.read_text())
    values = {key: value for key, value in content.items() if key not in ("hash", "mathematics")}
    if canonical_hash(values) != content.get("hash"):
        raise InputError(f"{path}: its content does not match its hash; change the study file and lock again")
    if not of_this_mathematics(content):
        number = content.get("mathematics", "unknown")
        raise InputError(f"{path}: written for mathematics {number}, this version's is {MATHEMATICS}: lock it again")
    config = parse(RunConfig, values, str(path))
    if config.hash != content["hash"]:
        raise InputError(f"{path}: another version of entrobench wrote it; lock the run again")
    return config


def of_this_mathematics(record: Mapping[str, Any]) -> bool:
    """Whether a record (provenance.json, config.json, …) bears MATHEMATICS; one without a number is of none known."""
    return record.get("mathematics") == MATHEMATICS
