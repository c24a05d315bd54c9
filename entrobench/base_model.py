"""The embedded base models: fact drills, then a supervised stage on an unreliable teacher.

The drills teach the facts of modular arithmetic; the teacher then shows how chains are written, but writes a fixed
share of the facts wrongly most of the time. So the base model knows more than it says, which reinforcement learning can
bring out (prototype A.1: the teacher's noise sets the base accuracy the same for every seed, stopping early does not).
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.chain import OPERATIONS, SEPARATORS, parse_problem
from entrobench.config import canonical_hash, parse, setting
from entrobench.errors import InputError, unknown
from entrobench.hub import HubModel, Shape, fetch_model, model_source, shape_in

if TYPE_CHECKING:
    from torch import Tensor

MODULUS = 10
RECIPE_VERSION = 1
MODELS_VARIABLE = "ENTROBENCH_MODELS"
ARCHITECTURES = ("qwen2", "llama")
IGNORED = -100  # torch's label for tokens without loss


@dataclass(frozen=True)
class EmbeddedModel:
    """Recipe of kind `embedded`: architecture, tokenizer and the two training stages."""

    kind: str = setting("embedded")
    architecture: str = setting("qwen2", choices=ARCHITECTURES, source="prototype A.1")
    hidden_size: int = setting(128, low=8, source="prototype A.1")
    layers: int = setting(2, low=1, source="prototype A.1")
    heads: int = setting(4, low=1, source="prototype A.1")
    kv_heads: int = setting(2, low=1, source="prototype A.1")
    intermediate_size: int = setting(384, low=8, source="prototype A.1")
    tied: bool = setting(True, source="prototype A.1")
    tokenizer: str = setting("word", choices=("word", "bpe"))
    vocabulary: int = setting(1024, low=64, source="prototype A.1")
    datasets: list[str] = setting([], source="chain datasets whose training split the teacher answers")
    drill_steps: int = setting(120, low=1, source="prototype A.1")
    drill_sequences: int = setting(128, low=1, source="prototype A.1; sequences per step")
    drill_facts: int = setting(4, low=1, source="prototype A.1; facts per sequence")
    supervised_steps: int = setting(260, low=1, source="prototype A.1")
    supervised_batch: int = setting(64, low=1, source="prototype A.1")
    learning_rate: float = setting(3e-3, low=0.0, source="prototype A.1")
    misconceptions: float = setting(0.4, low=0.0, high=1.0, source="prototype A.1; share of facts")
    wrong_probability: float = setting(0.85, low=0.0, high=1.0, source="prototype A.1")
    junk: float = setting(0.01, low=0.0, high=1.0, source="prototype A.1; share of response tokens replaced")
    seed: int = setting(0, low=0)

    def __post_init__(self) -> None:
        if not self.datasets:
            raise ValueError("datasets must name the chain datasets that the base model is trained on")
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("hidden_size must be a multiple of heads, and heads of kv_heads")


@dataclass(frozen=True)
class FolderModel:
    """Recipe of kind `folder`: a model that lies on this machine."""

    kind: str = setting("folder")
    path: str = setting("", source="relative paths are looked for under ENTROBENCH_MODELS, then here")


Spec = EmbeddedModel | FolderModel | HubModel
KINDS: dict[str, type[Spec]] = {"embedded": EmbeddedModel, "folder": FolderModel, "hub": HubModel}


def check_spec(name: str, spec: Mapping[str, Any], where: str) -> Spec:
    """Validate a model recipe; raises InputError naming file, key and the nearest valid name."""
    kind = spec.get("kind")
    if kind not in KINDS:
        raise unknown("kind", str(kind), KINDS, where)
    recipe = parse(KINDS[kind], spec, where)
    if isinstance(recipe, FolderModel):
        _check_folder(folder_path(recipe), where)
    if isinstance(recipe, HubModel):
        model_source(name, recipe)
    return recipe


def shape_of_recipe(name: str, spec: Mapping[str, Any]) -> Shape:
    """The sizes of a base model that need not be here yet."""
    recipe = check_spec(name, spec, f"config/models/{name}.yaml")
    if isinstance(recipe, FolderModel):
        return shape_in(folder_path(recipe))
    if isinstance(recipe, HubModel):
        return Shape(**recipe.shape)
    same = ("architecture", "hidden_size", "layers", "heads", "kv_heads", "intermediate_size", "vocabulary", "tied")
    return Shape(**{key: getattr(recipe, key) for key in same})


def folder_path(recipe: FolderModel) -> Path:
    """Where a model of kind `folder` lies."""
    below = Path(os.environ.get(MODELS_VARIABLE, ".")) / recipe.path
    return below if below.exists() else Path(recipe.path)


def _check_folder(folder: Path, where: str) -> None:
    if not (folder / "config.json").exists():
        raise InputError(f"{where}: path: no model in {folder} (config.json is missing; {MODELS_VARIABLE} may help)")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{where}: path: {folder} holds no weights (*.safetensors is missing)")
    if not (folder / "tokenizer.json").exists() and not (folder / "tokenizer_config.json").exists():
        raise InputError(f"{where}: path: {folder} is a model folder without tokenizer (tokenizer.json is missing)")


def make(name: str, spec: Mapping[str, Any], folder: Path, data_folders: Mapping[str, Path]) -> None:
    """Make the base model `name` in `folder`: a transformers folder and model.json (recipe, hash, history).

    `data_folders` maps the recipe's datasets to their prepared data.
    """
    recipe = check_spec(name, spec, f"config/models/{name}.yaml")
    files = fetch_model(name, recipe) if isinstance(recipe, HubModel) else {}
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    if isinstance(recipe, FolderModel):
        history: dict[str, Any] = {}
        for path in folder_path(recipe).iterdir():
            (draft / path.name).symlink_to(path.resolve())
    elif isinstance(recipe, HubModel):
        history = {}
        for place, file in files.items():
            (draft / place).symlink_to(file.resolve())
        _check_folder(draft, f"config/models/{name}.yaml")
    else:
        history = _train(recipe, draft, data_folders)
    about = {"name": name, "recipe": asdict(recipe), "recipe_hash": recipe_hash(spec), "history": history}
    (draft / "model.json").write_text(json.dumps(about, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def recipe_hash(spec: Mapping[str, Any]) -> str:
    """Identity of a recipe: its content and the version of this code."""
    return canonical_hash({"version": RECIPE_VERSION, "recipe": dict(spec)})


class Teacher:
    """Writes worked chains, some facts wrongly: each misconception has one fixed wrong result."""

    def __init__(self, recipe: EmbeddedModel) -> None:
        self.recipe = recipe
        generator = random.Random(f"misconceptions/{recipe.seed}")
        facts = [(a, sign, b) for sign in OPERATIONS for a in range(MODULUS) for b in range(MODULUS)]
        chosen = generator.sample(facts, round(recipe.misconceptions * len(facts)))
        self.wrong = {fact: (true_result(fact) + generator.randrange(1, MODULUS)) % MODULUS for fact in chosen}

    def answer(self, problem: str, generator: random.Random) -> str:
        """One worked answer, e.g. `3 + 4 = 7 ; 7 * 2 = 4 ; \\boxed{ 4 }`."""
        numbers, signs = parse_problem(problem)
        current, words = numbers[0], []
        for sign, number in zip(signs, numbers[1:], strict=True):
            result = self._result((current, sign, number), generator)
            words += [str(current), sign, str(number), "=", str(result), _separator(generator)]
            current = result
        return " ".join([*words, "\\boxed{", str(current), "}"])

    def _result(self, fact: tuple[int, str, int], generator: random.Random) -> int:
        if fact in self.wrong and generator.random() < self.recipe.wrong_probability:
            return self.wrong[fact]
        return true_result(fact)


def true_result(fact: tuple[int, str, int]) -> int:
    """The right result of one operation."""
    a, sign, b = fact
    return OPERATIONS[sign](a, b) % MODULUS


def _separator(generator: random.Random) -> str:
    """One of the synonyms, geometric with 0.7 (prototype A.1)."""
    for separator in SEPARATORS[:-1]:
        if generator.random() < 0.7:
            return separator
    return SEPARATORS[-1]


def _train(recipe: EmbeddedModel, folder: Path, data_folders: Mapping[str, Path]) -> dict[str, Any]:
    """Train tokenizer and model into `folder`; returns the history of losses."""
    import torch

    from entrobench.data import load_rows
    from entrobench.embedded import build_model, train_tokenizer
    from entrobench.trainer import make_deterministic

    make_deterministic(torch.device("cpu"))
    problems = [[row.problem for row in load_rows(data_folders[name], "train")] for name in recipe.datasets]
    teacher, generator = Teacher(recipe), random.Random(f"base/{recipe.seed}")
    tokenizer = train_tokenizer(recipe, [p for group in problems for p in group[:2000]], teacher)
    model = build_model(recipe, tokenizer)
    drills = (_drill(recipe, tokenizer, generator) for _ in range(recipe.drill_steps))
    lessons = (_lesson(recipe, tokenizer, problems, teacher, generator) for _ in range(recipe.supervised_steps))
    history = {
        "drill_loss": _fit(model, drills, recipe.drill_steps, recipe.learning_rate, 20, "drills"),
        "supervised_loss": _fit(model, lessons, recipe.supervised_steps, recipe.learning_rate, 30, "supervised"),
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
    return _padded(tokens, labels)


def _lesson(
    recipe: EmbeddedModel, tokenizer: Any, problems: Sequence[Sequence[str]], teacher: Teacher, generator: random.Random
) -> Batch:
    """The teacher's answers to problems of all datasets in turn, with loss on the answers."""
    from entrobench.model import encode_prompt

    tokens, labels = [], []
    for index in range(recipe.supervised_batch):
        problem = generator.choice(problems[index % len(problems)])
        prompt = encode_prompt(tokenizer, problem)
        answer = tokenizer.encode(teacher.answer(problem, generator), add_special_tokens=False)
        answer = [_junk(len(tokenizer), generator) if generator.random() < recipe.junk else token for token in answer]
        answer.append(tokenizer.eos_token_id)
        tokens.append(prompt + answer)
        labels.append([IGNORED] * len(prompt) + answer)
    return _padded(tokens, labels)


def _junk(vocabulary: int, generator: random.Random) -> int:
    """A token drawn by Zipf's law from the whole vocabulary, special tokens excepted."""
    from entrobench.embedded import SPECIAL_TOKENS

    size = vocabulary - len(SPECIAL_TOKENS)
    return len(SPECIAL_TOKENS) + int(size ** generator.random()) % size  # log-uniform rank: density ~ 1/rank


def _padded(tokens: list[list[int]], labels: list[list[int]]) -> Batch:
    longest = max(map(len, tokens))
    return (
        [row + [0] * (longest - len(row)) for row in tokens],
        [row + [IGNORED] * (longest - len(row)) for row in labels],
    )


def _fit(model: Any, batches: Iterator[Batch], steps: int, rate: float, warmup: int, label: str) -> list[float]:
    """AdamW with warm-up and linear decay to a tenth (prototype A.1); returns every tenth loss."""
    import torch
    import torch.nn.functional as F

    from entrobench.model import head, hidden_states
    from entrobench.progress import StepProgress

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
