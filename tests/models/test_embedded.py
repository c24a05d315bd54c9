"""The tokenizers and untrained models of the embedded study."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from entrobench.config import parse
from entrobench.data.chain import OPERATIONS, SEPARATORS, ChainConfig, rows
from entrobench.models.embedded import SPECIAL_TOKENS, build_model, train_tokenizer
from entrobench.models.language_model import encode_prompt, load_model, load_tokenizer
from entrobench.models.model_recipes import EmbeddedModel
from entrobench.models.replies import decode
from entrobench.models.teacher import Teacher

NAMES = ("chain-tiny", "chain-qwen", "chain-llama")  # the committed recipes; the first two split at spaces
MODELS = Path(__file__).parents[2] / "config" / "models"
RECIPES = {name: parse(EmbeddedModel, yaml.safe_load((MODELS / f"{name}.yaml").read_text()), name) for name in NAMES}
PROBLEMS = [
    *(problem for problem, _ in rows(ChainConfig(2, 10, 2000))),  # as many as the pipeline takes of each dataset
    *(problem for problem, _ in rows(ChainConfig(3, 10, 2000))),
]
KINDS = pytest.mark.parametrize("kind", NAMES)


@cache
def tokenizer_of(kind: str) -> Any:
    return train_tokenizer(RECIPES[kind], PROBLEMS[: 2000 * len(RECIPES[kind].datasets)], Teacher(RECIPES[kind]))


@KINDS
def test_every_word_of_the_task_is_one_token_wherever_it_stands(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    words = [*map(str, range(10)), *OPERATIONS, "=", *SEPARATORS, "\\boxed{", "}"]
    for word in words:
        assert len(tokenizer.encode(word, add_special_tokens=False)) == 1, word
    text = " ".join(words)
    assert len(tokenizer.encode(text, add_special_tokens=False)) == len(words)
    assert tokenizer.unk_token_id not in tokenizer.encode(text, add_special_tokens=False)


@KINDS
def test_prompt_and_answer_are_the_tokens_of_the_whole_text(kind: str) -> None:
    """The model sees an answer begin as the teacher's answers did."""
    tokenizer, generator = tokenizer_of(kind), random.Random(0)
    teacher = Teacher(RECIPES[kind])
    for problem in PROBLEMS[:50]:
        answer = teacher.answer(problem, generator)
        apart = encode_prompt(tokenizer, problem) + tokenizer.encode(answer, add_special_tokens=False)
        assert apart == encode_prompt(tokenizer, f"{problem} {answer}")
        assert decode(tokenizer, apart).split() == f"{problem} {answer}".split()


@KINDS
def test_text_goes_there_and_back(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    text = "3 + 4 = 7 ; 7 - 9 = 8 , \\boxed{ 8 }"
    assert decode(tokenizer, tokenizer.encode(text, add_special_tokens=False)).strip() == text


def test_bytes_know_any_text() -> None:
    tokenizer = tokenizer_of("chain-llama")
    text = "Größe π≈3.14, 漢字\n\ttab"
    assert decode(tokenizer, tokenizer.encode(text, add_special_tokens=False)).strip() == text


@KINDS
def test_size_and_special_tokens(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    assert len(tokenizer) == RECIPES[kind].vocabulary
    assert tokenizer.convert_ids_to_tokens(list(range(4))) == list(SPECIAL_TOKENS)
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)


@KINDS
def test_the_recipe_decides_the_tokenizer(kind: str) -> None:
    assert tokenizer_of.__wrapped__(kind).get_vocab() == tokenizer_of(kind).get_vocab()


@KINDS
def test_saved_and_loaded_they_are_the_same(kind: str, tmp_path: Path) -> None:
    recipe, tokenizer = RECIPES[kind], tokenizer_of(kind)
    model = build_model(recipe, tokenizer)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, words = load_model(tmp_path), load_tokenizer(tmp_path)
    assert words.get_vocab() == tokenizer.get_vocab()
    problem = PROBLEMS[0]
    text = f"{problem} 3 + 4 = 7 next \\boxed{{ 7 }}"
    assert encode_prompt(words, text) == encode_prompt(tokenizer, text)
    assert decode(words, encode_prompt(words, text)) == decode(tokenizer, encode_prompt(tokenizer, text))
    tokens = torch.tensor([encode_prompt(tokenizer, problem)])
    assert torch.equal(loaded(tokens).logits, model.eval()(tokens).logits)
    assert loaded.config.model_type == recipe.architecture
    assert loaded.config.eos_token_id == words.eos_token_id
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) is recipe.tied


def test_the_seed_decides_the_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        recipe = replace(RECIPES["chain-tiny"], seed=seed)
        return torch.cat([weight.flatten() for weight in build_model(recipe, tokenizer_of("chain-tiny")).parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))
