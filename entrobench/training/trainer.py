"""The training loop: sample, reward, update, let the method adapt, checkpoint; top to bottom.

On the CPU a run's bits depend on its config and the micro-batch alone; killed at any moment, it goes on from its newest
checkpoint and ends with the same bits.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from entrobench.api import Method, Progress, StepSummary
from entrobench.catalogue.registry import load_method, method_infos
from entrobench.config import Hardware, TrainerConfig, parse
from entrobench.data.hub import sizes_in
from entrobench.distributed.launch import check_processes
from entrobench.distributed.ranks import Ranks
from entrobench.distributed.sharding import Whole, clip_gradients, parameter_groups, shard, sum_gradients
from entrobench.engines.choice import check_engine, training_engine
from entrobench.errors import InputError
from entrobench.models.footprint import peak_memory, refuse_too_small
from entrobench.models.language_model import (
    encode_prompt,
    load_model,
    load_tokenizer,
    make_deterministic,
    recompute_layers,
    resolve_device,
)
from entrobench.models.weights import model_tensors, restore_model
from entrobench.progress import StepProgress
from entrobench.results import RunFolder

from . import checkpoint, hook_checks
from .answers import Prompt, Reward
from .clamp_diagnostics import ClampDiagnostic
from .experience import Collector, Experience, draw_prompts, minibatches
from .live import LiveRows, write_steps
from .micro_batches import ForwardLimits
from .snapshots import Snapshots
from .update import Measures, accumulate_gradients


def train(
    config: Mapping[str, Any],
    folder: Path,
    model_folder: Path,
    data_folder: Path,
    hardware: Hardware,
    reward: Reward,
) -> None:
    """Train one run into `folder`: steps.parquet, final/ and provenance.json appear when it ends.

    `config` is the content of the run's config.json, `reward` what its `trainer: reward` names. A run that was killed
    goes on from its newest checkpoint. Raises InputError where the folder holds another run, the data are too few or
    the model has no tokenizer.
    """
    from entrobench.provenance import MATHEMATICS, collect, sha256_file

    started, files = time.time(), RunFolder(folder)
    method = method_infos()[config["method"]["use"]]
    source = sha256_file(method.source)
    identity = {"config_hash": config["hash"], "method_source": source, "mathematics": str(MATHEMATICS)}
    trainer = Trainer(config, folder, model_folder, data_folder, hardware, reward, identity)
    rows = trainer.run()
    trainer.save_weights(files.final)
    if not trainer.ranks.first:
        return
    trainer.snapshots.publish()
    write_steps(rows, files.steps)
    device = {**vars(hardware), "device": trainer.accelerator.device.type, "processes": trainer.ranks.count}
    provenance = collect(config, method.source, device, started, method.origin)
    files.provenance.write_text(json.dumps(provenance, indent=2) + "\n")
    files.live.unlink()
    checkpoint.discard(files.checkpoints)


class Trainer:
    """One run's model, optimizer, method and position."""

    precision: str | None = None  # accelerate's name; None: bf16 on a GPU, no on a CPU

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        model_folder: Path,
        data_folder: Path,
        hardware: Hardware,
        reward: Reward,
        identity: Mapping[str, str],
    ) -> None:
        from accelerate import Accelerator

        self.folder, self.identity, self.seed = folder, identity, int(config["seed"])
        self.trainer = parse(TrainerConfig, config["trainer"], f"{folder}/config.json: trainer")
        check_engine(self.trainer.engine, f"{folder}/config.json")
        device = resolve_device(hardware.device)
        make_deterministic(device)
        precision = self.precision or ("bf16" if device.type == "cuda" else "no")  # master weights stay float32
        self.accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=precision)
        device = self.accelerator.device
        self.ranks = Ranks(self.accelerator.process_index, self.accelerator.num_processes)
        if self.ranks.first:
            print(f"training on {_described(device, self.ranks)}", flush=True)
        check_processes(self.ranks.count, self.trainer, str(folder))
        self.limits = ForwardLimits(hardware.micro_batch, hardware.head_chunk, hardware.micro_batch_tokens, self.ranks)
        self.checkpoint_every = hardware.checkpoint_every
        self.snapshots = Snapshots(folder, self.trainer.steps, hardware.snapshot_every)
        self.method_name = config["method"]["name"]
        self.method = build_method(config["method"], self.trainer, f"{folder}/config.json: method")
        self.tokenizer = load_tokenizer(model_folder)
        if device.type == "cuda":
            peak = peak_memory(sizes_in(model_folder), self.trainer, hardware, bool(self.method.reference))
            refuse_too_small(peak, torch.cuda.mem_get_info(device)[1], f"{folder}/config.json")
        self.model = load_model(model_folder, device)
        self.reference = copy.deepcopy(self.model).requires_grad_(False) if self.method.reference else None
        if hardware.activation_checkpointing:
            recompute_layers(self.model)
        self.prompts = load_prompts(data_folder, self.tokenizer, config["dataset"]["prompt"], self.trainer)
        dtype = torch.bfloat16 if precision == "bf16" else self.model.dtype
        longest = max(len(prompt.tokens) for prompt in self.prompts)
        engine = training_engine(
            self.model, self.tokenizer, model_folder, longest, dtype, self.trainer, hardware, folder, self.ranks
        )
        whole = self._shard(dtype) if hardware.weights == "sharded" and self.ranks.count > 1 else None
        self.optimizer = _optimizer(self.model, self.trainer)
        self.diagnostic = ClampDiagnostic(hardware.clamp_diagnostics) if hardware.clamp_diagnostics else None
        self.collector = Collector(
            self.model,
            self.tokenizer,
            engine,
            reward,
            self.method,
            self.trainer,
            self.seed,
            self.limits,
            self.diagnostic,
            whole,
        )
        self.step, self.updates, self.batches = 0, 0, 0
        self.rows: list[dict[str, float]] = []

    def _shard(self, dtype: torch.dtype) -> Whole:
        """Cut the model's layers among the processes; returns the whole copy for the engine, made before."""
        whole = Whole(self.model, dtype)
        shard(self.model, self.ranks)
        return whole

    def run(self) -> list[dict[str, float]]:
        """Train to the last step; returns one row per step."""
        self._resume()
        if not self.ranks.first:
            list(self._steps())
            return self.rows
        with StepProgress(self.step, self.trainer.steps) as progress, LiveRows(self.folder, self.rows) as live:
            for row in self._steps():
                live.append(row)
                progress.advance(row)
        return self.rows

    def _steps(self) -> Iterator[dict[str, float]]:
        """Make the steps that are left; the row of each."""
        while self.step < self.trainer.steps:
            self.step += 1
            try:
                self.rows.append(self._one_step())
            except hook_checks.HookError as error:
                place = f"method {self.method_name!r}, step {self.step}"
                kept = "training stops here, the last checkpoint is intact"
                raise InputError(f"{self.folder}: {place}: {error}; {kept}") from error
            yield self.rows[-1]
            self.snapshots.save(self.step, self.save_weights)
            if self.step % self.checkpoint_every == 0 and self.step < self.trainer.steps:
                self._save_checkpoint()

    def _one_step(self) -> dict[str, float]:
        torch.manual_seed(1_000_003 * self.seed + self.step)  # for models with dropout; nothing else draws
        self._reset_reference()
        temperature = hook_checks.temperature(self.method, Progress(self.step, self.trainer.steps))
        batches = self._prompt_batches()
        with self.accelerator.autocast():
            experience = self.collector.collect(next(batches), self.step, temperature, self.reference, batches)
        clock = time.perf_counter()
        measures, norms = self._updates(experience)
        summary = summarise(experience, measures, len(norms), self.trainer)
        self.method.after_step(summary)
        hook_checks.state(self.method)
        seconds = {**experience.seconds, "update": time.perf_counter() - clock}
        return self._row(experience, measures, norms, summary, seconds)

    def _prompt_batches(self) -> Iterator[list[Prompt]]:
        """The prompts that come next in the data's order, which one step per batch follows without refilling."""
        while True:
            self.batches += 1
            yield draw_prompts(self.prompts, self.trainer, self.seed, self.batches)

    def _updates(self, experience: Experience) -> tuple[Measures, list[float]]:
        """Make the step's optimizer updates; returns what they measured and their gradient norms."""
        measures, norms = Measures(), []
        for part in minibatches(self.method, experience, self.trainer.updates, self.limits):
            with self.accelerator.autocast():  # one context an update: it caches casts of the weights
                backward = self.accelerator.backward
                measures.include(accumulate_gradients(self.method, self.model, *part, self.limits, backward))
            norms.append(self._optimizer_step())
        return measures, norms

    def _optimizer_step(self) -> float:
        self.updates += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        sum_gradients(self.model.parameters(), self.ranks)
        norm = clip_gradients(self.model.parameters(), self.trainer.grad_clip or math.inf, self.ranks)
        if not math.isfinite(norm):
            raise hook_checks.HookError("the gradient is not finite, though all that the hooks returned is")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    @property
    def learning_rate(self) -> float:
        """Constant after a linear warm-up over updates."""
        return self.trainer.learning_rate * min(1.0, self.updates / max(self.trainer.warmup_updates, 1))

    def _reset_reference(self) -> None:
        every = self.method.reference_reset_every
        if self.reference is not None and every and self.step > 1 and (self.step - 1) % every == 0:
            restore_model(self.reference, model_tensors(self.model))

    def _row(
        self,
        experience: Experience,
        measures: Measures,
        norms: list[float],
        summary: StepSummary,
        seconds: Mapping[str, float],
    ) -> dict[str, float]:
        """The step's line of steps.parquet."""
        row: dict[str, float] = {"step": self.step, "time": time.time()}
        for name in (
            "reward",
            "pass_rate",
            "entropy",
            "surprisal",
            "kl",
            "clip_low",
            "clip_high",
            "length",
            "truncated",
        ):
            row[name] = getattr(summary, name)
        rate = experience.batch.pass_rate
        row["mixed_groups"] = float(((rate > 0) & (rate < 1)).float().mean())
        row["entropy_t1"] = experience.entropy_t1
        row["temperature"] = summary.temperature
        row["policy_loss"] = measures.policy_loss / max(len(norms), 1)
        row["regularizer_loss"] = measures.regularizer_loss / max(len(norms), 1)
        row["grad_norm"] = sum(norms) / max(len(norms), 1)
        row["learning_rate"] = self.learning_rate
        row["updates"] = len(norms)
        row["tokens"] = experience.sampled.tokens  # all that was sampled, dropped groups included
        if self.trainer.dynamic_sampling:
            row["sampling_batches"] = experience.sampled.batches
            row["sampled_accuracy"] = experience.sampled.correct / experience.sampled.count
        row |= experience.rollout
        row |= {f"seconds_{name}": value for name, value in seconds.items()}
        row |= {name: measures.token_mean(name) for name in measures.sums if "/" in name}
        row |= {} if self.diagnostic is None else self.diagnostic.take(self.ranks, self.accelerator.device)
        row |= {f"outcome/{name}": share for name, share in experience.sampled.shares.items()}
        state = dataclasses.asdict(self.method.state)
        return row | {f"method/{name}": float(value) for name, value in state.items() if _is_number(value)}

    def _save_checkpoint(self) -> None:
        tensors = {
            "model": model_tensors(self.model),
            "optimizer": checkpoint.optimizer_tensors(self.optimizer),
        }
        if self.reference is not None:
            tensors["reference"] = model_tensors(self.reference)
        state = {
            "identity": dict(self.identity),
            "step": self.step,
            "updates": self.updates,
            "batches": self.batches,
            "method": dataclasses.asdict(self.method.state),
            "rows": self.rows,
        }
        if self.ranks.first:
            checkpoint.save(RunFolder(self.folder).checkpoints, self.step, tensors, state)
        self.ranks.wait()

    def _resume(self) -> None:
        """Go on from the newest checkpoint; one of another method's source or mathematics is of no use and removed."""
        if checkpoint.stale(RunFolder(self.folder).checkpoints, self.identity):
            print(
                "the method's source or the mathematics has changed: starting afresh",
                flush=True,
            )
            checkpoint.discard(RunFolder(self.folder).checkpoints)
        found = checkpoint.latest(RunFolder(self.folder).checkpoints, self.identity)
        state: dict[str, Any] = {"step": 0} if found is None else checkpoint.load_state(found)
        if self.ranks.first:
            self.snapshots.resume(state["step"])
        if found is None:
            return
        restore_model(self.model, checkpoint.load_tensors(found, "model"))
        checkpoint.restore_optimizer(self.optimizer, checkpoint.load_tensors(found, "optimizer"))
        if self.reference is not None:
            restore_model(self.reference, checkpoint.load_tensors(found, "reference"))
        self.method.state = self.method.State(**state["method"])
        self.step, self.updates, self.rows = state["step"], state["updates"], state["rows"]
        self.batches = state.get("batches", self.step)  # older checkpoints drew one batch a step
        print(f"resuming after step {self.step}", flush=True)

    def save_weights(self, folder: Path) -> None:
        """Write the weights and the tokenizer in the usual format, whole or not at all."""
        tensors = model_tensors(self.model)
        if not self.ranks.first:
            return
        draft = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        self.model.save_pretrained(draft, state_dict=tensors)
        self.tokenizer.save_pretrained(draft)
        checkpoint.put_in_place(draft, folder)


