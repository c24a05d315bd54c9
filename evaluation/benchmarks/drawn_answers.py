"""Answers of a model to rows of a prepared dataset, drawn at once: what a look at a model and a task needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from entrobench.data.datasets import load_rows, render
from entrobench.data.rows import Row
from entrobench.engines.rollout import Completion, Sampling
from entrobench.results import DataFolder

ROWS = 256  # ours: answers decoded side by side


@dataclass(frozen=True)
class Drawn:
    """The answers to one row: tokens and log-probabilities, and their texts; and the length of its prompt in tokens."""

    row: Row
    prompt: int
    completions: Sequence[Completion]
    texts: Sequence[str]


def held_out_split(data: Path) -> str:
    """The split on which nothing is trained and nothing is judged: validation, else test, else train."""
    there = DataFolder(data).splits()
    return next((split for split in ("validation", "test") if split in there), "train")


def draw_answers(
    model: Path, data: Path, prompt: str, problems: int, draws: int, sampling: Sampling, stream: str
) -> list[Drawn]:
    """Draw answers of the model in a folder to the first rows of a prepared dataset's held-out split.

    `prompt` is the template around each problem, `stream` names the random numbers. Raises InputError for a model
    folder that is none, and data that are not prepared.
    """
    from entrobench.engines.choice import evaluation_engine
    from entrobench.models.language_model import encode_prompt, load_tokenizer, resolve_device
    from entrobench.models.replies import reply_text

    rows = load_rows(data, held_out_split(data))[:problems]
    tokenizer = load_tokenizer(model)
    engine = evaluation_engine("native", model, tokenizer, resolve_device("auto"), ROWS)
    prompts = [encode_prompt(tokenizer, render(prompt, row.problem)) for row in rows]
    done = engine.generate(prompts, draws, sampling, [row.id for row in rows], stream)
    answers = [done[place * draws : (place + 1) * draws] for place in range(len(rows))]
    return [
        Drawn(row, len(tokens), own, [reply_text(tokenizer, tokens, completion.tokens) for completion in own])
        for row, tokens, own in zip(rows, prompts, answers, strict=True)
    ]
