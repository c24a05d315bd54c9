"""A model of this machine is known by what lies in its folder, not by the folder's name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tiny import save_tiny

from entrobench.errors import InputError
from entrobench.models import content
from entrobench.models.base_model import make, refuse_changed
from entrobench.models.model_recipes import MODELS_VARIABLE, recipe_hash

SPEC = {"kind": "folder", "path": "own"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return save_tiny(tmp_path / "own")


def test_other_weights_under_the_same_path_are_another_model(folder: Path) -> None:
    before = recipe_hash(SPEC)
    weights = folder / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert recipe_hash(SPEC) != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"])
def test_config_and_tokenizer_count_as_well(folder: Path, name: str) -> None:
    before = recipe_hash(SPEC)
    (folder / name).write_text((folder / name).read_text() + "\n" if (folder / name).exists() else "{}")
    assert recipe_hash(SPEC) != before


def test_a_copy_under_another_name_holds_the_same(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    for path in folder.iterdir():
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    assert content.content_sha256(folder) == content.content_sha256(tmp_path / "copy")


def test_what_is_unchanged_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content.content_sha256(folder)
    monkeypatch.setattr(content, "sha256_file", lambda path: pytest.fail(f"{path} was read again"))
    assert content.content_sha256(folder) == before


def test_a_file_of_the_same_size_and_another_time_is_read_again(folder: Path) -> None:
    before = content.content_sha256(folder)
    path = folder / "config.json"
    settings = json.loads(path.read_text())
    text = path.read_text().replace(str(settings["vocab_size"]), str(settings["vocab_size"])[::-1])
    stat = path.stat()
    path.write_text(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert (content.content_sha256(folder) != before) == (text != json.dumps(settings))


@pytest.mark.parametrize("damage", ["", "[1]", "{", '{"a": 1}'])
def test_a_damaged_cache_is_made_anew(folder: Path, damage: str) -> None:
    before = content.content_sha256(folder)
    content.CACHE.write_text(damage)
    assert content.content_sha256(folder) == before


def test_hashes_of_other_kinds_do_not_change() -> None:
    spec = {"kind": "embedded", "datasets": ["chain2"]}
    assert recipe_hash(spec) == "2dbc4b24064c43d651ca2e80cc9d69725483eafd2e6c03b03ed78832e3364466"
    hub = {"kind": "hub", "repository": "a/b"}
    assert recipe_hash({**hub, "window": 4096}) == recipe_hash(hub)


def test_weights_that_change_during_a_study_stop_its_next_job(folder: Path, tmp_path: Path) -> None:
    """The base model links to them: what was trained before would be compared with what comes after."""
    make("own", {**SPEC, "chat": {"plain": True}}, tmp_path / "made", {})
    refuse_changed(tmp_path / "made")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(InputError, match=r"own: its files have changed since .*made/model\.json was written"):
        refuse_changed(tmp_path / "made")
