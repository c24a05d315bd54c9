"""A bad study stops Snakemake with one line and status 2 before any job; a killed one goes on where it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import BIN, Project


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("models: [tiny]", "models: [tny]", "unknown model 'tny' (allowed: tiny); did you mean 'tiny'?"),
        ("aent: {warmup: 5}", "aent: {warmpu: 5}", "methods: aent: unknown key 'warmpu'"),
        ("aent: {warmup: 5}", "aent: {clamp: 1.2}", "clamp must be between 0.0 and 1.0, got 1.2"),
        ("seeds: [0, 1]", "seeds: []", "seeds: must name at least one, got none"),
        ("{steps: 2}", "{steps: 2, group_size: 1}", "group_size must be at least 2, got 1"),
        ("{device: cpu}", "{device: cpu, processes: 500}", "hardware: 500 processes share 128 sequences of an update"),
        ("benchmarks: [chain2]", "benchmarks: [chain2, chain2]", "benchmarks: 'chain2' is given twice"),
    ],
)
def test_bad_study(fresh: Project, old: str, new: str, part: str) -> None:
    fresh.edit(old, new)
    done = fresh.call("snakemake")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 4
    assert lines[-1].startswith("error: config/studies/quickstart.yaml: ")
    assert part in lines[-1]
    assert not (fresh.folder / "results").exists()


@pytest.mark.parametrize("argument", ["study=quickstrt", "study=no/such.yaml", "stduy=quickstart"])
def test_bad_choice_of_study(fresh: Project, argument: str) -> None:
    done = fresh.call("snakemake", "--config", argument)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) <= 4
    assert "Traceback" not in done.stderr


def test_wrong_data_file_stops_before_the_first_job(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"problem": "1 + 1 =", "answer": "2"}\n')
    recipe = f"kind: jsonl\nsplits: {{train: {{file: rows.jsonl, sha256: {'0' * 64}, rows: 1}}}}\n"
    (fresh.folder / "config" / "datasets" / "rows.yaml").write_text(recipe)
    fresh.edit("datasets: [chain2]", "datasets: [rows]")
    fresh.environment["ENTROBENCH_DATA"] = str(tmp_path)
    done = fresh.call("snakemake")
    assert done.returncode == 2
    assert "config/datasets/rows.yaml" in done.stderr
    assert not (fresh.folder / "results").exists()


def wait_for(condition: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def test_killed_study_goes_on(fresh: Project) -> None:
    fresh.environment["FAKE_TRAINING_SECONDS"] = "60"
    command = [str(BIN / "snakemake"), "--cores", "2"]
    started = subprocess.Popen(
        command,
        cwd=fresh.folder,
        env=fresh.variables(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: list(fresh.run.glob("*/seed*/pid")))
    refused = fresh.call("entrobench", "unlock")
    assert refused.returncode == 2
    assert f"snakemake (process {started.pid}) is working in this folder" in refused.stderr
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    training = [int(path.read_text()) for path in fresh.run.glob("*/seed*/pid")]
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in training))

    fresh.environment["FAKE_TRAINING_SECONDS"] = "0"
    assert list((fresh.folder / ".snakemake" / "locks").iterdir())
    assert "going on where it stopped" in fresh.call("entrobench", "unlock").stdout
    checkpoints = list(fresh.run.glob("*/seed*/checkpoints"))
    assert checkpoints
    fresh.snakemake()
    assert all(path.exists() for path in checkpoints)  # a restart resumes from them, Snakemake must not delete them
    assert "Nothing to be done" in fresh.snakemake()
    assert fresh.call("entrobench", "unlock").stdout == ""
