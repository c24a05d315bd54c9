"""A run says what made it, and a finished twin is found by exactly that."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from entrobench import provenance
from entrobench.config import TrainerConfig
from entrobench.errors import InputError
from entrobench.results import Results, RunFolder
from entrobench.run_config import MATHEMATICS, RunConfig, RunDataset, RunModel, Variant

CONFIG = RunConfig(
    RunModel("tiny", "m"),
    RunDataset("chain2", "d", "{problem}"),
    Variant("aent_math", "aent", {"coefficient": 0.01}),
    seed=3,
    trainer=TrainerConfig(steps=2),
)


@pytest.fixture
def method_source(tmp_path: Path) -> Path:
    path = tmp_path / "aent.py"
    path.write_text("class Aent: ...\n")
    return path


def test_every_field_of_the_contract_is_there(
    method_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.lock").write_text("torch==2.13.0\n")
    monkeypatch.chdir(tmp_path)
    started = time.time() - 2.5
    found = provenance.collect(CONFIG, method_source, {"device": "cpu"}, started, "plug-in 1.0")
    assert found["method"] == {
        "name": "aent_math",
        "source_sha256": hashlib.sha256(b"class Aent: ...\n").hexdigest(),
        "distribution": "plug-in 1.0",
    }
    assert found["lock_sha256"] == hashlib.sha256(b"torch==2.13.0\n").hexdigest()
    assert (found["config_hash"], found["seed"], found["reused_from"]) == (CONFIG.hash, 3, None)
    assert found["model"] == {"name": "tiny", "recipe_hash": "m"}
    assert found["dataset"] == {"name": "chain2", "recipe_hash": "d", "prompt": "{problem}"}
    assert found["package_version"] == provenance.package_version()
    assert set(found["hardware"]) == {"cpu", "cores", "threads", "device", "gpu", "memory_gib"}
    assert found["hardware"]["device"] == "cpu"
    assert found["hardware"]["gpu"] is None
    assert found["hardware"]["cpu"]
    assert found["hardware"]["threads"] >= 1
    assert found["versions"]["torch"]
    assert 2.5 <= found["seconds"] < 60
    assert found["peak_memory_bytes"] > 2**20
    assert json.loads(json.dumps(found)) == found


def test_no_lock_file_is_null(method_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = provenance.collect(CONFIG, method_source, {"device": "cpu", "threads": 7}, time.time())
    assert found["lock_sha256"] is None
    assert found["hardware"]["threads"] == 7
    assert found["method"]["distribution"] == "built-in"


def git(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.invalid"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_git_state_is_of_the_checkout_that_tracks_the_file(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("one = 1\n")
    assert provenance.git_state(source) == (None, None)
    git(tmp_path, "init", "--quiet")
    assert provenance.git_state(source) == (None, None)
    git(tmp_path, "add", "module.py")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked.txt").write_text("noise")
    assert provenance.git_state(source) == (commit, False)
    source.write_text("one = 2\n")
    assert provenance.git_state(source) == (commit, True)


def test_git_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state(Path(provenance.__file__)) == (None, None)


def finished_run(folder: Path, config_hash: str = "c", method: str = "m", package: str = "1") -> Path:
    (folder / "final").mkdir(parents=True)
    (folder / "final/model.safetensors").write_bytes(b"")
    (folder / "steps.parquet").write_bytes(b"")
    content = {"config_hash": config_hash, "method": {"source_sha256": method}, "package_version": package}
    content["mathematics"] = MATHEMATICS
    (folder / "provenance.json").write_text(json.dumps(content))
    return folder


def test_a_twin_is_found_in_any_study_by_settings_method_and_version(tmp_path: Path) -> None:
    twin = finished_run(tmp_path / "other/runs/tiny/chain2/aent/seed0")
    assert provenance.find_twin(Results(tmp_path), "c", "m", "1") == twin
    assert provenance.find_twin(Results(tmp_path), "x", "m", "1") is None
    assert provenance.find_twin(Results(tmp_path), "c", "x", "1") is None
    assert provenance.find_twin(Results(tmp_path), "c", "m", "2") is None
    assert provenance.find_twin(Results(tmp_path), "c", "m", "1", besides=twin) is None
    assert provenance.find_twin(Results(tmp_path / "nowhere"), "c", "m", "1") is None


@pytest.mark.parametrize("number", [None, MATHEMATICS - 1, MATHEMATICS + 1])
def test_a_run_of_other_mathematics_is_no_twin_and_is_not_compared(tmp_path: Path, number: int | None) -> None:
    twin = finished_run(tmp_path / "other/runs/tiny/chain2/aent/seed0")
    run, known = RunFolder(twin), "unknown" if number is None else number
    provenance.check_mathematics([run], "here")
    content = json.loads(run.provenance.read_text()) | {"mathematics": number}
    run.provenance.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    assert provenance.find_twin(Results(tmp_path), "c", "m", "1") is None
    assert provenance.made_otherwise([run, RunFolder(tmp_path / "not trained")]) == [run]
    with pytest.raises(InputError, match=rf"here: 1 runs were trained by mathematics {known}, .*aent/seed0"):
        provenance.check_mathematics([run], "here")


@pytest.mark.parametrize("missing", ["steps.parquet", "final/model.safetensors", "provenance.json"])
def test_an_unfinished_run_is_no_twin(tmp_path: Path, missing: str) -> None:
    twin = finished_run(tmp_path / "other/runs/tiny/chain2/aent/seed0")
    (twin / missing).unlink()
    assert provenance.find_twin(Results(tmp_path), "c", "m", "1") is None
