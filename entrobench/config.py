"""Typed, flat settings: every field has a range and a source, every wrong key is reported in one clear line."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import InputError, nearest

T = TypeVar("T")


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    source: str = "ours",
    added: bool = False,
    help: str = "",
) -> Any:
    """Declare a settings field: its default, its inclusive range or choices, and the source of the default.

    `help` says what it is, where it is an option of a command.
    `added`: the field was added after runs were made, with a default that means what they did; see `stored`.
    """
    metadata = {"low": low, "high": high, "choices": choices, "source": source, "added": added, "help": help}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def parse(cls: type[T], values: Mapping[str, Any] | None, where: str) -> T:
    """Build a settings dataclass from a mapping.

    `where` names the file and the section in error lines; a field that is a settings dataclass is a section of its own.
    Raises InputError for an unknown or missing key, a wrong type, a value out of range, and for whatever ValueError the
    class's `__post_init__` raises.
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected a mapping of settings, got {type(values).__name__}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            allowed = ", ".join(fields) or "none"
            raise InputError(f"{where}: unknown key {key!r} (allowed: {allowed}){nearest(key, fields)}")
    for key, declared in fields.items():
        if key not in values and declared.default is declared.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: the key {key!r} is missing")
    checked = {key: _check(value, hints[key], fields[key], f"{where}: {key}") for key, value in values.items()}
    try:
        return cls(**checked)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _check(value: Any, hint: Any, declared: dataclasses.Field[Any], where: str) -> Any:
    """Return the value in the declared type, or raise InputError naming type, range or choices."""
    if dataclasses.is_dataclass(hint):
        return parse(typing.cast(type[Any], hint), value, where)
    allowed = _plain_types(hint)
    if isinstance(value, int) and not isinstance(value, bool) and float in allowed:
        value = float(value)
    if isinstance(value, str) and float in allowed and _is_number(value):
        value = float(value)  # YAML 1.1 reads 2e-4 as a string
    if type(value) not in allowed:
        names = " or ".join("null" if t is type(None) else t.__name__ for t in allowed)
        raise InputError(f"{where} must be {names}, got {value!r}")
    choices = declared.metadata.get("choices")
    if choices is not None and value is not None and value not in choices:
        raise InputError(f"{where} must be one of {', '.join(choices)}, got {value!r}{nearest(str(value), choices)}")
    low, high = declared.metadata.get("low"), declared.metadata.get("high")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and not _inside(value, low, high):
        finite = "finite and " if math.isinf(value) and (low is None) != (high is None) else ""
        raise InputError(f"{where} must be {finite}{range_text(low, high)}, got {value!r}{_about(declared)}")
    return value


def _about(declared: dataclasses.Field[Any]) -> str:
    """What is known of a field beside its range: its default, and the default's source or meaning."""
    source, meaning = declared.metadata.get("source", "ours"), declared.metadata.get("help", "")
    said = "; ".join(text for text in (source if source != "ours" else "", meaning) if text)
    return f" (default {declared.default}: {said})" if said else ""


