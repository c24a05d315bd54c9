"""Snapshots change no bit of a run, survive any kill, belong with their checkpoint, and are published when it ends."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from test_trainer import kill_before
from tiny import coin_reward, kill_once_there, run_config, weights

from entrobench.config import Hardware
from entrobench.errors import InputError
from entrobench.models.language_model import load_model, load_tokenizer
from entrobench.results import Results
from entrobench.run_keys import step_name
from entrobench.studies import reuse
from entrobench.training import checkpoint
from entrobench.training.snapshots import Snapshots, snapshot_steps
from entrobench.training.trainer import train


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def bits(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("*/model.safetensors")}


def test_steps() -> None:
    assert list(snapshot_steps(420, 15))[-1] == 405, "the last step is the run's end"
    assert list(snapshot_steps(10, 4)) == [4, 8]
    assert list(snapshot_steps(10, 0)) == list(snapshot_steps(10, 10)) == list(snapshot_steps(10, 99)) == []
    assert step_name(15) == "step000015"


def test_snapshots_change_nothing_and_are_whole_models(make_trainer: Any) -> None:
    plain, kept = (
        make_trainer(where="plain", steps=5),
        make_trainer(where="kept", steps=5, hardware={"snapshot_every": 2}),
    )
    plain.run()
    kept.run()
    assert torch.equal(weights(plain), weights(kept))
    assert names(kept.parts.folder / "checkpoints/snapshots") == ["step000002", "step000004"]
    assert not (plain.parts.folder / "checkpoints/snapshots").exists()
    shorter = make_trainer(where="shorter", steps=2)
    shorter.run()
    place = kept.parts.folder / "checkpoints/snapshots/step000002"
    for name, value in load_model(place).state_dict().items():
        assert torch.equal(value, shorter.parts.model.state_dict()[name]), name
    assert load_tokenizer(place).eos_token_id is not None


@pytest.mark.parametrize("step", [2, 4, 6, 7])
def test_a_killed_run_keeps_those_of_its_checkpoint(make_trainer: Any, step: int) -> None:
    hardware = {"checkpoint_every": 3, "snapshot_every": 1}
    whole = make_trainer(where="whole", steps=7, hardware=hardware)
    whole.run()
    kill_before(make_trainer(where="killed", steps=7, hardware=hardware), step)
    kept = Path(whole.parts.folder).parent / "killed/checkpoints/snapshots"
    late = [kept / step_name(late) / "model.safetensors" for late in range(1, step) if late > (step - 1) // 3 * 3]
    assert late or step in (4, 7)
    for file in late:
        file.write_bytes(b"of a discarded checkpoint")
    resumed = make_trainer(where="killed", steps=7, hardware=hardware)
    resumed.resume()
    assert names(kept) == [step_name(early) for early in range(1, (step - 1) // 3 * 3 + 1)]
    resumed.run()
    assert bits(kept) == bits(whole.parts.folder / "checkpoints/snapshots")
    assert len(bits(kept)) == 6


def train_run(tiny_folders: tuple[Path, Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    hardware = Hardware(device="cpu", micro_batch=4, checkpoint_every=4, snapshot_every=3)
    train(run_config(steps=20, prompts=2), folder, *tiny_folders, hardware, coin_reward)


def test_a_run_with_snapshots_survives_sigkill(tiny_folders: tuple[Path, Path], tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=train_run, args=(tiny_folders, tmp_path / "killed"))
    child.start()
    kill_once_there(child, tmp_path / "killed/checkpoints/step000008")
    train_run(tiny_folders, tmp_path / "killed")
    train_run(tiny_folders, tmp_path / "whole")
    for name in ("killed", "whole"):
        assert names(tmp_path / name) == ["final", "provenance.json", "snapshots", "steps.parquet"]
        assert names(tmp_path / name / "snapshots") == [step_name(step) for step in (3, 6, 9, 12, 15, 18)]
    assert bits(tmp_path / "killed/snapshots") == bits(tmp_path / "whole/snapshots")
    assert json.loads((tmp_path / "whole/provenance.json").read_text())["hardware"]["snapshot_every"] == 3


def test_a_kill_after_publishing_loses_none(tmp_path: Path) -> None:
    """Snakemake then deletes what is published and starts the job again."""
    snapshots = Snapshots(tmp_path, 10, 4)
    for step in range(1, 11):
        snapshots.save(step, lambda place: place.mkdir(parents=True))
    snapshots.publish(10)
    assert names(tmp_path / "snapshots") == names(tmp_path / "checkpoints/snapshots") == ["step000004", "step000008"]
    snapshots.resume(9)
    assert names(tmp_path / "checkpoints/snapshots") == ["step000004", "step000008"]
    checkpoint.discard(tmp_path / "checkpoints")
    assert names(tmp_path) == ["snapshots"]
    snapshots.resume(0)
    with pytest.raises(InputError, match=r"step000004 is missing: training began without `evaluate_every: 4`; delete"):
        snapshots.resume(9)


def test_only_the_newest_snapshots_before_the_end_are_kept_where_a_study_averages_over_them(tmp_path: Path) -> None:
    """Training may end before its limit, at a plateau; a snapshot of its last step is the last step itself."""
    snapshots = Snapshots(tmp_path, 99, 2, last=2)
    for step in range(1, 9):
        snapshots.save(step, lambda place: place.mkdir(parents=True))
    snapshots.publish(8)
    assert names(tmp_path / "snapshots") == ["step000004", "step000006"]


def test_no_folder_without_the_key_and_an_empty_one_where_no_step_is_due(tmp_path: Path) -> None:
    Snapshots(tmp_path, 10, 0).publish(10)
    assert names(tmp_path) == []
    Snapshots(tmp_path, 10, 10).publish(10)
    assert names(tmp_path / "snapshots") == []


def test_a_twin_needs_the_snapshots_that_are_asked_for(
    tiny_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuse, "RESULTS", Results(tmp_path / "results"))
    train_run(tiny_folders, tmp_path / "results/one/runs/m/d/grpo/seed0")
    config, place = run_config(steps=20, prompts=2), tmp_path / "results/two/runs/m/d/grpo/seed0"
    assert reuse.reuse_finished_run(config, place, 4) is None
    place.mkdir(parents=True)
    assert reuse.reuse_finished_run(config, place, 6) == tmp_path / "results/one/runs/m/d/grpo/seed0"
    assert names(place / "snapshots") == ["step000006", "step000012", "step000018"]
    plain = tmp_path / "results/three/runs/m/d/grpo/seed0"
    plain.mkdir(parents=True)
    assert reuse.reuse_finished_run(config, plain)
    assert names(plain) == ["final", "provenance.json", "steps.parquet"]
