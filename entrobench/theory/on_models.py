"""The tail law on a model's own answers: sampled from prompts, then each token's logits looked at in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from entrobench.config import setting
from entrobench.engines.choice import evaluation_engine
from entrobench.engines.rollout import Sampling
from entrobench.entropy.selection import removed_count
from entrobench.errors import InputError
from entrobench.models.language_model import (
    encode_prompt,
    head,
    hidden_states,
    load_model,
    load_tokenizer,
    resolve_device,
)

from .tail_law import largest_difference, tail

CHUNK = 2**24  # logits looked at together: 128 MiB in float64


@dataclass(frozen=True)
class ClampLaw:
    """What is sampled, and the clamps that are looked at."""

    clamps: list[float] = setting([0.25, 0.33, 0.9, 0.99], source="0.25 and 0.33: the paper's scripts; the others ours")
    answers: int = setting(4, low=1)  # per prompt
    prompts: int = setting(64, low=1)
    max_tokens: int = setting(128, low=1)
    temperature: float = setting(1.0, low=0.01)
    seed: int = setting(0, low=0)
    device: str = setting("auto", choices=("auto", "cpu", "cuda"))

    def __post_init__(self) -> None:
        if not self.clamps or not all(0 < clamp < 1 for clamp in self.clamps):
            raise ValueError("clamps must lie between 0 and 1, both excluded")


def read_prompts(path: Path, count: int) -> list[str]:
    """The first prompts: of the column `problem` of a parquet file, or the lines of a text file."""
    import pandas

    if not path.is_file():
        raise InputError(f"{path}: no such file of prompts (.parquet with a column problem, or text, one per line)")
    if path.suffix == ".parquet":
        table = pandas.read_parquet(path)
        if "problem" not in table:
            raise InputError(f"{path}: has no column 'problem' (columns: {', '.join(table.columns)})")
        found = table["problem"].astype(str).tolist()
    else:
        found = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not found:
        raise InputError(f"{path}: holds no prompt")
    return found[:count]


@torch.no_grad()
def measure(folder: Path, prompts: Sequence[str], settings: ClampLaw) -> list[dict[str, Any]]:
    """A row per clamp: means over all tokens of all answers, the identity's largest residual, and the gradients.

    Cosine and ratio of norms compare the gradients of all tokens at once, at the logits, as if each token had the same
    weight. `decisive_share` is the share of tokens where clamping moves the entropy by more than 1 %.
    """
    device = resolve_device(settings.device)
    tokenizer = load_tokenizer(folder)
    encoded = [encode_prompt(tokenizer, text) for text in prompts]
    engine = evaluation_engine("native", folder, tokenizer, device, 256)
    sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens)
    keys = [str(number) for number in range(len(prompts))]
    completions = engine.generate(encoded, settings.answers, sampling, keys, f"clamp law/{settings.seed}")
    model = load_model(folder, device)
    sums: dict[float, dict[str, float]] = {clamp: {} for clamp in settings.clamps}
    for place, completion in enumerate(completions):
        prompt = encoded[place // settings.answers]
        for logits in _logits(model, [*prompt, *completion.tokens], len(prompt), settings.temperature):
            for clamp, own in sums.items():
                _add(own, logits, clamp)
    vocabulary = head(model)[0].shape[0]
    return [_row(clamp, own, vocabulary) | {"model": folder.name, **_about(settings)} for clamp, own in sums.items()]


def _about(settings: ClampLaw) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if name not in ("clamps", "device")}


def _logits(model: Any, tokens: Sequence[int], prompt: int, temperature: float) -> Any:
    """The logits [n,V] that predicted an answer's tokens, at the sampling temperature, some tokens at a time."""
    weight, bias = head(model)
    states = hidden_states(model, torch.tensor([tokens], device=weight.device))[0, prompt - 1 : -1]
    for part in states.split(max(1, CHUNK // weight.shape[0])):
        scores: Tensor = torch.nn.functional.linear(part, weight, bias)
        yield scores.double() / temperature


def _add(sums: dict[str, float], logits: Tensor, clamp: float) -> None:
    found = tail(logits, clamp)
    moved = (found.entropy - found.clamped).abs() > 0.01 * found.entropy
    amounts = {
        "tokens": float(len(logits)),
        "decisive": float(moved.sum()),
        **{name: float(getattr(found, name).sum()) for name in ("entropy", "clamped", "mass")},
        **{name: float(getattr(found, name).sum()) for name in ("product", "square", "own_square")},
    }
    for name, amount in amounts.items():
        sums[name] = sums.get(name, 0.0) + amount
    for name, value in (("residual", found.residual.abs()), ("largest_mass", found.mass)):
        sums[name] = max(sums.get(name, 0.0), float(value.max()))


def _row(clamp: float, sums: dict[str, float], vocabulary: int) -> dict[str, Any]:
    tokens, removed = sums["tokens"], removed_count(clamp, vocabulary)
    scale = max((sums["square"] * sums["own_square"]) ** 0.5, 1e-300)
    return {
        "clamp": clamp,
        "vocabulary": vocabulary,
        "tokens": int(tokens),
        "mass": sums["mass"] / tokens,
        "largest_mass": sums["largest_mass"],
        "entropy": sums["entropy"] / tokens,
        "clamped_entropy": sums["clamped"] / tokens,
        "cosine": sums["product"] / scale,
        "norm_ratio": (sums["own_square"] / max(sums["square"], 1e-300)) ** 0.5,
        "decisive_share": sums["decisive"] / tokens,
        "limit": largest_difference(sums["mass"] / tokens, vocabulary - removed, removed),
        "residual": sums["residual"],
    }
