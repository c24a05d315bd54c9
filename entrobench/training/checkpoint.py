"""Checkpoints: all that a run needs to go on bit for bit, in safetensors and JSON, renamed into place."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from entrobench.distributed.sharding import full, like
from entrobench.errors import InputError
from entrobench.models.weights import model_tensors, restore_model
from entrobench.results import Checkpoint, RunFolder, step_name

from .assembly import Parts

KEPT = 2  # ours: the newest and the one before


@dataclass
class Position:
    """How far a run has come."""

    step: int = 0
    updates: int = 0
    batches: int = 0  # of prompts, those that refill a step included
    rows: list[dict[str, float]] = field(default_factory=list)


def keep(parts: Parts, position: Position, identity: Mapping[str, str]) -> None:
    """Save all that the run needs to go on from here; every process has to ask, and the first writes."""
    tensors = {"model": model_tensors(parts.model), "optimizer": optimizer_tensors(parts.optimizer)}
    if parts.reference is not None:
        tensors["reference"] = model_tensors(parts.reference)
    state = {"identity": dict(identity), **vars(position), "method": dataclasses.asdict(parts.method.state)}
    if parts.ranks.first:
        save(RunFolder(parts.folder).checkpoints, position.step, tensors, state)
    parts.ranks.wait()


def resume(parts: Parts, identity: Mapping[str, str]) -> Position | None:
    """Bring the parts to the newest checkpoint, None where there is none.

    One of another method's source or of other mathematics is of no use and goes.
    """
    folder = RunFolder(parts.folder).checkpoints
    if stale(folder, identity):
        print("the method's source or the mathematics has changed: starting afresh", flush=True)
        discard(folder)
    found = latest(folder, identity)
    state: dict[str, Any] = {"step": 0} if found is None else load_state(found)
    if parts.ranks.first:
        parts.snapshots.resume(state["step"])
    if found is None:
        return None
    restore_model(parts.model, load_tensors(found, "model"))
    restore_optimizer(parts.optimizer, load_tensors(found, "optimizer"))
    if parts.reference is not None:
        restore_model(parts.reference, load_tensors(found, "reference"))
    parts.method.state = parts.method.State(**state["method"])
    print(f"resuming after step {state['step']}", flush=True)
    batches = state.get("batches", state["step"])  # older checkpoints drew one batch a step
    return Position(state["step"], state["updates"], batches, state["rows"])


def save(folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write folder/step<k>: one safetensors file per group of tensors and state.json, then drop old checkpoints.

    The checkpoint appears whole or not at all: it is written beside its place, synchronised and renamed.
    """
    final, draft = folder / step_name(step), folder / f".{step_name(step)}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, group in tensors.items():
        # clones: tensors that share storage (tied weights) are stored once by the caller, views are cut out here
        save_file(
            {key: value.detach().cpu().contiguous().clone() for key, value in group.items()},
            Checkpoint(draft).tensors(name),
        )
    Checkpoint(draft).state.write_text(json.dumps(state))
    put_in_place(draft, final)
    for old in _complete(folder)[:-KEPT]:
        shutil.rmtree(old)


def put_in_place(draft: Path, final: Path) -> None:
    """Move a finished folder of files to its place, and over what is there, once the disk has all of it."""
    for path in [*draft.iterdir(), draft]:
        synchronise(path)
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    synchronise(final.parent)


def discard(folder: Path) -> None:
    """Delete all checkpoints at once: a kill must not leave one whose snapshots are gone."""
    if folder.is_dir():
        leaving = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(leaving, ignore_errors=True)
        folder.rename(leaving)
        shutil.rmtree(leaving)


def synchronise(path: Path) -> None:
    """Ask the disk to have a file or folder before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def latest(folder: Path, identity: Mapping[str, str]) -> Path | None:
    """The newest complete checkpoint, or None; raises InputError where it belongs to a run of another config."""
    complete = _complete(folder)
    if not complete:
        return None
    stored = load_state(complete[-1])["identity"]["config_hash"]
    if stored != identity["config_hash"]:
        raise InputError(
            f"{folder}: these checkpoints belong to another run (config {stored[:12]}, this one is "
            f"{identity['config_hash'][:12]}); delete the folder to start afresh, or restore the settings to go on"
        )
    return complete[-1]


def stale(folder: Path, identity: Mapping[str, str]) -> bool:
    """Whether the newest checkpoint is of the same config, but not of the same method's source or mathematics."""
    complete = _complete(folder)
    stored = load_state(complete[-1])["identity"] if complete else identity
    return bool(stored["config_hash"] == identity["config_hash"] and stored != dict(identity))


def _complete(folder: Path) -> list[Path]:
    return [found.folder for found in Checkpoint.complete(folder)]


def load_state(checkpoint: Path) -> dict[str, Any]:
    """The JSON state of a checkpoint."""
    state: dict[str, Any] = json.loads(Checkpoint(checkpoint).state.read_text())
    return state


def load_tensors(checkpoint: Path, name: str) -> dict[str, Tensor]:
    """One group of tensors of a checkpoint, on the CPU."""
    return load_file(Checkpoint(checkpoint).tensors(name))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors as {"<parameter>.<name>": tensor}, whole."""
    states = optimizer.state_dict()["state"]
    return {f"{index}.{name}": full(value) for index, state in states.items() for name, value in state.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load `optimizer_tensors` into an optimizer of the same parameters."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        weight = weights[int(index)]
        # moments are cut as their weight is, counters are not
        states.setdefault(int(index), {})[name] = like(value, weight) if value.shape == weight.shape else value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
