"""The stage that teaches how an answer is written: loss on its form, none on its result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf_files import MEMBER, SHAPE, write_wheel

from entrobench.data.datasets import prepare
from entrobench.data.rows import Row
from entrobench.errors import InputError
from entrobench.models.base_model import make
from entrobench.models.language_model import load_model, load_tokenizer
from entrobench.models.model_recipes import MODELS_VARIABLE, check_spec
from entrobench.models.package.format_stage import example
from entrobench.provenance import sha256_file

PROBLEM = Row("0" * 16, "a 14 b 5", "9")  # letters and digits of the vocabulary of gguf_files


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    wheel = write_wheel(tmp_path / "wheels")
    monkeypatch.setenv(MODELS_VARIABLE, str(wheel.parent))
    release = {"package": "tiny-package", "version": "1.0", "sha256": sha256_file(wheel), "member": MEMBER}
    return {"kind": "package", **release, "licence": "mit", "shape": SHAPE, "chat": {"plain": True}}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Path]:
    prepare("sums", {"kind": "word_problems", "problems": {"stories": 0, "sums": 60, "products": 0}}, tmp_path / "sums")
    return {"sums": tmp_path / "sums"}


def test_form_and_end_have_loss_and_the_result_has_none(recipe: dict[str, Any], tmp_path: Path) -> None:
    make("mine", recipe, tmp_path / "made", {})
    tokenizer = load_tokenizer(tmp_path / "made")
    tokens, labels = example(tokenizer, PROBLEM, "{problem}")
    words = tokenizer.convert_ids_to_tokens(tokens)
    start = 1 + len(tokenizer.encode(PROBLEM.problem))
    assert words[:start] == ["<|im_start|>", "a", "Ġ", "1", "4", "Ġ", "b", "Ġ", "5"]
    assert words[-2:] == ["9", "<|im_end|>"]
    assert labels[:start] == [-100] * start
    assert labels[-2:] == [-100, tokenizer.eos_token_id]
    assert labels[start:-2] == tokens[start:-2]


def test_the_stage_changes_the_weights_alone_and_the_same_way_again(
    recipe: dict[str, Any], data: dict[str, Path], tmp_path: Path
) -> None:
    stage = {"steps": 11, "batch": 4, "learning_rate": 1e-2, "warmup": 2}
    make("before", recipe, tmp_path / "before", {})
    for name in ("first", "second"):
        make(name, {**recipe, "datasets": ["sums"], "stage": stage}, tmp_path / name, data)
    before, first, second = (load_model(tmp_path / name).state_dict() for name in ("before", "first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], before[name]) for name in first)
    history = json.loads((tmp_path / "first" / "model.json").read_text())["history"]
    assert len(history["format_loss"]) == 2
    assert history["format_loss"][1] < history["format_loss"][0]
    assert history["quantisation"] == {"F32": 3, "Q4_1": 8}
    same = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
    assert all((tmp_path / "first" / n).read_bytes() == (tmp_path / "before" / n).read_bytes() for n in same)


def test_a_stage_without_datasets_or_with_others_is_one_line(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config/models/mine.yaml: stage: needs datasets, whose problems it shows"):
        check_spec("mine", {**recipe, "stage": {"steps": 3}}, "config/models/mine.yaml")
    prepare("chain", {"kind": "chain", "chain": {"operations": 1, "modulus": 5}}, tmp_path / "chain")
    with pytest.raises(InputError, match=r"config/models/mine.yaml: datasets: must be of kind word_problems: '"):
        make("mine", {**recipe, "datasets": ["chain"]}, tmp_path / "made", {"chain": tmp_path / "chain"})
    with pytest.raises(InputError, match=r"stage: unknown key 'step' .*did you mean 'steps'"):
        check_spec("mine", {**recipe, "datasets": ["sums"], "stage": {"step": 3}}, "config/models/mine.yaml")
