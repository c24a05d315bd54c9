"""What a run is made of: its config and the hardware, turned into method, model, data, engine and optimizer."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from entrobench.api import Method
from entrobench.catalogue.registry import load_method
from entrobench.config import Hardware, TrainerConfig, parse
from entrobench.distributed.ranks import Ranks
from entrobench.distributed.sharding import Whole, parameter_groups, shard
from entrobench.engines.choice import training_engine
from entrobench.errors import InputError
from entrobench.models.language_model import (
    Network,
    encode_prompt,
    load_model,
    load_tokenizer,
    make_deterministic,
    recompute_layers,
    resolve_device,
)
from entrobench.models.shared_prefix import obstacle_in, share_prompts
from entrobench.run_config import RunConfig, Variant

from . import hook_checks
from .answers import Prompt, Reward, Sampler
from .clamp_diagnostics import ClampDiagnostic
from .experience import Collector
from .micro_batches import ForwardLimits
from .snapshots import Snapshots


@dataclass
class Parts:
    """What the trainer works with: whatever a config decides is decided here."""

    name: str  # of the method, as the study calls it
    stream: str  # names the run's random numbers
    config: TrainerConfig
    folder: Path  # the run's
    checkpoint_every: int  # steps
    accelerator: Any
    limits: ForwardLimits
    method: Method
    model: Any
    tokenizer: Any
    reference: Any | None  # a frozen copy of the model, for methods that want one
    prompts: list[Prompt]
    collector: Collector
    optimizer: torch.optim.Optimizer
    snapshots: Snapshots

    @property
    def ranks(self) -> Ranks:
        return self.limits.ranks


def assemble(
    config: RunConfig,
    folder: Path,
    model_folder: Path,
    data_folder: Path,
    hardware: Hardware,
    reward: Reward,
    precision: str | None = None,
) -> Parts:
    """Make the parts of the run in `folder`; `precision` is accelerate's name, None: bf16 on a GPU, no on a CPU.

    Raises InputError where the config, the model or the data do not allow the run; the machine is checked before.
    """
    trainer = config.trainer
    accelerator, limits = _machine(hardware, precision)
    method = build_method(config.method, trainer, f"{folder}/config.json: method")
    tokenizer = load_tokenizer(model_folder)
    model = load_model(model_folder, accelerator.device)
    _share_prompts(model, hardware.shared_prefix, limits.ranks)
    reference = copy.deepcopy(model).requires_grad_(False) if method.uses_reference else None
    if hardware.activation_checkpointing:
        recompute_layers(model)
    prompts = load_prompts(data_folder, tokenizer, config.dataset.prompt, trainer)
    network = Network(model_folder, model, tokenizer, _sampling_type(model, accelerator))
    longest = max(len(prompt.tokens) for prompt in prompts)
    engine = training_engine(network, longest, trainer, hardware, folder, limits.ranks)
    sampler = Sampler(tokenizer, engine, reward, trainer, config.stream, limits.ranks)
    whole = _sharded(network, limits.ranks) if hardware.weights == "sharded" else None
    diagnostic = ClampDiagnostic(hardware.clamp_diagnostics) if hardware.clamp_diagnostics else None
    return Parts(
        name=config.method.name,
        stream=config.stream,
        config=trainer,
        folder=folder,
        checkpoint_every=hardware.checkpoint_every,
        accelerator=accelerator,
        limits=limits,
        method=method,
        model=model,
        tokenizer=tokenizer,
        reference=reference,
        prompts=prompts,
        collector=Collector(model, sampler, method, limits, diagnostic, whole),
        optimizer=_optimizer(model, trainer),
        snapshots=Snapshots(folder, trainer.steps, hardware.snapshot_every, hardware.snapshot_last),
    )


def _machine(hardware: Hardware, precision: str | None) -> tuple[Any, ForwardLimits]:
    """The accelerator, and how work is divided among processes and in memory."""
    from accelerate import Accelerator

    device = resolve_device(hardware.device)
    make_deterministic(device)
    precision = precision or ("bf16" if device.type == "cuda" else "no")  # master weights stay float32
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=precision)
    ranks = Ranks(accelerator.process_index, accelerator.num_processes)
    if ranks.first:
        processes = f", {ranks.count} processes" if ranks.count > 1 else ""
        print(f"training on {accelerator.device} ({torch.get_num_threads()} threads{processes})", flush=True)
    return accelerator, ForwardLimits(hardware.micro_batch, hardware.head_chunk, hardware.micro_batch_tokens, ranks)


def _share_prompts(model: Any, wanted: str, ranks: Ranks) -> None:
    """Do as `hardware.shared_prefix` says; where auto means never, say why."""
    obstacle = obstacle_in(model) if wanted == "auto" else None
    if obstacle and ranks.first:
        print(f"shared_prefix: each prompt is run once per answer: {obstacle}")
    if wanted != "never" and not obstacle:
        share_prompts(model)


def build_method(chosen: Variant, trainer: TrainerConfig, where: str) -> Method:
    """Make the method that a config names."""
    method_class = load_method(chosen.use, where)
    config = parse(method_class.Config, chosen.values, where)
    try:
        return hook_checks.build(method_class, config, trainer)
    except hook_checks.HookError as error:
        hook_checks.log(error)
        raise hook_checks.HookError(f"{where} {chosen.name!r}: {error}") from error


def load_prompts(data_folder: Path, tokenizer: Any, template: str, config: TrainerConfig) -> list[Prompt]:
    """Tokenise the training problems; those over `max_prompt_tokens` are left out and counted on the screen."""
    from entrobench.data.datasets import load_rows, render

    rows = load_rows(data_folder, "train")
    texts = [encode_prompt(tokenizer, render(template, row.problem)) for row in rows]
    prompts = [Prompt(r.id, text, r.answer, r.problem) for r, text in zip(rows, texts, strict=True)]
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


def _sampling_type(model: Any, accelerator: Any) -> torch.dtype:
    """The type that forwards compute in."""
    dtype: torch.dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else model.dtype
    return dtype


def _sharded(network: Network, ranks: Ranks) -> Whole | None:
    """Cut the model among the processes; what the engine reads of it, None where one process has all."""
    if ranks.count == 1:
        return None
    whole = Whole(network.model, network.dtype)
    shard(network.model, ranks)
    return whole


def _optimizer(model: Any, config: TrainerConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameter_groups(model),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        foreach=True,
    )
