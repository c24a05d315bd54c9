"""The sections of the GPU check: each yields rows (what, value, unit, note) as it measures them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from shared.entropies import CLAMP, by_topk, errors, ours_clamped, ours_full, published
from shared.gpu_model import (
    FULL,
    SMALL,
    TINY,
    Size,
    hardware_for,
    make_trainer,
    random_prompts,
    save_model,
    trainer_config,
)
from shared.measure import interleaved

from entrobench.data.hub import ModelSizes
from entrobench.models.footprint import GIB, ROLLOUT_PHASES, Peak, peak_memory

Row = tuple[str, float | None, str, str]  # what, value (None: UNKNOWN), unit, note
STEPS = 4  # measured after one to warm up, as far as the time goes
GRADIENT_TOLERANCE = 1e-3  # of the gradient's length; float32 with other orders of summation
LOGP_TOLERANCE = 1e-4  # nats
CHECKED_ROWS = 4
# dense bfloat16 TFLOP/s of NVIDIA's data sheets, by torch's name of the device; others are UNKNOWN
PEAK_TFLOPS = {
    "NVIDIA A100-SXM4-40GB": 312,
    "NVIDIA A100-SXM4-80GB": 312,
    "NVIDIA A100-PCIE-40GB": 312,
    "NVIDIA A100 80GB PCIe": 312,
    "NVIDIA H100 80GB HBM3": 989,
    "NVIDIA H100 PCIe": 756,
    "NVIDIA H200": 989,
}


@dataclass(frozen=True)
class Place:
    """Where and how large, and until when (`time.monotonic()`)."""

    device: str
    tiny: bool
    folder: Path
    until: float

    @property
    def size(self) -> Size:
        return TINY if self.tiny else FULL

    @property
    def cuda(self) -> bool:
        return self.device == "cuda"

    def synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def peak(self) -> float | None:
        """Most bytes allocated since the last call; None off a GPU, where torch does not count."""
        if not self.cuda:
            return None
        bytes_ = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return float(bytes_)


def model(place: Place) -> Iterator[Row]:
    """Make the model that later sections train."""
    start = time.monotonic()
    save_model(place.size, place.folder, place.device)
    yield "making the model", time.monotonic() - start, "s", str(place.size.sizes)


def kernels(place: Place) -> Iterator[Row]:
    """Entropy from logits, forward and backward; slow contenders on some rows, their time scaled up."""
    size = place.size
    few = max(1, size.kernel_rows // size.host_rows)
    contenders: dict[str, tuple[Callable[..., Any], int]] = {
        "published way, selection on the host": (published, few),
        "published way, topk on the device": (by_topk, 4),
        "ours, clamped": (ours_clamped, 1),
        "ours, full": (ours_full, 1),
    }
    path = "Triton kernels" if place.cuda else "blocks of rows on the CPU; the Triton kernels need a GPU"
    for dtype in (torch.bfloat16, torch.float32):
        torch.manual_seed(0)
        logits = 3 * torch.randn(size.kernel_rows, size.sizes.vocabulary, device=place.device, dtype=dtype)
        calls = {
            name: partial(_both_ways, place, function, logits[: size.kernel_rows // factor])
            for name, (function, factor) in contenders.items()
        }
        seconds = interleaved(calls, size.rounds)
        kind = str(dtype).removeprefix("torch.")
        for name, (function, factor) in contenders.items():
            value, slope = errors(function, logits[:CHECKED_ROWS], name == "ours, full")
            note = f"{size.kernel_rows} x {size.sizes.vocabulary}, p {CLAMP}; errors {value:.0e}, gradient {slope:.0e}"
            note += f"; {path}" if name.startswith("ours") else f"; timed on 1/{factor} of the rows"
            yield f"{name}, {kind}", 1000 * factor * median(seconds[name]), "ms", note


def _both_ways(place: Place, function: Callable[..., Any], logits: torch.Tensor) -> None:
    leaf = logits.detach().requires_grad_()
    function(leaf).sum().backward()
    place.synchronize()


def parity(place: Place) -> Iterator[Row]:
    """One update of a small model in float32 on the CPU and on the device, from the same experience."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    size, folder = TINY if place.tiny else SMALL, place.folder / "parity"
    save_model(size, folder, "cpu")
    found = []
    experience: Any = None
    for device in ("cpu", place.device):
        made = make_trainer("no", "aent", size, folder, hardware_for(size, device, None))
        if experience is None:
            experience = made.parts.collector.collect(made.parts.prompts[: size.prompts], 1, 1.0, None)
        found.append(_one_gradient(made, _moved(experience, device)))
    (logp, gradient), (other_logp, other_gradient) = found
    apart = float((gradient - other_gradient).norm() / gradient.norm())
    note = f"float32, TF32 off, AEnt, {size.sizes.layers} layers; tolerance {GRADIENT_TOLERANCE:g}"
    yield (
        f"gradient, cpu against {place.device}",
        apart,
        "of its length",
        f"{note}: {_judged(apart, GRADIENT_TOLERANCE)}",
    )
    apart = float((logp - other_logp).abs().max())
    note = f"largest difference; tolerance {LOGP_TOLERANCE:g}: {_judged(apart, LOGP_TOLERANCE)}"
    yield f"log-probabilities, cpu against {place.device}", apart, "nats", note


