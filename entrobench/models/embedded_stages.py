"""The embedded base models: fact drills, then a supervised stage on an unreliable teacher.

The drills teach the facts of modular arithmetic; the teacher then shows how chains are written, but writes a fixed
share of the facts wrongly most of the time. So the base model knows more than it says, which reinforcement learning can
bring out. The teacher's errors set how often it is right, not an early stop: the accuracy rises so suddenly that an
early stop would give another one with every seed (ours).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.data.chain import OPERATIONS, SEPARATORS

from .model_recipes import EmbeddedModel
from .teacher import MODULUS, Teacher, true_result

if TYPE_CHECKING:
    from torch import Tensor


IGNORED = -100  # torch's label for tokens without loss


def train_stages(recipe: EmbeddedModel, folder: Path, data_folders: Mapping[str, Path]) -> dict[str, Any]:
    """Train tokenizer and model into `folder`; returns the history of losses."""
    import torch

    from entrobench.data.datasets import load_rows

    from .embedded import build_model, train_tokenizer
    from .language_model import make_deterministic

    make_deterministic(torch.device("cpu"))
    problems = [[row.problem for row in load_rows(data_folders[name], "train")] for name in recipe.datasets]
    teacher, generator = Teacher(recipe), random.Random(f"base/{recipe.seed}")
    tokenizer = train_tokenizer(recipe, [p for group in problems for p in group[:2000]], teacher)
    model = build_model(recipe, tokenizer)
    drills = (_drill(recipe, tokenizer, generator) for _ in range(recipe.drill_steps))
    lessons = (_lesson(recipe, tokenizer, problems, teacher, generator) for _ in range(recipe.supervised_steps))
    history = {
        "drill_loss": fit(model, drills, recipe.drill_steps, recipe.learning_rate, 20, "drills"),
        "supervised_loss": fit(model, lessons, recipe.supervised_steps, recipe.learning_rate, 30, "supervised"),
    }
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return history


Batch = tuple[list[list[int]], list[list[int]]]  # tokens and labels, padded


def _drill(recipe: EmbeddedModel, tokenizer: Any, generator: random.Random) -> Batch:
    """Sequences of true facts, with loss on the results only."""
    tokens, labels = [], []
    for _ in range(recipe.drill_sequences):
        row, target = [tokenizer.bos_token_id], [IGNORED]
        for _ in range(recipe.drill_facts):
            fact = generator.randrange(MODULUS), generator.choice(list(OPERATIONS)), generator.randrange(MODULUS)
            left = tokenizer.encode(f"{fact[0]} {fact[1]} {fact[2]} =", add_special_tokens=False)
            result = tokenizer.encode(str(true_result(fact)), add_special_tokens=False)
            end = tokenizer.encode(SEPARATORS[0], add_special_tokens=False)
            row += left + result + end
            target += [IGNORED] * len(left) + result + [IGNORED] * len(end)
        tokens.append(row)
        labels.append(target)
    return padded(tokens, labels)


def _lesson(
    recipe: EmbeddedModel, tokenizer: Any, problems: Sequence[Sequence[str]], teacher: Teacher, generator: random.Random
) -> Batch:
    """The teacher's answers to problems of all datasets in turn, with loss on the answers."""
    from .language_model import encode_prompt

    tokens, labels = [], []
    for index in range(recipe.supervised_batch):
        problem = generator.choice(problems[index % len(problems)])
        prompt = encode_prompt(tokenizer, problem)
        answer = tokenizer.encode(teacher.answer(problem, generator), add_special_tokens=False)
        answer = [_junk(len(tokenizer), generator) if generator.random() < recipe.junk else token for token in answer]
        answer.append(tokenizer.eos_token_id)
        tokens.append(prompt + answer)
        labels.append([IGNORED] * len(prompt) + answer)
    return padded(tokens, labels)


def _junk(vocabulary: int, generator: random.Random) -> int:
    """A token drawn by Zipf's law from the whole vocabulary, special tokens excepted."""
    from .embedded import SPECIAL_TOKENS

    size = vocabulary - len(SPECIAL_TOKENS)
    return len(SPECIAL_TOKENS) + int(size ** generator.random()) % size  # log-uniform rank: density ~ 1/rank


def padded(tokens: list[list[int]], labels: list[list[int]]) -> Batch:
    """Rows of tokens and labels, padded on the right to equal lengths."""
    longest = max(map(len, tokens))
    return (
        [row + [0] * (longest - len(row)) for row in tokens],
        [row + [IGNORED] * (longest - len(row)) for row in labels],
    )


def fit(model: Any, batches: Iterator[Batch], steps: int, rate: float, warmup: int, label: str) -> list[float]:
    """Train on the batches: AdamW with warm-up and linear decay to a tenth (ours); returns every tenth loss."""
    import torch
    import torch.nn.functional as F

    from entrobench.progress import StepProgress

    from .language_model import head, hidden_states

    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    losses: list[float] = []
    with StepProgress(0, steps, label) as progress:
        for step, (tokens, labels) in enumerate(batches):
            target = torch.tensor(labels)[:, 1:]
            hidden = hidden_states(model, torch.tensor(tokens))[:, :-1][target != IGNORED]
            loss: Tensor = F.cross_entropy(F.linear(hidden, head(model)[0]), target[target != IGNORED])
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            share = min(1.0, (step + 1) / warmup) * (1 - 0.9 * step / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if step % 10 == 0:
                losses.append(round(loss.item(), 4))
            progress.advance({"loss": loss.item()})
    return losses
