"""Models of the embedded study's shapes, and what every engine has to reproduce of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from tiny import END, tiny_tokenizer
from torch import Tensor

from entrobench.config import parse
from entrobench.engines.rollout import Completion, Engine, NativeEngine, Sampling
from entrobench.models.embedded import build_model
from entrobench.models.model_recipes import EmbeddedModel
from entrobench.training.forward import frozen_forward, pack
from entrobench.training.micro_batches import ForwardLimits

ROOT = Path(__file__).parents[2]
LONGEST = 48
ANSWER = 20
PROMPTS = [random.Random(number).choices(range(4, 60), k=1 + number % 9) for number in range(8)]
KEYS = [f"prompt{number}" for number in range(len(PROMPTS))]
GREEDY = Sampling(temperature=0, max_tokens=ANSWER)


def untrained(recipe: str) -> Any:
    """The model of a recipe in config/models before its training; chain-qwen ties its embeddings, chain-llama not."""
    spec = yaml.safe_load((ROOT / "config" / "models" / f"{recipe}.yaml").read_text())
    model = build_model(parse(EmbeddedModel, spec, recipe), tiny_tokenizer()).eval()
    assert model.config.tie_word_embeddings is (recipe == "chain-qwen")
    return model


def save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def change(model: Any, seed: int, size: float = 0.02) -> None:
    """Move every weight, as an optimizer's step does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(size * torch.randn(weight.shape, generator=generator))


def tokens(completions: Sequence[Completion]) -> list[list[int]]:
    return [completion.tokens for completion in completions]


def drawn(engine: Engine, temperature: float = 1.0, seed: str = "0/1", n: int = 4) -> list[Completion]:
    return engine.generate(PROMPTS, n, Sampling(temperature=temperature, max_tokens=ANSWER), KEYS, seed)


def mismatches(
    model: Any, completions: Sequence[Completion], temperature: float, prompts: Sequence[Sequence[int]] = PROMPTS
) -> Tensor:
    """|engine's log-probability - the trainer's| of every token."""
    repeated = [prompt for prompt in prompts for _ in range(len(completions) // len(prompts))]
    sequences = pack(repeated, tokens(completions), torch.device("cpu"))
    logp, _ = frozen_forward(model, sequences, {}, temperature, ForwardLimits(64, 4096))
    told = torch.tensor([logp for completion in completions for logp in completion.logps])
    return (told - logp[sequences.mask]).abs()


def assert_it_follows(engine: Engine, model: Any) -> None:
    """The engine's greedy tokens are the native engine's, its log-probabilities the trainer's; finishes are right."""
    native = NativeEngine(model, [END], torch.float32)
    found, expected = (one.generate(PROMPTS, 2, GREEDY, KEYS, "0") for one in (engine, native))
    assert tokens(found) == tokens(expected)
    assert [completion.finish for completion in found] == [completion.finish for completion in expected]
    for temperature in (1.0, 0.7):
        completions = drawn(engine, temperature)
        assert float(mismatches(model, completions, temperature).max()) < 1e-5
        for completion in completions:
            ended = completion.tokens[-1] == END
            assert completion.finish == ("stop" if ended else "length")
            assert END not in completion.tokens[:-1]
            assert len(completion.tokens) == len(completion.logps)
            assert ended or len(completion.tokens) == ANSWER