def build_method(section: Mapping[str, Any], trainer: TrainerConfig, where: str) -> Method:
    """Make a method from the `method` section of a config."""
    method_class = load_method(section["use"], where)
    return method_class(parse(method_class.Config, section["values"], where), trainer)


def load_prompts(data_folder: Path, tokenizer: Any, template: str, config: TrainerConfig) -> list[Prompt]:
    """Tokenise the training problems; those over `max_prompt_tokens` are left out and counted on the screen."""
    from entrobench.data.datasets import load_rows, render

    rows = load_rows(data_folder, "train")
    prompts = [Prompt(r.id, encode_prompt(tokenizer, render(template, r.problem)), r.answer) for r in rows]
    short = [prompt for prompt in prompts if len(prompt.tokens) <= config.max_prompt_tokens]
    if len(short) < len(prompts):
        print(
            f"{len(prompts) - len(short)} of {len(prompts)} prompts are longer than {config.max_prompt_tokens} tokens"
        )
    if len(short) < config.prompts:
        raise InputError(
            f"{data_folder}: {len(short)} usable training problems, but trainer: prompts is {config.prompts}"
        )
    return short


def summarise(experience: Experience, measures: Measures, updates: int, trainer: TrainerConfig) -> StepSummary:
    """What a step measured, for the method's controller and the log."""
    batch = experience.batch
    mask = batch.mask
    return StepSummary(
        step=batch.step,
        total_steps=trainer.steps,
        updates=updates,
        temperature=batch.temperature,
        reward=float(batch.rewards.mean()),
        pass_rate=float(batch.pass_rate.mean()),
        entropy=float(batch.entropy_old[mask].mean()),
        surprisal=-float(batch.logp_old[mask].mean()),
        stats={n.removeprefix("stat/"): measures.token_mean(n) for n in measures.sums if n.startswith("stat/")},
        kl=measures.token_mean("kl"),
        clip_low=measures.token_mean("clip_low"),
        clip_high=measures.token_mean("clip_high"),
        length=float(mask.sum(1).float().mean()),
        truncated=float(batch.truncated.float().mean()),
    )


def _described(device: torch.device, ranks: Ranks) -> str:
    processes = f", {ranks.count} processes" if ranks.count > 1 else ""
    return f"{device} ({torch.get_num_threads()} threads{processes})"


def _optimizer(model: Any, config: TrainerConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameter_groups(model),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        foreach=True,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))
