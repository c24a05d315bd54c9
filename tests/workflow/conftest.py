"""A finished study to disturb: the real graph and command line around fake slow steps, run once, then copied."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
BIN = Path(sys.executable).parent


@dataclass
class Project:
    """A project folder with its own copy of the package in site/, so that a test may edit methods."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    real_steps: bool = False  # without the fakes: jobs import torch

    @property
    def study(self) -> Path:
        return self.folder / "config" / "studies" / "quickstart.yaml"

    @property
    def run(self) -> Path:
        return self.folder / "results" / "quickstart" / "runs" / "tiny" / "chain2"

    def variables(self) -> dict[str, str]:
        if self.real_steps:
            return {**os.environ, "PYTHONPATH": str(self.folder / "site"), **self.environment}
        paths = [self.folder / "site", FIXTURES / "fake_steps"]
        fake = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "ENTROBENCH_WARM": ""}  # fake steps need no libraries
        return {**os.environ, **fake, **self.environment}

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = [str(BIN / command[0]), *command[1:]]
        return subprocess.run(words, cwd=self.folder, env=self.variables(), capture_output=True, text=True)

    def snakemake(self, *arguments: str) -> str:
        """Run to a successful end; return all that was printed."""
        done = self.call("snakemake", "--cores", "2", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def planned(self, *arguments: str) -> list[str]:
        """The jobs of a dry run by their messages, without the final one."""
        jobs = re.findall(r"^Job \d+: (.*)$", self.snakemake("--dry-run", *arguments), re.MULTILINE)
        return sorted(set(jobs) - {"all files of the study are there"})

    def edit(self, old: str, new: str) -> None:
        """Change the study file."""
        text = self.study.read_text()
        assert old in text
        self.study.write_text(text.replace(old, new))


def make_project(folder: Path) -> Project:
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(FIXTURES / "project" / "config", folder / "config")
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "entrobench", folder / "site" / "entrobench", ignore=without_caches)
    for name in ("methods", "evaluation"):
        shutil.copytree(ROOT / name, folder / "site" / "entrobench" / name, ignore=without_caches)
    return Project(folder)


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project in which nothing has run."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("finished") / "project")
    (project.folder / "output.txt").write_text(project.snakemake("--verbose"))
    return project


@pytest.fixture
def finished(finished_once: Project, tmp_path: Path) -> Project:
    """A project whose study is finished; output.txt holds what was printed."""
    shutil.copytree(finished_once.folder, tmp_path / "project")
    return Project(tmp_path / "project")
