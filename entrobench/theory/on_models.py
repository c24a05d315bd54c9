"""The tail law on a model's own answers: sampled from prompts, then each token's logits looked at in float64.

What a clamp takes is looked at over all tokens, by how uncertain the model was (tenths of the tokens by their entropy),
and by how far the answer had come. With `bfloat16` a copy of the model in that type, as GPUs train it, reads the same
answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

from .tail_law import Tail, largest_difference, tails

if TYPE_CHECKING:
    from pandas import DataFrame

CHUNK = 2**22  # logits looked at together: 32 MiB in float64
PARTS = 10  # tenths of the tokens by entropy, and of the longest answer by position
AMOUNTS = ("entropy", "clamped", "mass", "residual", "product", "square", "own_square")  # of Tail


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
    bfloat16: bool = setting(False, source="also a copy in bfloat16, on the same answers")

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
def measure(folder: Path, prompts: Sequence[str], settings: ClampLaw) -> DataFrame:
    """A row per token of the answers, clamp and type of number: position, entropy and what the clamp does there.

    The answers are sampled by the model in float32 (bfloat16 on a GPU). Columns are those of AMOUNTS, `position` (from
    1), `clamp` and `dtype`; attrs hold the model's name, its vocabulary and the settings.
    """
    import pandas

    device = resolve_device(settings.device)
    answers = _answers(folder, prompts, settings, device)
    types = [torch.float32, torch.bfloat16] if settings.bfloat16 else [torch.float32]
    tables, vocabulary = [], 0
    for dtype in types:
        model = load_model(folder, device, dtype)
        vocabulary = head(model)[0].shape[0]
        for tokens, prompt in answers:
            position = 0
            for logits in _logits(model, tokens, prompt, settings.temperature):
                for clamp, found in zip(settings.clamps, tails(logits, settings.clamps), strict=True):
                    tables.append(_columns(found, clamp, position, str(dtype).removeprefix("torch.")))
                position += len(logits)
        del model  # before the next is loaded
    frame = pandas.concat([pandas.DataFrame(columns) for columns in tables], ignore_index=True)
    about: dict[Any, Any] = {"model": folder.name, "vocabulary": vocabulary, **_about(settings)}
    frame.attrs = about
    return frame


def _answers(
    folder: Path, prompts: Sequence[str], settings: ClampLaw, device: torch.device
) -> list[tuple[list[int], int]]:
    """Each prompt with one of its sampled answers, in tokens, and the length of the prompt."""
    tokenizer = load_tokenizer(folder)
    encoded = [encode_prompt(tokenizer, text) for text in prompts]
    engine = evaluation_engine("native", folder, tokenizer, device, 256)
    sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens)
    keys = [str(number) for number in range(len(prompts))]
    done = engine.generate(encoded, settings.answers, sampling, keys, f"clamp law/{settings.seed}")
    owners = [encoded[place // settings.answers] for place in range(len(done))]
    return [([*prompt, *answer.tokens], len(prompt)) for prompt, answer in zip(owners, done, strict=True)]


def _about(settings: ClampLaw) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if name not in ("clamps", "device", "bfloat16")}


def _logits(model: Any, tokens: Sequence[int], prompt: int, temperature: float) -> Iterator[Tensor]:
    """The logits [n,V] that predicted an answer's tokens, at the sampling temperature, some tokens at a time."""
    weight, bias = head(model)
    states = hidden_states(model, torch.tensor([tokens], device=weight.device))[0, prompt - 1 : -1]
    for part in states.split(max(1, CHUNK // weight.shape[0])):
        scores: Tensor = torch.nn.functional.linear(part, weight, bias)
        yield scores.double() / temperature


def _columns(found: Tail, clamp: float, before: int, dtype: str) -> dict[str, Any]:
    own = {name: getattr(found, name).cpu().numpy() for name in AMOUNTS}
    return {**own, "position": range(before + 1, before + 1 + len(found.mass)), "clamp": clamp, "dtype": dtype}


def overall(tokens: DataFrame) -> list[dict[str, Any]]:
    """A row per type and clamp: means over all tokens of all answers, the identity's largest residual, the gradients.

    Cosine and ratio of norms compare the gradients of all tokens at once, at the logits, as if each token had the same
    weight. `decisive_share` is the share of tokens where clamping moves the entropy by more than 1 %.
    """
    groups: Any = tokens.groupby(["dtype", "clamp"], sort=False)
    return [{"dtype": dtype, **_row(float(clamp), own, tokens.attrs)} for (dtype, clamp), own in groups]


def by_part(tokens: DataFrame, column: str) -> list[dict[str, Any]]:
    """`overall` for each tenth of the tokens by `entropy`, or of the longest answer by `position`; of float32 alone.

    `part` counts from 1; `low` and `high` are the least and largest value of the column in it.
    """
    import pandas

    own = tokens[tokens["dtype"] == "float32"]
    if column == "position":
        parts = (own["position"] - 1) * PARTS // own["position"].max()
    else:
        ranks = own.groupby("clamp")[column].rank(method="first")
        parts = ((ranks - 1) * PARTS // ranks.max()).astype(int)
    groups: Any = own.groupby([pandas.Series(parts, name="part"), "clamp"])
    rows = []
    for (part, clamp), group in groups:
        ends = {"part": int(part) + 1, "low": group[column].min(), "high": group[column].max()}
        rows.append({"by": column, **ends, **_row(float(clamp), group, tokens.attrs)})
    return rows


def _row(clamp: float, tokens: DataFrame, about: Mapping[Any, Any]) -> dict[str, Any]:
    sums, vocabulary = tokens[list(AMOUNTS)].sum(), about["vocabulary"]
    moved = (tokens["entropy"] - tokens["clamped"]).abs() > 0.01 * tokens["entropy"]
    removed, mass = removed_count(clamp, vocabulary), float(tokens["mass"].mean())
    scale = max((sums["square"] * sums["own_square"]) ** 0.5, 1e-300)
    return {
        "clamp": clamp,
        "vocabulary": vocabulary,
        "tokens": len(tokens),
        "mass": mass,
        "largest_mass": float(tokens["mass"].max()),
        "entropy": float(tokens["entropy"].mean()),
        "clamped_entropy": float(tokens["clamped"].mean()),
        "cosine": sums["product"] / scale,
        "norm_ratio": (sums["own_square"] / max(sums["square"], 1e-300)) ** 0.5,
        "decisive_share": float(moved.mean()),
        "limit": largest_difference(mass, vocabulary - removed, removed),
        "residual": float(tokens["residual"].abs().max()),
        **{name: about[name] for name in about if name != "vocabulary"},
    }
