"""A run's config.json, typed: what decides the run's result and nothing else, with its hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import TrainerConfig, canonical_hash, parse, setting, stored
from .errors import InputError

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
    declared: str = setting("", added=True)  # hash of the run as its study declares it, where runs decided a value

    @property
    def content(self) -> dict[str, Any]:
        """What config.json holds: the values and, last, their hash."""
        values = stored(self)
        return {**values, "hash": canonical_hash(values)}

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the values."""
        return canonical_hash(stored(self))


def read_config(folder: Path) -> RunConfig:
    """Read a run's config.json. Raises InputError if it is missing, was edited after locking, or is another version's.

    What is read is what was locked: written again, it has the same bytes.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{path}: missing; `entrobench lock STUDY RUN` writes it")
    content: Mapping[str, Any] = json.loads(path.read_text())
    values = {key: value for key, value in content.items() if key != "hash"}
    if canonical_hash(values) != content.get("hash"):
        raise InputError(f"{path}: its content does not match its hash; change the study file and lock again")
    config = parse(RunConfig, values, str(path))
    if config.hash != content["hash"]:
        raise InputError(f"{path}: another version of entrobench wrote it; lock the run again")
    return config
