"""The points that watch the loop around a method: resume, a step without an update, several processes."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from entrobench.config import Hardware
from entrobench.distributed.ranks import Ranks
from entrobench.run_config import RunConfig, RunDataset, RunModel, Variant
from entrobench.training.assembly import assemble
from entrobench.training.checkpoint import Position
from entrobench.training.micro_batches import ForwardLimits
from entrobench.training.trainer import Trainer

from .rehearsal import (
    MINIBATCH,
    STEPS,
    Judged,
    Trace,
    even_words,
    largest,
    rehearse,
    tiny_model,
    tiny_tokenizer,
)
from .subject import Point, Subject, verdict
from .threads import together

START, SAVED_AT, LAST_STEP = 29, 32, 34  # point 4: past the longest default warm-up of a built-in method, 30 steps
IDLE = (31, SAVED_AT, SAVED_AT + 1, STEPS[1])  # point 12: steps without a mixed group, past that warm-up
PROCESSES = 2  # point 13


def trials(subject: Subject) -> list[Trainer]:
    """What points 4 and 12 watch: an uninterrupted run, and one that goes on from the first's checkpoint.

    Some steps have no mixed group, one before and one after the checkpoint among them.
    """
    config, silence = _trial_config(_with_dynamic_sampling(subject)), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(silence), redirect_stderr(silence):
        model_folder, data_folder = _trial_files(Path(folder))
        return [_trial_run(config, Path(folder) / "run", model_folder, data_folder) for _ in range(2)]


def resume(subject: Subject, runs: list[Trainer]) -> Point:
    """Point 4: a run that goes on from a checkpoint ends with the bits of the uninterrupted one."""
    title, (whole, resumed) = "resume equals the uninterrupted run", runs
    difference, same = _gap(whole, resumed)
    state, again = dataclasses.asdict(whole.parts.method.state), dataclasses.asdict(resumed.parts.method.state)
    moved = state != dataclasses.asdict(subject.make().state)
    about = "no state" if not state else "its state moved" if moved else "its state did not move in this run"
    note = f"trainer, step {SAVED_AT} of {LAST_STEP}; {about}" + ("" if state == again else f"; {state} but {again}")
    return Point(4, title, verdict(same), difference, note)


def idle_step(subject: Subject, runs: list[Trainer]) -> Point:
    """Point 12: a step without an update changes neither weights nor state, also around a resume."""
    title = "a step without an update changes nothing"
    played = rehearse(_with_dynamic_sampling(subject).make(), reward=right_when_idle)
    (before, state), (weights, after), _ = played.ends
    whole, resumed = runs
    difference, same = _gap(whole, resumed)
    difference = max(difference, largest([(weights - before).abs().max()]))
    updates = [int(row["updates"]) for row in whole.position.rows]
    note = f"dynamic sampling without a mixed group; then the trainer, updates by step {updates}"
    if state != after:
        note = f"its state moves from {state} to {after}"
    passed = same and difference == 0 and state == after and 0 in updates and max(updates) > 0
    return Point(12, title, verdict(passed), difference, note)


def processes(subject: Subject, plain: Trace) -> Point:
    """Point 13: several processes make the updates of one."""
    title = f"{PROCESSES} processes make the same update"

    def part(ranks: Ranks) -> Trace:
        # one micro-batch a process, so that a scope of micro-batches alone makes a difference
        return rehearse(subject.make(), ForwardLimits(MINIBATCH, 4096, ranks=ranks), leader=plain)

    difference = largest([plain.difference(trace) for trace in together(PROCESSES, part)])
    if subject.make().scope == "microbatch":
        return Point(13, title, "expected", difference, "not invariant, as published (scope: microbatch)")
    return Point(13, title, verdict(difference <= plain.rounding), difference, "played by threads; sequences shared")


def right_when_idle(text: str, answer: str, finished: bool, key: str, problem: str) -> Judged:
    """A reward that leaves the steps of IDLE without a mixed group, and is as good as random in the others."""
    idle = int(key.rsplit("/", 1)[-1]) in IDLE
    return Judged(True, "correct") if idle else even_words(text, answer, finished, key, problem)


def _with_dynamic_sampling(subject: Subject) -> Subject:
    return replace(subject, trainer=replace(subject.trainer, dynamic_sampling=True, max_sampling_batches=1))


def _gap(whole: Trainer, resumed: Trainer) -> tuple[float, bool]:
    """The largest difference between two runs' weights, and whether they agree in weights, state and rows."""
    weights = zip(whole.parts.model.parameters(), resumed.parts.model.parameters(), strict=True)
    difference = largest([(a - b).detach().abs().max() for a, b in weights])
    same = whole.parts.method.state == resumed.parts.method.state and _losses(whole) == _losses(resumed)
    return difference, same and difference == 0


def _trial_run(config: RunConfig, folder: Path, model_folder: Path, data_folder: Path) -> Trainer:
    """Train from after step START, as if it were the first; from the checkpoint, where there is one."""
    hardware = Hardware(device="cpu", micro_batch=MINIBATCH, checkpoint_every=SAVED_AT)
    identity = {"config_hash": config.hash, "method_source": config.method.use}
    trainer = Trainer(assemble(config, folder, model_folder, data_folder, hardware, right_when_idle), identity)
    trainer.position = Position(START, batches=START)
    trainer.run()
    return trainer


def _trial_config(subject: Subject) -> RunConfig:
    return RunConfig(
        model=RunModel("trial", ""),
        dataset=RunDataset("trial", "", "{problem}"),
        method=Variant(subject.name, subject.method_name, dict(subject.values)),
        seed=0,
        trainer=replace(subject.trainer, steps=LAST_STEP),
    )


def _trial_files(folder: Path) -> tuple[Path, Path]:
    """A model folder and a data folder for the trainer."""
    from entrobench.data.datasets import prepare

    model_folder, data_folder = folder / "model", folder / "data"
    tiny_model().save_pretrained(model_folder)
    tiny_tokenizer().save_pretrained(model_folder)
    prepare("trial", {"kind": "chain", "chain": {"operations": 1}}, data_folder)
    return model_folder, data_folder


def _losses(trainer: Trainer) -> list[dict[str, float]]:
    """The logged rows without their clocks."""
    return [
        {k: v for k, v in row.items() if k != "time" and not k.startswith("seconds_")} for row in trainer.position.rows
    ]
