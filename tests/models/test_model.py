"""Loading model folders, prompts and end tokens."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import BEGIN, END, WORDS, run_config, save_tiny, tiny_model, tiny_tokenizer, tiny_trainer

from entrobench.data.hub import sizes_in, window_in
from entrobench.errors import InputError
from entrobench.models.chat import Chat
from entrobench.models.language_model import (
    encode_prompt,
    end_tokens,
    head,
    hidden_states,
    load_model,
    load_tokenizer,
    refuse_beyond_window,
    resolve_device,
    weights_sha256,
)
from entrobench.models.model_recipes import check_folder
from entrobench.models.replies import decode


def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", "qwen2", tie_word_embeddings=True)
    model = load_model(folder)
    assert not model.training
    for name, value in tiny_model("qwen2", tie_word_embeddings=True).state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_head_of_hidden_states_is_the_model() -> None:
    model, tokens = tiny_model("qwen3"), torch.tensor([[5, 6, 7], [8, 9, 10]])
    weight, bias = head(model)
    assert bias is None
    torch.testing.assert_close(hidden_states(model, tokens) @ weight.T, model(tokens).logits)


def test_folders_that_cannot_be_loaded_are_one_line(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no model here \(config.json is missing\)"):
        load_model(tmp_path / "empty")
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(InputError, match="a model folder without tokenizer"):
        load_tokenizer(bare)
    endless = tmp_path / "endless"
    shutil.copytree(folder, endless)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (endless / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": None}))
    with pytest.raises(InputError, match="no end token"):
        load_tokenizer(endless)


def read_model_folder(folder: Path) -> None:
    """All that is read of a user's folder before its weights are."""
    check_folder(folder, "config/models/mine.yaml", Chat(plain=True))
    sizes_in(folder)
    window_in(folder)
    load_tokenizer(folder)


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    "text", ["{", "[]", "\x00", '{"a": ' + "7" * 5000 + "}", '{"a": ' + "[" * 9999 + "]" * 9999 + "}"]
)
def test_damaged_files_of_a_model_are_one_line(tmp_path: Path, file: str, text: str) -> None:
    folder = save_tiny(tmp_path / "model")
    (folder / file).write_text(text)
    with pytest.raises(InputError, match=re.escape(f"{folder / file}: ")) as refused:
        read_model_folder(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "vocab_size", "many"),
        ("config.json", "hidden_size", None),
        ("config.json", "max_position_embeddings", [4]),
        ("generation_config.json", "eos_token_id", "2"),
        ("generation_config.json", "eos_token_id", [2, None]),
    ],
)
def test_sizes_and_tokens_that_are_none_are_one_line(tmp_path: Path, file: str, key: str, value: object) -> None:
    folder = save_tiny(tmp_path / "model")
    (folder / file).write_text(json.dumps({**json.loads((folder / file).read_text()), key: value}))
    with pytest.raises(InputError, match=re.escape(f"{folder / file}: ")):
        read_model_folder(folder)


def test_a_tokenizer_that_is_not_the_models_is_one_line_before_training_and_evaluation(
    tiny_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    from entrobench.evaluation.benchmarks.lm_eval import EngineLM

    foreign = save_tiny(tmp_path / "foreign", vocab_size=len(WORDS) - 1)
    line = rf"foreign: the tokenizer is another model's: its token 'w42' is number {len(WORDS) - 1}, the model has"
    with pytest.raises(InputError, match=line):
        tiny_trainer(foreign, tiny_folders[1], tmp_path / "run", run_config())
    with pytest.raises(InputError, match=line):
        EngineLM(str(foreign), "cpu")
    padded = save_tiny(tmp_path / "padded", vocab_size=len(WORDS) + 7)
    assert len(load_tokenizer(padded)) == len(WORDS)


def test_an_end_token_that_the_model_does_not_have_is_one_line(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [END, len(WORDS)]}))
    with pytest.raises(InputError, match=rf"generation_config.json: eos_token_id {len(WORDS)} is no token: the model"):
        load_tokenizer(folder)


def test_prompts_begin_as_the_tokenizer_says() -> None:
    tokenizer = tiny_tokenizer()
    assert encode_prompt(tokenizer, "3 + 4 =") == [BEGIN, 7, 14, 8, 17]
    tokenizer.chat_template = "{% for m in messages %}w0 {{ m['content'] }}{% endfor %} w1"
    first, last = tokenizer.convert_tokens_to_ids(["w0", "w1"])
    assert encode_prompt(tokenizer, "3 + 4 =") == [first, 7, 14, 8, 17, last]
    assert decode(tokenizer, [7, 14, END]) == "3 +"


def test_a_prompt_does_not_begin_twice_with_a_tokenizer_that_adds_the_token_itself() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BEGIN)])
    assert encode_prompt(tokenizer, "3 +") == [BEGIN, 7, 14]


def test_end_tokens_are_those_of_tokenizer_and_generation_settings() -> None:
    model, tokenizer = tiny_model(), tiny_tokenizer()
    for configured, expected in ((None, [END]), (9, [END, 9]), ([9, END, 12], [END, 9, 12])):
        model.generation_config.eos_token_id = configured
        assert end_tokens(model.generation_config, tokenizer) == expected


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        assert resolve_device("auto") == torch.device("cpu")
        with pytest.raises(InputError, match="no CUDA device"):
            resolve_device("cuda")


def test_the_hash_of_weights_follows_the_weights(tmp_path: Path) -> None:
    first, same, other = (save_tiny(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert weights_sha256(first) == weights_sha256(same) != weights_sha256(other)


@pytest.mark.parametrize("change", ["logits", "rows"])
def test_a_model_whose_logits_are_more_than_its_output_layer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Whatever config.json calls it: the model's own logits are compared with the head's, once, when it is loaded."""
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def other(self: Any, *arguments: Any, **names: Any) -> Any:
        output = forward(self, *arguments, **names)
        output.logits = output.logits * 0.125 if change == "logits" else output.logits[..., :-1]
        return output

    folder = save_tiny(tmp_path / "model", "llama")
    load_model(folder)
    monkeypatch.setattr(LlamaForCausalLM, "forward", other)
    with pytest.raises(InputError, match="are not its hidden states times its output layer"):
        load_model(folder)


def test_sequences_beyond_the_models_positions_are_refused(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", "llama")
    refuse_beyond_window(folder, 100, 28)
    with pytest.raises(InputError, match="a prompt of 101 tokens and a response of up to 28 exceed its 128 positions"):
        refuse_beyond_window(folder, 101, 28)