def _judged(value: float, tolerance: float) -> str:
    return "holds" if value <= tolerance else "DOES NOT HOLD"


def _one_gradient(made: Any, experience: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the answers, and the gradient of the step's first update."""
    from entrobench.training.experience import minibatches
    from entrobench.training.forward import frozen_forward
    from entrobench.training.update import accumulate_gradients

    logp, _ = frozen_forward(made.parts.model, experience.sequences, {}, 1.0, made.parts.limits)
    part = next(minibatches(made.parts.method, experience, made.parts.limits))
    accumulate_gradients(made.parts.method, made.parts.model, *part, made.parts.limits, made.parts.accelerator.backward)
    gradient = torch.cat([weight.grad.flatten() for weight in made.parts.model.parameters()])
    return logp.cpu(), gradient.cpu()


def _moved(experience: Any, device: str) -> Any:
    """The same experience on another device."""
    return dataclasses.replace(
        experience, sequences=_fields_on(experience.sequences, device), batch=_fields_on(experience.batch, device)
    )


def _fields_on(record: Any, device: str) -> Any:
    def on(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: on(item) for name, item in value.items()}
        return value.to(device) if isinstance(value, torch.Tensor) else value

    return dataclasses.replace(record, **{name: on(value) for name, value in vars(record).items()})


def training(method: str, place: Place) -> Iterator[Row]:
    """Steps of one method: tokens a second, memory beside the model's figure, and use of the device's arithmetic."""
    size = place.size
    capacity = torch.cuda.mem_get_info()[1] if place.cuda else None
    hardware = hardware_for(size, place.device, capacity)
    made = make_trainer("bf16", method, size, place.folder, hardware)
    made.parts.collector.engine.end_tokens = []  # every answer has the greatest length, as TRL's (min_new_tokens)
    peaks: list[tuple[float | None, float | None]] = []
    collect = made.parts.collector.collect

    def watched(*arguments: Any) -> Any:
        place.peak()
        found = collect(*arguments)
        peaks.append((place.peak(), None))
        return found

    made.parts.collector.collect = watched  # type: ignore[method-assign]
    rows, seconds = [], []
    for number in range(1 + STEPS):
        start = time.monotonic()
        made.position.step += 1
        row = made._one_step()
        place.synchronize()
        took = time.monotonic() - start
        peaks[-1] = (peaks[-1][0], place.peak())
        if number:
            rows.append(row)
            seconds.append(took)
        if time.monotonic() + 1.3 * took > place.until:
            break
    if not rows:
        yield "no step after the first fitted the time", None, "", f"the first took {took:.0f} s"
        return
    yield from _speeds(place, rows, seconds, hardware.micro_batch)
    yield from _memory(peak_memory(size.sizes, made.parts.config, hardware), peaks[1:])


def _speeds(place: Place, rows: list[dict[str, float]], seconds: list[float], micro_batch: int) -> Iterator[Row]:
    size = place.size
    answers = size.prompts * size.group_size
    spent = {name: median(row[f"seconds_{name}"] for row in rows) for name in ("rollout", "old", "update")}
    scale = f"{answers} answers, {size.prompt} + {size.response} tokens"
    yield "step", median(seconds), "s", f"median of {len(rows)} after one; {scale}; micro-batch {micro_batch}"
    yield (
        "rollout",
        answers * size.response / spent["rollout"],
        "tokens/s",
        f"response tokens; {spent['rollout']:.2f} s",
    )
    yield "records", answers * (size.prompt + size.response) / spent["old"], "tokens/s", f"{spent['old']:.2f} s"
    yield "update", answers * (size.prompt + size.response) / spent["update"], "tokens/s", f"{spent['update']:.2f} s"
    mismatch = median(row["rollout_mismatch"] for row in rows)
    yield "rollout mismatch", mismatch, "nats", "mean |log-probability of the engine - of the trainer|"
    flops = update_flops(size.sizes, answers, size.prompt, size.response)
    name = torch.cuda.get_device_name() if place.cuda else "cpu"
    peak = PEAK_TFLOPS.get(name)
    formula = f"{flops / 1e12:.4g} TFLOP = 6 (layers' matrices x tokens + V d x response tokens + layers x h s x L^2)"
    share = None if peak is None else flops / spent["update"] / (peak * 1e12)
    stated = "no stated peak of this device" if peak is None else f"peak {peak} TFLOP/s, dense bfloat16"
    yield "model FLOPs utilisation of the update", share, "", f"{formula}; {stated}"


def update_flops(sizes: ModelSizes, answers: int, prompt: int, response: int) -> float:
    """Forward and backward of a step's sequences, nothing counted twice; causal attention counts half the square."""
    size = sizes.head_size or sizes.hidden_size // sizes.heads
    queries, keys, length = sizes.heads * size, sizes.kv_heads * size, prompt + response
    matrices = sizes.layers * sizes.hidden_size * (2 * queries + 2 * keys + 3 * sizes.intermediate_size)
    head = sizes.vocabulary * sizes.hidden_size * response
    return 6.0 * answers * (matrices * length + head + sizes.layers * queries * length**2)


def _memory(peak: Peak, measured: list[tuple[float | None, float | None]]) -> Iterator[Row]:
    """What torch allocated at most beside the memory model's figure."""
    totals = {name: sum(parts.values()) for name, parts in peak.phases.items()}
    groups = (ROLLOUT_PHASES, ("update", "update's end", "optimizer"))
    for place, (what, phases) in enumerate(zip(("rollout", "update"), groups, strict=True)):
        expected = max(totals[name] for name in phases)
        found = [pair[place] for pair in measured]
        if None in found:
            yield f"peak memory, {what}", None, "GiB", f"the model says {expected / GIB:.4g}; torch counts on GPUs only"
            continue
        largest = max(value for value in found if value is not None)
        apart = expected / largest - 1
        note = f"the model says {expected / GIB:.4g}, {apart:+.1%}; tolerance 15 %: {_judged(abs(apart), 0.15)}"
        yield f"peak memory, {what}", largest / GIB, "GiB", note


def trl(place: Place) -> Iterator[Row]:
    """A step of GRPO in TRL's trainer: the same model, lengths, batch and micro-batch."""
    try:
        from trl import __version__ as version
    except ImportError:
        yield "step of GRPO in TRL", None, "s", "skipped: trl is not installed"
        return
    from shared.trl import trl_trainer
    from transformers import TrainerCallback

    from entrobench.models.language_model import load_model, load_tokenizer

    size = place.size
    capacity = torch.cuda.mem_get_info()[1] if place.cuda else None
    hardware = hardware_for(size, place.device, capacity)
    words = load_tokenizer(place.folder / "model")
    prompts = [words.decode(prompt.tokens) for prompt in random_prompts(size)]
    clock = _Clock(place)

    class Clocked(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clock.begin()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % 2 == 0:
                clock.end()
                control.should_training_stop = clock.late

    def reward(completions: list[str], **_: Any) -> list[float]:
        return [float(number % 2) for number in range(len(completions))]

    rows = (prompts, ["0"] * len(prompts))
    arguments = (hardware.micro_batch, place.folder, Clocked())
    more = {"bf16": True, "use_cpu": not place.cuda, "generation_kwargs": {"min_new_tokens": size.response}}
    network = load_model(place.folder / "model", place.device)
    trl_trainer(network, words, rows, reward, trainer_config(size), 1 + STEPS, *arguments, **more).train()
    if not clock.seconds[1:]:
        yield "step of GRPO in TRL", None, "s", "no step after the first fitted the time"
        return
    note = f"TRL {version}, median of {len(clock.seconds) - 1} after one; same batch, lengths and micro-batch"
    yield "step of GRPO in TRL", median(clock.seconds[1:]), "s", note


class _Clock:
    """Seconds from the end of a step to the end of the next."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.seconds: list[float] = []

    def begin(self) -> None:
        self.start = time.monotonic()

    def end(self) -> None:
        self.place.synchronize()
        self.seconds.append(time.monotonic() - self.start)
        self.begin()

    @property
    def late(self) -> bool:
        return time.monotonic() + 1.3 * self.seconds[-1] > self.place.until


SECTIONS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "model": model,
    "kernels": kernels,
    "parity": parity,
    "grpo": partial(training, "grpo"),
    "aent": partial(training, "aent"),
    "trl": trl,
}
