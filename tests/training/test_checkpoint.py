"""Checkpoints appear whole or not at all, hold everything, and belong to one run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_model

from entrobench import files
from entrobench.errors import InputError
from entrobench.models.weights import model_tensors, restore_model
from entrobench.training import checkpoint

IDENTITY = {"config_hash": "a" * 64, "method_source": "b" * 64}


def save(folder: Path, step: int, identity: dict[str, str] = IDENTITY) -> None:
    tensors = {"model": {"weight": torch.full((2, 3), float(step))}}
    checkpoint.save(folder, step, tensors, {"identity": identity, "step": step})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 200, 1500):
        save(tmp_path, step)
    assert names(tmp_path) == ["step000200", "step001500"]
    found = checkpoint.latest(tmp_path, IDENTITY)
    assert found is not None
    assert checkpoint.load_state(found)["step"] == 1500
    assert checkpoint.load_tensors(found, "model")["weight"].tolist() == [[1500.0] * 3] * 2


def test_nothing_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path / "missing", IDENTITY) is None
    assert checkpoint.latest(tmp_path, IDENTITY) is None


@pytest.mark.parametrize("killed_at", range(4))
def test_a_kill_while_writing_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    save(tmp_path, 1)
    calls = iter(range(100))

    def kill(path: Path) -> None:
        if next(calls) == killed_at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "synchronise", kill)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 2)
    found = checkpoint.latest(tmp_path, IDENTITY)
    assert found is not None
    assert checkpoint.load_state(found)["step"] == (2 if killed_at == 3 else 1)  # call 3 comes after the rename
    save(tmp_path, 3)
    assert names(tmp_path)[-1] == "step000003"
    assert checkpoint.load_state(tmp_path / "step000003")["step"] == 3


def test_a_half_written_folder_is_ignored_and_replaced(tmp_path: Path) -> None:
    save(tmp_path, 1)
    draft = tmp_path / ".step000002.part"
    shutil.copytree(tmp_path / "step000001", draft)
    (draft / "state.json").write_text('{"identity": ')
    found = checkpoint.latest(tmp_path, IDENTITY)
    assert found is not None
    assert found.name == "step000001"
    save(tmp_path, 2)
    assert names(tmp_path) == ["step000001", "step000002"]


def test_a_run_of_another_config_is_refused_in_one_line(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(InputError, match="belong to another run") as caught:
        checkpoint.latest(tmp_path, {**IDENTITY, "config_hash": "c" * 64})
    assert "\n" not in str(caught.value)
    assert (tmp_path / "step000001" / "state.json").exists(), "nothing is lost"


def test_a_checkpoint_of_other_method_source_is_stale(tmp_path: Path) -> None:
    assert not checkpoint.stale(tmp_path, IDENTITY)
    save(tmp_path, 1)
    assert not checkpoint.stale(tmp_path, IDENTITY)
    assert checkpoint.stale(tmp_path, {**IDENTITY, "method_source": "c" * 64})
    assert checkpoint.stale(tmp_path, {**IDENTITY, "mathematics": "2"}), "the checkpoint's is older, or it has none"
    assert not checkpoint.stale(tmp_path, {"config_hash": "c" * 64, "method_source": "c" * 64}), "refused instead"


@pytest.mark.parametrize(("family", "tied"), [("qwen2", True), ("llama", True), ("llama", False)])
def test_tied_weights_are_stored_once_and_tied_again(tmp_path: Path, family: str, tied: bool) -> None:
    model = tiny_model(family, tie_word_embeddings=tied)
    checkpoint.save(tmp_path, 1, {"model": model_tensors(model)}, {"identity": IDENTITY})
    stored = load_file(tmp_path / "step000001" / "model.safetensors")
    assert ("lm_head.weight" in stored) is not tied
    other = tiny_model(family, seed=1, tie_word_embeddings=tied)
    restore_model(other, stored)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    assert (other.lm_head.weight is other.model.embed_tokens.weight) is tied


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_weights_of_another_model_are_refused(change: str) -> None:
    model = tiny_model()
    tensors = model_tensors(model)
    if change == "missing":
        del tensors["model.norm.weight"]
    else:
        tensors["model.other.weight"] = torch.zeros(1)
    with pytest.raises(InputError, match=change):
        restore_model(model, tensors)


def train_a_little(model: Any, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        model(torch.tensor([[5, 6, 7, 8]])).logits.logsumexp(-1).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def adam(model: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.98), foreach=True)


def test_the_optimizer_goes_on_bit_for_bit(tmp_path: Path) -> None:
    model = tiny_model("qwen2", tie_word_embeddings=True)
    optimizer = adam(model)
    train_a_little(model, optimizer, 3)
    tensors = {"model": model_tensors(model), "optimizer": checkpoint.optimizer_tensors(optimizer)}
    checkpoint.save(tmp_path, 3, tensors, {"identity": IDENTITY})
    train_a_little(model, optimizer, 2)
    resumed = tiny_model("qwen2", seed=5, tie_word_embeddings=True)
    restore_model(resumed, checkpoint.load_tensors(tmp_path / "step000003", "model"))
    second = adam(resumed)
    checkpoint.restore_optimizer(second, checkpoint.load_tensors(tmp_path / "step000003", "optimizer"))
    train_a_little(resumed, second, 2)
    for name, value in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    changed = {"missing": b"", "empty": b"", "cut": content[: len(content) // 2], "flipped": b""}[how]
    if how == "flipped":
        changed = content[:-1] + bytes([content[-1] ^ 1])
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(changed)


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "flipped"])
@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
def test_a_damaged_newest_checkpoint_is_told_and_left_for_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, how: str
) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    damage(tmp_path / "step000002" / name, how)
    checkpoint.drop_damaged(tmp_path)
    found = checkpoint.latest(tmp_path, IDENTITY)
    assert found is not None
    assert found.name == "step000001"
    said = capsys.readouterr().out
    assert ("step000002: damaged (" in said) is not (name == "state.json" and how == "missing"), "never complete"


def test_without_any_whole_checkpoint_a_run_starts_afresh(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
        damage(tmp_path / f"step00000{step}" / "model.safetensors", "cut")
    checkpoint.drop_damaged(tmp_path)
    assert checkpoint.latest(tmp_path, IDENTITY) is None


def test_a_full_disk_is_one_line_with_what_is_needed_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)
    big = {"model": {"weight": torch.zeros(1_000_000)}}
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1_000_000))
        with pytest.raises(InputError, match=r"the checkpoint of step 2 needs 4 MB, the disk has 1 MB left"):
            checkpoint.save(tmp_path, 2, big, {"identity": IDENTITY})
    assert names(tmp_path) == ["step000001"]


def test_a_disk_that_fills_while_writing_is_one_line_too(tmp_path: Path) -> None:
    """A limit of the size of a file stands in for the disk: the system's own refusal, in the middle of a file."""
    save(tmp_path, 1)
    program = (
        "import resource, signal, sys, pathlib, torch\nfrom entrobench.training import checkpoint\n"
        "from entrobench.errors import InputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: checkpoint.save(pathlib.Path(sys.argv[1]), 2, {'model': {'weight': torch.zeros(9_000)}}, {})\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert "no room for the checkpoint of step 2, 36 kB" in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1
    assert names(tmp_path) == ["step000001"]