def _plain_types(hint: Any) -> tuple[type, ...]:
    """The classes a value may have: `float | None` -> (float, NoneType), `list[int]` -> (list,)."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(plain for part in typing.get_args(hint) for plain in _plain_types(part))
    return (typing.get_origin(hint) or hint,)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _inside(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high) and math.isfinite(value)


def range_text(low: float | None, high: float | None) -> str:
    """The allowed range in words: "between 0 and 1", "at least 1", "at most 2" or "finite"."""
    if low is None and high is None:
        return "finite"
    if high is None:
        return f"at least {low}"
    if low is None:
        return f"at most {high}"
    return f"between {low} and {high}"


def stored(settings: Any) -> dict[str, Any]:
    """Settings as they are stored and hashed: `added` ones only where they differ from their default.

    So a new field re-runs no finished study. `parse` reads them back.
    """
    kept = {}
    for declared in dataclasses.fields(settings):
        value = getattr(settings, declared.name)
        if not (declared.metadata.get("added") and value == _default(declared)):
            kept[declared.name] = stored(value) if dataclasses.is_dataclass(value) else copy.deepcopy(value)
    return kept


def _default(declared: dataclasses.Field[Any]) -> Any:
    factory = declared.default_factory
    return declared.default if factory is dataclasses.MISSING else factory()


def canonical_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of a mapping: sorted keys, no white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


LOSS_AGGREGATIONS = ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm")


ROLLOUT_MODES = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask", "geometric_mask")


PATIENCE = 2  # ours: windows without gain in a row that are a plateau, so that one unlucky window ends no training


@dataclass(frozen=True)
class TrainerConfig:
    """What decides a run's mathematics, equal for all methods of a setting; part of the run's hash.

    Sources: `paper` is arXiv 2509.03493; `ours` are values chosen for the embedded tasks, those of quickstart.
    """

    steps: int = setting(60, low=1, source="ours")
    prompts: int = setting(32, low=1, source="ours; prompts sampled per step")
    group_size: int = setting(8, low=2, source="ours; answers per prompt (G)")
    updates: int = setting(2, low=1, source="ours; optimizer updates per step; at one, clipping never acts")
    max_prompt_tokens: int = setting(1024, low=1, source="paper, both settings")
    max_response_tokens: int = setting(24, low=1, source="ours; the embedded answers need at most 23")
    temperature: float = setting(1.0, low=1e-3, source="paper, both settings")
    top_p: float = setting(1.0, low=0.0, high=1.0, source="paper; training samples from the full vocabulary")
    top_k: int = setting(0, low=0, source="paper; 0 is off")
    learning_rate: float = setting(2e-4, low=0.0, source="ours; for the embedded models")
    warmup_updates: int = setting(16, low=0, source="ours; 8 steps of 2 updates")
    beta1: float = setting(0.9, low=0.0, high=1.0, source="ours; the usual value")
    beta2: float = setting(0.98, low=0.0, high=1.0, source="ours; runs are short")
    weight_decay: float = setting(0.0, low=0.0, source="ours; plain Adam")
    grad_clip: float = setting(1.0, low=0.0, source="paper")
    clip_low: float = setting(0.2, low=0.0, high=1.0, source="paper")
    clip_high: float = setting(0.2, low=0.0, source="paper")
    dual_clip: float | None = setting(None, low=1.0, source="ours: none; the paper has 3")
    log_ratio_clamp: float = setting(20.0, low=0.0, source="paper's code base")
    loss_agg: str = setting("token-mean", choices=LOSS_AGGREGATIONS, source="paper")
    epochs: int = setting(1, low=1, added=True, source="ours: 1; BAPO: 2, Archer: 3; passes over one step's answers")
    mask_truncated: str = setting(
        "none",
        choices=("none", "loss", "group"),
        added=True,
        source="off: ours; truncated answers out of the loss (TRL), and out of their group's statistics, too (group)",
    )
    advantage_scale: str = setting(
        "group",
        choices=("group", "batch", "none"),
        added=True,
        source="GRPO: the group's deviation; TRL: scale_rewards",
    )
    advantage_baseline: str = setting(
        "mean", choices=("mean", "leave_one_out"), added=True, source="GRPO: the group's mean; RLOO: that of the others"
    )
    dynamic_sampling: bool = setting(
        False, added=True, source="off: ours; DAPO section 3.2: drop groups without variance, sample further prompts"
    )
    max_sampling_batches: int = setting(
        10, low=1, added=True, source="DAPO's recipe: 10; batches per step with dynamic_sampling"
    )
    overlong_buffer: int = setting(
        0, low=0, added=True, source="off: ours; DAPO section 3.4: 4096 tokens of 20480, where the penalty grows"
    )
    overlong_factor: float = setting(1.0, low=0.0, added=True, source="DAPO's recipe: 1; penalty of the longest")
    reward: str = setting("boxed", source="evaluation/grading/rewards.py names them")
    engine: str = setting("native", choices=("native", "vllm", "vllm_server"), source="ours; runs everywhere")
    rollout_correction: float | None = setting(
        None, low=1.0, added=True, source="off: ours; TIS: cap of a token's weight for sampler-trainer mismatch"
    )
    rollout_floor: float = setting(0.0, low=0.0, high=1.0, added=True, source="ours: none; IcePop: 0.5 with a cap of 5")
    rollout_mode: str = setting(
        "token_truncate", choices=ROLLOUT_MODES, added=True, source="TIS; IcePop: token_mask; TRL: sequence_mask"
    )
    off_policy_mask: float | None = setting(
        None, low=0.0, added=True, source="off: ours; DeepSeek-V3.2's δ, which is UNKNOWN; nats per token"
    )
    kl_reward: float = setting(
        0.0, low=0.0, added=True, source="off: ours; weight of the answer's KL estimate to the base, off its reward"
    )
    kl_reward_estimator: str = setting("k1", choices=("k1", "k2", "k3"), added=True, source="verl: kl_penalty kl")
    plateau_window: int = setting(
        0, low=0, added=True, source="off: ours; steps per window of the plateau rule, `steps` is then the limit"
    )
    plateau_gain: float = setting(
        0.01, low=0.0, added=True, source="ours; training ends after two windows whose mean reward gains less"
    )

    def __post_init__(self) -> None:
        if self.top_p != 1.0 or self.top_k != 0:
            raise ValueError("top_p must be 1 and top_k 0: training samples from the full vocabulary")
        if self.plateau_window * (1 + PATIENCE) > self.steps:
            raise ValueError(f"plateau_window ({self.plateau_window}) needs at least {1 + PATIENCE} windows in steps")
        if self.prompts % self.updates:
            raise ValueError(f"prompts ({self.prompts}) must be a multiple of updates ({self.updates})")
        chosen = self.rollout_mode != "token_truncate" or self.rollout_floor
        if chosen and self.rollout_correction is None:
            raise ValueError("rollout_mode and rollout_floor need rollout_correction, the largest weight")
        if self.overlong_buffer > self.max_response_tokens:
            longest = self.max_response_tokens
            raise ValueError(f"overlong_buffer ({self.overlong_buffer}) is above max_response_tokens ({longest})")

    @property
    def fewest_steps(self) -> int:
        """The step at which a run may end first: at its plateau, where it has the rule."""
        return self.plateau_window * (1 + PATIENCE) or self.steps


@dataclass(frozen=True)
class Hardware:
    """Where and how a run is computed; never part of a hash, never changes the mathematics.

    Its fields are the options of `entrobench train`. A study says `snapshot_every` as evaluate_every, and
    `snapshot_last` as average_last, which counts the last step, too.
    """

    device: str = setting("auto", choices=("auto", "cpu", "cuda"), help="auto, cpu or cuda")
    micro_batch: int = setting(
        64, low=1, source="ours; fastest for the embedded models", help="sequences per forward; never changes a result"
    )
    head_chunk: int = setting(4096, low=1, help="tokens per chunk of the output layer")
    rollout_rows: int = setting(256, low=8, help="answers decoded side by side")
    checkpoint_every: int = setting(20, low=1, help="steps")
    clamp_diagnostics: list[float] = setting([], help="log what clamping at p would change")
    micro_batch_tokens: int = setting(0, low=0, help="tokens with padding per forward; 0: no limit")
    shared_prefix: str = setting(
        "auto",
        choices=("auto", "always", "never"),
        help="run each prompt once for all its answers; auto: where the model's attention allows it",
    )
    activation_checkpointing: bool = setting(False, help="recompute each layer in the backward pass")
    processes: int = setting(1, low=1, help="processes on this machine, one device each")
    weights: str = setting(
        "whole", choices=("whole", "sharded"), help="whole, or sharded: layers cut among the processes"
    )
    engine_memory: float = setting(
        0.3, low=0.01, high=1.0, source="TRL's default", help="share of a GPU that vLLM takes"
    )
    engine_devices: int = setting(1, low=1, help="GPUs among which vLLM cuts each layer")
    engine_resident: bool = setting(False, help="vLLM keeps its memory during updates")
    engine_address: str = setting("http://127.0.0.1:8000", source="vLLM's default", help="of the vLLM server")
    snapshot_every: int = setting(0, low=0, help="steps between weights kept for evaluation; 0: none")
    snapshot_last: int = setting(0, low=0, help="how many of them a finished run keeps, the newest; 0: all")

    def __post_init__(self) -> None:
        for clamp in self.clamp_diagnostics:
            if type(clamp) not in (int, float) or not 0 < clamp < 1:
                raise ValueError(f"clamp_diagnostics must be a list of numbers between 0 and 1, got {clamp!r}")


@dataclass(frozen=True)
class EvaluationConfig:
    """How held-out problems are sampled and scored; written to evaluation.json when a study is locked."""

    samples: int = setting(8, low=1, source="ours; avg@8 and maj@8")
    temperature: float = setting(1.0, low=0.0, source="ours; 0 is greedy")
    top_p: float = setting(1.0, low=0.0, high=1.0)
    top_k: int = setting(0, low=0, source="ours; 0 is off")
    max_tokens: int = setting(24, low=1)
    pass_k: list[int] = setting([1, 2, 4], source="ours; needs samples >= 2k")
    problems: int | None = setting(None, low=1, source="null: all problems of the benchmark")
    seed: int = setting(0, low=0)
    engine: str = setting("native", choices=("native", "vllm"), added=True, source="ours; runs everywhere")
    average_last: int = setting(
        1, low=1, added=True, source="ours: the last step; more: the mean over it and the snapshots before it"
    )

    def __post_init__(self) -> None:
        for k in self.pass_k:
            if not isinstance(k, int) or isinstance(k, bool) or k < 1:
                raise ValueError(f"pass_k must be a list of whole numbers >= 1, got {k!r}")
            if self.samples < k:
                raise ValueError(f"pass_k {k} needs samples >= {k}, got samples {self.samples}")
        if len(set(self.pass_k)) != len(self.pass_k):
            raise ValueError(f"pass_k has duplicates: {self.pass_k}")
