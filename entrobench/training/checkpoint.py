"""Checkpoints: all that a run needs to go on bit for bit, in safetensors and JSON, renamed into place.

Each bears the hashes of its files: one that the disk has damaged is told and left for the one before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from entrobench.distributed.sharding import full, like
from entrobench.errors import InputError
from entrobench.files import is_full, make_folder, put_in_place, refuse_full, size
from entrobench.models.weights import model_tensors, restore_model
from entrobench.provenance import sha256_file
from entrobench.results import Checkpoint, RunFolder
from entrobench.run_keys import step_name

from . import hook_checks
from .assembly import Parts
from .experience import Experience

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
    hook_checks.finite_weights(tensors["model"])
    if parts.reference is not None:
        tensors["reference"] = model_tensors(parts.reference)
    state = {"identity": dict(identity), **vars(position), "method": dataclasses.asdict(parts.method.state)}
    if parts.ranks.first:
        save(RunFolder(parts.folder).checkpoints, position.step, tensors, state)
    parts.ranks.wait()


def resume(parts: Parts, identity: Mapping[str, str]) -> Position | None:
    """Bring the parts to the newest checkpoint that is whole, None where there is none.

    One of another method's source or of other mathematics is of no use and goes.
    """
    folder = RunFolder(parts.folder).checkpoints
    if parts.ranks.first:
        drop_damaged(folder)
        if stale(folder, identity):
            print("the method's source or the mathematics has changed: starting afresh", flush=True)
            discard(folder)
    parts.ranks.wait()
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

    The checkpoint appears whole or not at all: it is written beside its place, synchronised and renamed. Raises
    InputError, with what is needed, where the disk is full; older checkpoints are as they were.
    """
    final, draft = folder / step_name(step), folder / f".{step_name(step)}.part"
    shutil.rmtree(draft, ignore_errors=True)
    needed = sum(value.nbytes for group in tensors.values() for value in group.values())
    try:
        make_folder(folder)
        draft.mkdir()
        refuse_full(folder, needed, f"the checkpoint of step {step}")
        _write(draft, tensors, state)
        put_in_place(draft, final)
    except (OSError, SafetensorError, InputError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        if is_full(error):
            raise InputError(f"{folder}: no room for the checkpoint of step {step}, {size(needed)}: {error}") from None
        raise
    for old in _complete(folder)[:-KEPT]:
        shutil.rmtree(old)


def _write(draft: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    hashes = {}
    for name, group in tensors.items():
        path = Checkpoint(draft).tensors(name)
        # clones: tensors that share storage (tied weights) are stored once by the caller, views are cut out here
        save_file({key: value.detach().cpu().contiguous().clone() for key, value in group.items()}, path)
        hashes[path.name] = sha256_file(path)
    content = {**state, "files": hashes}
    Checkpoint(draft).state.write_text(json.dumps({**content, "sha256": _hash(content)}))


def _hash(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def keep_evidence(parts: Parts, step: int, message: str, experience: Experience | None) -> Path:
    """Write what a step that had to stop had in hand into <run>/evidence/step<k>; returns that folder.

    about.json holds the message and the method's state, answers.json what was sampled, records.safetensors the step's
    records, as far as the step had come.
    """
    final = RunFolder(parts.folder).evidence / step_name(step)
    if not parts.ranks.first:
        return final
    draft = final.with_name(f".{final.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    about = {"step": step, "message": message, "method": dataclasses.asdict(parts.method.state)}
    (draft / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    answers = [
        {"prompt": a.prompt.id, **vars(a.completion), "correct": a.verdict.correct} for a in parts.collector.answers
    ]
    (draft / "answers.json").write_text(json.dumps(answers) + "\n")
    if experience is not None:
        records = {name: value for name, value in vars(experience.batch).items() if isinstance(value, Tensor)}
        save_file({name: value.cpu().contiguous() for name, value in records.items()}, draft / "records.safetensors")
    put_in_place(draft, final)
    return final


def drop_damaged(folder: Path) -> None:
    """Delete the newest checkpoints as long as their files are not what was written, and say so."""
    for path in reversed(_complete(folder)):
        fault = _damage(path)
        if not fault:
            return
        print(f"{path}: damaged ({fault}): going on from what was before it", flush=True)
        shutil.rmtree(path)


def _damage(checkpoint: Path) -> str:
    """What is wrong with the files of a checkpoint; "" where nothing is."""
    try:
        state = load_state(checkpoint)
    except ValueError:
        return "state.json cannot be read"
    if state.pop("sha256", None) not in (None, _hash(state)):  # None: written before checkpoints bore hashes
        return "state.json is not what was written"
    for name, digest in state.get("files", {}).items():
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if sha256_file(checkpoint / name) != digest:
            return f"{name} is not what was written"
    return ""


def discard(folder: Path) -> None:
    """Delete all checkpoints at once: a kill must not leave one whose snapshots are gone."""
    if folder.is_dir():
        leaving = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(leaving, ignore_errors=True)
        folder.rename(leaving)
        shutil.rmtree(leaving)


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
