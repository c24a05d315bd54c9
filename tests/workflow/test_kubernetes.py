"""The Kubernetes profile runs a study through a stand-in for kubectl, which keeps the Jobs and runs their commands.

It shows what would be submitted and that lost pods start again; it is no cluster.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT, Project

PROFILE = ["--workflow-profile", "profiles/kubernetes"]
KUBECTL = f"""#!{sys.executable}
import os, pathlib, subprocess, sys, yaml
jobs = pathlib.Path(os.environ["FAKE_CLUSTER"])
verb = sys.argv[1]
if verb == "create":
    text = sys.stdin.read()
    job = yaml.safe_load(text)
    name = job["metadata"]["name"]
    (jobs / name).write_text(text)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    lost = os.environ.get("FAKE_LOST_POD", "none") in container["command"][-1] and not (jobs / "lost").exists()
    if lost:
        (jobs / "lost").touch()
    command = ["sh", "-c", 'sh -c "$1"; echo $? > "$2"', "pod", "exit 137" if lost else container["command"][-1]]
    command.append(str(jobs / f"{{name}}.status"))
    out = open(jobs / f"{{name}}.log", "w")
    subprocess.Popen(command, cwd=container["workingDir"], stdout=out, stderr=out, start_new_session=True)
elif verb == "get" and (jobs / sys.argv[3]).exists():
    ended = jobs / f"{{sys.argv[3]}}.status"
    status = ended.read_text().strip() if ended.exists() else ""
    print(f"succeeded:{{1 if status == '0' else ''}} failed:{{1 if status not in ('', '0') else ''}}", end="")
"""


@pytest.fixture
def cluster(fresh: Project, tmp_path: Path) -> Path:
    """The folder of a stand-in cluster: a manifest, a log and a status for each Job."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic", reason="the extra `kubernetes` is not installed")
    folder, programs = tmp_path / "jobs", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    (programs / "kubectl").write_text(KUBECTL)
    (programs / "kubectl").chmod(0o755)
    fresh.environment |= {"FAKE_CLUSTER": str(folder), "PATH": f"{programs}:{os.environ['PATH']}"}
    return folder


def jobs_of(cluster: Path, rule: str) -> list[dict]:
    """The manifests of a rule's Jobs."""
    manifests = [
        yaml.safe_load(path.read_text()) for path in cluster.iterdir() if not path.suffix and path.name != "lost"
    ]
    return [job for job in manifests if f"--allowed-rules {rule} " in container(job)["command"][-1]]


def container(job: dict) -> dict:
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.slow
def test_a_study_on_gpus_runs_and_a_lost_pod_starts_again(fresh: Project, cluster: Path) -> None:
    fresh.edit("device: cpu", "device: cuda, processes: 2")
    fresh.edit("seeds: [0, 1]", "seeds: [0]")
    fresh.environment["FAKE_LOST_POD"] = "train:run=tiny/chain2/aent/seed0"
    assert "study quickstart is done" in fresh.snakemake(*PROFILE, "--seconds-between-status-checks", "1")
    assert "Nothing to be done" in fresh.snakemake()
    trained = jobs_of(cluster, "train")
    assert len(trained) == 2 + 1
    assert not jobs_of(cluster, "track"), "SQLite is written by the machine that runs snakemake alone"
    for job in trained:
        assert job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 2880 * 60
        assert container(job)["workingDir"] == str(fresh.folder)
        needs = {"cpu": "2", "memory": "128000M"}
        limits = {"memory": "128000M", "nvidia.com/gpu": "2"}
        assert container(job)["resources"] == {"requests": needs, "limits": limits}
    for job in jobs_of(cluster, "generate"):
        assert container(job)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    (compare,) = jobs_of(cluster, "compare")
    needs = {"requests": {"cpu": "1", "memory": "8000M"}, "limits": {"memory": "8000M"}}
    assert container(compare)["resources"] == needs


@pytest.mark.parametrize(
    ("answer", "code", "expected"),
    [
        ("succeeded:1 failed:", 0, "success"),
        ("succeeded: failed:", 0, "running"),
        ("succeeded: failed:1", 0, "failed"),
        ("", 0, "failed"),  # deleted
        ("", 1, "running"),  # no answer
    ],
)
def test_status_of_a_job(answer: str, code: int, expected: str, tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\nprintf '{answer}'\nexit {code}\n")
    kubectl.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(ROOT / "profiles/kubernetes/status.sh"), "entrobench-1"]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == expected


def test_every_capital_of_the_template_is_explained() -> None:
    text = (ROOT / "profiles/kubernetes/job.yaml").read_text()
    assert set(re.findall(r"\b[A-Z]{5,}\b", text)) == {"IMAGE", "PROJECT", "CLAIM"}
