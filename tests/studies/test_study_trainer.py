"""What a study says of its trainer: presets that it takes over, and engines that cannot run its models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_study import STUDY, load, refused


@pytest.fixture(autouse=True)
def _project(project: Path) -> None:
    """All tests here work in the fixture project."""


def preset(text: str, name: str = "short") -> None:
    Path("config/trainer").mkdir(exist_ok=True)
    Path(f"config/trainer/{name}.yaml").write_text(text)


def test_a_trainer_preset_is_taken_over_and_leaves_no_trace_in_the_hash() -> None:
    preset("values: {steps: 4, prompts: 8, learning_rate: 1.0e-3}\n")
    plain = load({**STUDY, "trainer": {"steps": 6, "prompts": 8, "learning_rate": 1e-3}})
    used = load({**STUDY, "trainer": {"use": "short", "steps": 6}})
    assert [run.config for run in used.runs] == [run.config for run in plain.runs]
    setting = {"name": "one", "model": "tiny", "dataset": "chain2", "methods": ["grpo"]}
    content = {"settings": [{**setting, "trainer": {"use": "short"}}], "seeds": [0], "benchmarks": ["chain2"]}
    (run,) = load({**content, "trainer": {"steps": 9, "group_size": 4}}).runs
    trainer = run.config.trainer
    assert [trainer.steps, trainer.prompts, trainer.group_size] == [4, 8, 4], "the setting's preset wins"


@pytest.mark.parametrize(
    ("text", "use", "message"),
    [
        ("values: {steps: 4}\n", "shrt", "config/studies/mine.yaml: trainer: use: unknown preset 'shrt'"),
        ("values: {step: 4}\n", "short", "config/trainer/short.yaml: values: unknown key 'step'"),
        ("value: {}\n", "short", "config/trainer/short.yaml: unknown key 'value'"),
        ("values: {steps: 0}\n", "short", "config/studies/mine.yaml: trainer: steps must be at least 1"),
    ],
)
def test_a_wrong_trainer_preset_names_file_key_and_nearest(text: str, use: str, message: str) -> None:
    preset(text)
    line = refused({**STUDY, "trainer": {"use": use}})
    assert line.startswith(message)
    nearest = {"shrt": "short", "step": "steps", "value": "values"}
    assert all(f"did you mean '{right}'?" in line for wrong, right in nearest.items() if f"'{wrong}'" in line)


def their_model(folder: Path, change: Mapping[str, Any]) -> None:
    """A recipe `theirs` of a model folder whose config.json says this."""
    folder.mkdir()
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = {"model_type": "llama", "vocab_size": 9, **sizes, **change}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / name).write_text("")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    Path("config/models/theirs.yaml").write_text(f"kind: folder\npath: {folder}\nchat: {{plain: true}}\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "mistral"}, "engine: native runs llama, qwen2, qwen3, not 'mistral'"),
        ({"model_type": "granite"}, "not 'granite'; use another engine for it"),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}, "not 'gemma3_text'"),
        ({"use_sliding_window": True}, "has no sliding window"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "does not know rope type 'dynamic'"),
        ({"hidden_act": "gelu"}, "expects hidden_act silu, got 'gelu'"),
    ],
)
def test_a_model_that_the_engine_cannot_run_is_refused_before_any_job(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    their_model(tmp_path / "theirs", change)
    assert said in refused({**STUDY, "models": ["theirs"]})
    vllm = {"trainer": {"engine": "vllm_server"}, "evaluation": {"engine": "vllm"}}
    assert load({**STUDY, **vllm, "models": ["theirs"]}).runs


def test_what_is_longer_than_the_models_window_is_refused_before_any_job(tmp_path: Path) -> None:
    """The paper's second setting would exceed the 4,096 positions of Qwen2.5-Math."""
    their_model(tmp_path / "theirs", {"max_position_embeddings": 4096})
    study = {**STUDY, "models": ["theirs"], "trainer": {"max_prompt_tokens": 1024, "max_response_tokens": 3072}}
    assert load(study | {"evaluation": {"max_tokens": 4000}}).runs
    longer = {"trainer": {**study["trainer"], "max_response_tokens": 3073}}
    assert "1024 + max_response_tokens 3073 is above the 4096 tokens that theirs was made for" in refused(
        study | longer
    )
    line = refused(study | {"evaluation": {"max_tokens": 4096}})
    assert "evaluation: max_tokens 4096 of chain2 leaves no room for a prompt in the 4096 tokens that theirs" in line


@pytest.mark.parametrize("shape", [{"architecture": "mistral"}, {"architecture": "gemma2"}])
def test_so_is_one_of_the_hub_by_its_shape(shape: dict[str, Any]) -> None:
    recipe = {"kind": "hub", "repository": "a/b", "licence": "MIT", "shape": {**shape, "hidden_size": 8}}
    Path("config/models/theirs.yaml").write_text(yaml.safe_dump(recipe))
    assert f"not {shape['architecture']!r}" in refused({**STUDY, "models": ["theirs"]})
