"""The training loop: sample, reward, update, let the method adapt, checkpoint; top to bottom.

On the CPU a run's bits depend on its config and the micro-batch alone; killed at any moment, it goes on from its newest
checkpoint and ends with the same bits.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from entrobench.api import Progress
from entrobench.catalogue.registry import method_infos
from entrobench.config import PATIENCE, Hardware
from entrobench.distributed.holding import held
from entrobench.distributed.sharding import clip_gradients, sum_gradients
from entrobench.errors import InputError
from entrobench.files import make_folder, put_in_place, write_whole
from entrobench.models.shared_prefix import shares_prompts
from entrobench.models.weights import model_tensors, restore_model
from entrobench.progress import StepProgress, entropy_events
from entrobench.provenance import collect, sha256_file
from entrobench.results import RunFolder
from entrobench.run_config import MATHEMATICS, RunConfig

from . import checkpoint, hook_checks
from .answers import Prompt, Reward
from .assembly import Parts, assemble
from .checkpoint import Position
from .experience import Experience, draw_prompts, minibatches
from .live import LiveRows, write_steps
from .rows import Updates, step_row, summarise
from .stopping import STATUS, Asked, Stopping
from .update import Measures, accumulate_gradients, keyed_generator


def train(
    config: RunConfig,
    folder: Path,
    model_folder: Path,
    data_folder: Path,
    hardware: Hardware,
    reward: Reward,
) -> None:
    """Train one run into `folder`: steps.parquet, final/ and provenance.json appear when it ends.

    `reward` is what the config's `trainer: reward` names. A run that was killed goes on from its newest checkpoint.
    Raises InputError where the folder holds another run, the data are too few or the model has no tokenizer.
    """
    started, files = time.time(), RunFolder(folder)
    method = method_infos()[config.method.use]
    source = sha256_file(method.source)
    identity = {"config_hash": config.hash, "method_source": source, "mathematics": str(MATHEMATICS)}
    parts = assemble(config, folder, model_folder, data_folder, hardware, reward)
    with held(folder) if parts.ranks.first else nullcontext(nothing) as still_ours, Stopping(parts.ranks) as stopping:
        trainer = Trainer(parts, identity, still_ours, stopping)
        rows = trainer.run()
        trainer.save_weights(files.final)
        if not parts.ranks.first:
            return
        parts.snapshots.publish(len(rows))
        write_steps(rows, files.steps)
        used = {
            **vars(hardware),
            "device": parts.accelerator.device.type,
            "processes": parts.ranks.count,
            "shared_prefix": "always" if shares_prompts(parts.model) else "never",
        }
        provenance = collect(config, method.source, used, started, method.origin)
        write_whole(files.provenance, json.dumps(provenance, indent=2) + "\n")
        files.live.unlink()
        checkpoint.discard(files.checkpoints)


def _events(rows: list[dict[str, float]]) -> list[tuple[str, int, str]]:
    return entropy_events([int(row["step"]) for row in rows], [row["entropy_t1"] for row in rows]) if rows else []


def nothing() -> None:
    """What is called before files are written where nobody else could write them."""


class Trainer:
    """The loop over a run's parts, and how far it has come; `identity` says whose checkpoints are its own."""

    def __init__(
        self,
        parts: Parts,
        identity: Mapping[str, str],
        still_ours: Callable[[], None] = nothing,
        stopping: Stopping | None = None,
    ) -> None:
        """`still_ours` raises where another process has taken the run's folder over."""
        self.parts, self.identity, self.still_ours = parts, dict(identity), still_ours
        self.stopping = stopping or Stopping(parts.ranks)
        self.position = Position()
        self.experience: Experience | None = None  # of the step that is being made

    def run(self) -> list[dict[str, float]]:
        """Train to the last step, or to the plateau where the config has one; returns one row per step."""
        self.resume()
        rows = self.position.rows
        if not self.parts.ranks.first:
            list(self._steps())
            return rows
        last = self.parts.config.steps
        with StepProgress(self.position.step, last) as progress, LiveRows(self.parts.folder, rows) as live:
            told = {kind for kind, _, _ in _events(rows)}
            for row in self._steps():
                live.append(row)
                progress.advance(row)
                for kind, step, said in _events([rows[0], row]):
                    if kind not in told:
                        print(f"step {step}: entropy {kind}: {said}", flush=True)
                        told.add(kind)
        return rows

    def resume(self) -> None:
        """Go on from the newest checkpoint, where there is one."""
        self.position = checkpoint.resume(self.parts, self.identity) or self.position

    def _steps(self) -> Iterator[dict[str, float]]:
        """Make the steps that are left; the row of each."""
        parts, position = self.parts, self.position
        while position.step < parts.config.steps and not self._at_plateau():
            boundary = dataclasses.replace(position)
            position.step += 1
            try:
                position.rows.append(self._one_step())
            except Asked:
                self._end(boundary)
            except InputError as error:
                raise self._stopped(error) from error
            if window := parts.config.plateau_window:
                rewards = [row["reward"] for row in position.rows]
                position.rows[-1]["plateau"] = float(at_plateau(rewards, window, parts.config.plateau_gain))
            yield position.rows[-1]
            parts.snapshots.save(position.step, self.save_weights)
            if position.step % parts.checkpoint_every == 0 and position.step < parts.config.steps:
                self._keep(position)
            if self.stopping.asked_of_any() and position.step < parts.config.steps:
                self._end(position)

    def _keep(self, position: Position) -> None:
        self.still_ours()
        checkpoint.keep(self.parts, position, self.identity)

    def _end(self, boundary: Position) -> None:
        """End the process as SIGTERM asks, with a checkpoint of the last whole step."""
        if boundary.step % self.parts.checkpoint_every and boundary.step:
            self._keep(boundary)
        print(f"ended by SIGTERM after step {boundary.step}; the same command goes on from there", flush=True)
        raise SystemExit(STATUS)

    def _stopped(self, error: InputError) -> InputError:
        """The error with its place, once what the step had in hand is kept beside the run."""
        if isinstance(error, hook_checks.HookError):
            hook_checks.log(error)
        step = self.position.step
        place = f"{self.parts.folder}: method {self.parts.name!r}, step {step}"
        kept = checkpoint.keep_evidence(self.parts, step, str(error), self.experience)
        return InputError(f"{place}: {error}; training stops here, evidence in {kept}, the last checkpoint is intact")

    def _at_plateau(self) -> bool:
        """Whether the last step reached the plateau, as its row says; without a plateau rule no row does."""
        rows = self.position.rows
        return bool(rows and rows[-1].get("plateau"))

    def _one_step(self) -> dict[str, float]:
        parts, step, spent = self.parts, self.position.step, time.process_time()
        dropout = keyed_generator(f"dropout/{parts.stream}/{step}")  # for models that have it; nothing else draws
        torch.manual_seed(int(dropout.integers(2**63)))
        self.experience = None
        with self.stopping.at_once():
            experience = self.experience = self._collect(step)
        updates = self._updates(experience)
        summary = summarise(experience, updates.measures, len(updates.norms), parts.config)
        if updates.norms:  # without an update there is nothing to react to
            hook_checks.after_step(parts.method, summary)
        row = step_row(parts, experience, updates, summary)
        hook_checks.finite_numbers(row)
        device = sum(value for name, value in row.items() if name.startswith("seconds_"))
        if parts.accelerator.device.type == "cpu":  # where other load stretches the clock, but not CPU seconds
            device = time.process_time() - spent
        return row | {"seconds_device": device}

    def _collect(self, step: int) -> Experience:
        """The step's experience; the policy's weights stay as they are."""
        parts = self.parts
        self._reset_reference()
        temperature = hook_checks.temperature(parts.method, Progress(step, parts.config.steps))
        batches = self._prompt_batches()
        with parts.accelerator.autocast():
            return parts.collector.collect(next(batches), step, temperature, parts.reference, batches)

    def _prompt_batches(self) -> Iterator[list[Prompt]]:
        """The prompts that come next in the data's order, which one step per batch follows without refilling."""
        while True:
            self.position.batches += 1
            yield draw_prompts(self.parts.prompts, self.parts.config, self.parts.stream, self.position.batches)

    def _updates(self, experience: Experience) -> Updates:
        """Make the step's optimizer updates."""
        parts, begun = self.parts, time.perf_counter()
        measures, norms = Measures(), []
        for part in minibatches(parts.method, experience, parts.limits):
            with parts.accelerator.autocast():  # one context an update: it caches casts of the weights
                backward = parts.accelerator.backward
                measures.include(accumulate_gradients(parts.method, parts.model, *part, parts.limits, backward))
            norms.append(self._optimizer_step())
        return Updates(measures, norms, self.learning_rate, begun)

    def _optimizer_step(self) -> float:
        parts = self.parts
        self.position.updates += 1
        for group in parts.optimizer.param_groups:
            group["lr"] = self.learning_rate
        sum_gradients(parts.model.parameters(), parts.ranks)
        norm = clip_gradients(parts.model.parameters(), parts.config.grad_clip or math.inf, parts.ranks)
        if not math.isfinite(norm):
            raise hook_checks.HookError("the gradient is not finite, though all that the hooks returned is")
        parts.optimizer.step()
        parts.optimizer.zero_grad(set_to_none=True)
        return norm

    @property
    def learning_rate(self) -> float:
        """Constant after a linear warm-up over updates."""
        config = self.parts.config
        return config.learning_rate * min(1.0, self.position.updates / max(config.warmup_updates, 1))

    def _reset_reference(self) -> None:
        parts, step = self.parts, self.position.step
        if parts.reference is None or step == 1:
            return
        if hook_checks.renews_reference(parts.method, Progress(step, parts.config.steps)):
            restore_model(parts.reference, model_tensors(parts.model))
            if parts.method.fresh_optimizer:
                parts.optimizer.state.clear()

    def save_weights(self, folder: Path) -> None:
        """Write the weights and the tokenizer in the usual format, whole or not at all."""
        self.still_ours()
        tensors = model_tensors(self.parts.model)
        hook_checks.finite_weights(tensors)
        if not self.parts.ranks.first:
            return
        draft = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        make_folder(folder.parent)
        self.parts.model.save_pretrained(draft, state_dict=tensors)
        self.parts.tokenizer.save_pretrained(draft)
        put_in_place(draft, folder)


def at_plateau(rewards: Sequence[float], window: int, gain: float) -> bool:
    """Whether the last PATIENCE windows of steps all have a mean reward less than `gain` above the best before them.

    `rewards` are those of a run's steps so far. Asked after whole windows only, and never where `window` is 0. It
    depends on nothing else, so that a resumed run decides alike.
    """
    if not window or len(rewards) % window or len(rewards) <= PATIENCE * window:
        return False
    means = [sum(rewards[start : start + window]) / window for start in range(0, len(rewards), window)]
    return max(means[-PATIENCE:]) < max(means[:-PATIENCE]) + gain
