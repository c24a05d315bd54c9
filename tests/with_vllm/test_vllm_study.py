"""Training and a whole study with `engine: vllm`: logged mismatch, resume to the bit, and stale weights refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch
import yaml
from engine_checks import save, untrained
from tiny import run_config, save_data, tiny_trainer, weights

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("training")
    return save(untrained("chain-qwen"), root / "model"), save_data(root / "data")


def test_an_interrupted_run_ends_with_the_same_bits(folders: tuple[Path, Path], tmp_path: Path) -> None:
    config = run_config("aent", steps=3, engine="vllm", learning_rate=1e-3)
    whole = tiny_trainer(*folders, tmp_path / "whole", config)
    rows = whole.run()
    assert all(0 < row["rollout_mismatch"] < 1e-5 for row in rows)
    assert len({row["reward"] for row in rows}) > 1
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    assert (tmp_path / "cut" / "checkpoints" / "step000002").is_dir()
    resumed = tiny_trainer(*folders, tmp_path / "cut", config)
    assert [row["step"] for row in resumed.run()] == [1, 2, 3]
    assert torch.equal(weights(resumed), weights(whole))


def locked_run(folder: Path, model: Path, data: Path, **trainer: Any) -> Path:
    """A project with one run to train, its data and its base model."""

    run = folder / "results" / "study" / "runs" / "tiny" / "tiny" / "grpo" / "seed0"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(run_config(**trainer).content))
    shutil.copytree(model, folder / "results" / "models" / "tiny")
    shutil.copytree(data, folder / "results" / "data" / "tiny")
    return run


def test_weights_that_stay_stale_stop_the_run(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Without the plug-in the CPU build keeps the first model's tied output layer, silently."""
    run = locked_run(tmp_path, *folders, engine="vllm", steps=4, reward="random")
    command = [str(BIN / "entrobench"), "train", str(run), "--device", "cpu", "--checkpoint-every", "1"]
    without = os.environ | {"VLLM_PLUGINS": "none"}
    done = subprocess.run(command, cwd=tmp_path, env=without, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    *_, line = done.stderr.splitlines()
    assert "step 2: engine: vllm: at step 2 its log-probabilities lie " in line
    assert "it holds others, or computes otherwise; training stops here, evidence in" in line
    assert (run / "checkpoints" / "step000001" / "state.json").exists()


def test_a_whole_study(tmp_path: Path) -> None:
    """The smoke study with one method, trained and evaluated through vLLM by Snakemake."""
    for name in ("workflow", "profiles", "config"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Snakefile", "requirements-vllm.lock"):
        shutil.copy(ROOT / name, tmp_path)
    recipe = tmp_path / "config" / "models" / "chain-tiny.yaml"
    recipe.write_text(
        recipe.read_text().replace("hidden_size: 32", "hidden_size: 64")
    )  # vLLM wants heads of 32 on a CPU
    study = yaml.safe_load((ROOT / "config" / "studies" / "smoke.yaml").read_text())
    study["methods"] = ["aent"]
    study["trainer"]["engine"] = study["evaluation"]["engine"] = "vllm"
    (tmp_path / "config" / "studies" / "smoke-vllm.yaml").write_text(yaml.safe_dump(study))
    command = [str(BIN / "snakemake"), "--cores", "1", "--config", "study=smoke-vllm"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results" / "smoke-vllm"
    run = results / "runs" / "chain-tiny" / "chain2" / "aent" / "seed0"
    rows = pyarrow.parquet.read_table(run / "steps.parquet").to_pylist()
    assert all(0 < row["rollout_mismatch"] < 1e-5 for row in rows)
    assert json.loads((run / "provenance.json").read_text())["versions"]["vllm"] == "0.32.0"
    assert (run / "generations" / "chain2.jsonl.zst").exists()
    assert (results / "report.html").exists()
