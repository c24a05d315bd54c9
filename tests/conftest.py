"""What all tests share: one thread, no network, fixed random examples, and a small project to work in."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: two contended threads are many times slower than one
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
if not os.path.exists("/dev/nvidiactl"):
    os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton: without a GPU its interpreter runs kernels

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "tests" / "fixtures"

settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("suite")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workflow with a fixture study of 2 methods x 2 seeds, as working directory."""
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copytree(FIXTURES / "project" / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def built_plug_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The third-party package of tests/fixtures/plug_in as pip installs it, without network."""
    folder = tmp_path_factory.mktemp("plug_in")
    source, target = folder / "source", folder / "site"
    shutil.copytree(FIXTURES / "plug_in", source)
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", *install, str(source)], check=True)
    return target


@pytest.fixture
def plug_in(built_plug_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the installed third-party package on sys.path, here and in child processes; its folder."""
    from entrobench.registry import method_infos

    target = tmp_path / "site"
    shutil.copytree(built_plug_in, target)
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target), prepend=os.pathsep)
    method_infos.cache_clear()
    yield target
    method_infos.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "entrobench_example"]:
        del sys.modules[name]
