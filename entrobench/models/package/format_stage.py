"""A short supervised stage that teaches a pretrained model how an answer is written, not what is right.

The model sees training problems with their worked answer, `14 - 5 = 9`, and has loss on all of it but the digits of the
result: it learns to write one short equation and to stop, and whether the result is true stays what it was.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from entrobench.data.datasets import load_rows, render
from entrobench.data.rows import Row
from entrobench.data.word_problems import worked_answer
from entrobench.errors import InputError
from entrobench.models.embedded_stages import IGNORED, Batch, fit, padded
from entrobench.models.model_recipes import FormatStage, PackageModel


def teach_format(
    recipe: PackageModel, stage: FormatStage, folder: Path, data_folders: Mapping[str, Path], where: str
) -> dict[str, Any]:
    """Train the model in `folder` on the recipe's datasets, and save it there; returns the history of losses.

    Raises InputError, with the recipe's file `where`, for a dataset whose problems have no such answer.
    """
    import torch
    from safetensors.torch import save_file

    from entrobench.models.language_model import load_model, load_tokenizer, make_deterministic
    from entrobench.models.weights import model_tensors

    rows = [row for name in recipe.datasets for row in load_rows(data_folders[name], "train")]
    for row in rows:
        try:
            worked_answer(row.problem, row.answer)
        except ValueError as error:
            raise InputError(f"{where}: datasets: must be of kind word_problems: {error}") from None
    make_deterministic(torch.device("cpu"))
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    generator = random.Random(f"format/{stage.seed}")
    batches = (_batch(tokenizer, generator.sample(rows, stage.batch), stage) for _ in range(stage.steps))
    losses = fit(model.train(), batches, stage.steps, stage.learning_rate, stage.warmup, "format")
    save_file(model_tensors(model), folder / "model.safetensors", {"format": "pt"})
    return {"format_loss": losses}


def _batch(tokenizer: Any, rows: Sequence[Row], stage: FormatStage) -> Batch:
    examples = [example(tokenizer, row, stage.prompt) for row in rows]
    return padded([tokens for tokens, _ in examples], [labels for _, labels in examples])


def example(tokenizer: Any, row: Row, prompt: str) -> tuple[list[int], list[int]]:
    """Tokens and labels of one problem with its worked answer; prompt and result have no loss."""
    from entrobench.models.language_model import encode_prompt

    equation, _, result = worked_answer(row.problem, row.answer).rpartition(" ")
    start = encode_prompt(tokenizer, render(prompt, row.problem))
    shown = tokenizer.encode(f"{equation} ", add_special_tokens=False)
    hidden = tokenizer.encode(result, add_special_tokens=False)
    end = [tokenizer.eos_token_id]
    nothing = [IGNORED]
    return start + shown + hidden + end, nothing * len(start) + shown + nothing * len(hidden) + end
