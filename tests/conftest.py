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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, hub_server, point_at
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
    from entrobench.catalogue.registry import method_infos
    from entrobench.evaluation.grading.own_rewards import announced

    target = tmp_path / "site"
    shutil.copytree(built_plug_in, target)
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target), prepend=os.pathsep)
    found = (method_infos, announced)
    for cached in found:
        cached.cache_clear()
    yield target
    for cached in found:
        cached.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "entrobench_example"]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model with tied weights, and data."""
    from tiny import save_data, save_tiny

    root = tmp_path_factory.mktemp("tiny")
    return save_tiny(root / "model", "qwen2", tie_word_embeddings=True), save_data(root / "data")


@pytest.fixture
def make_trainer(tiny_folders: tuple[Path, Path], tmp_path: Path) -> Callable[..., Any]:
    """Make a trainer: make_trainer(method, folder's name, hardware={...}, settings of `tiny.run_config`)."""
    from tiny import run_config, tiny_trainer

    def made(method: str = "grpo", where: str = "run", hardware: dict[str, Any] | None = None, **settings: Any) -> Any:
        return tiny_trainer(*tiny_folders, tmp_path / where, run_config(method, **settings), **(hardware or {}))

    return made


@pytest.fixture
def use_method(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let the trainer load this method, whatever the config names."""
    return lambda method: monkeypatch.setattr("entrobench.training.assembly.load_method", lambda name, where: method)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from entrobench.tracking import experiments

    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    experiments.initialise(database)
    return database


@pytest.fixture
def database(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir(exist_ok=True)
    return Path(shutil.copy(empty_database, tmp_path / "results" / "mlflow.db"))


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """The result files of `tracked.make_study`."""
    from tracked import make_study, write_study

    place = tmp_path / "results" / "small"
    place.mkdir(parents=True, exist_ok=True)
    write_study(place, make_study())
    return place


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds and have tests of their own; in the page a drawing is its words."""
    from markupsafe import escape

    from entrobench.evaluation.figures import study_figures
    from entrobench.evaluation.report.page import drawings

    monkeypatch.setattr(study_figures, "write_figures", lambda *arguments: [])
    monkeypatch.setattr(
        drawings, "inline", lambda panel, methods, key: f"<svg><title>{escape(panel.alt)}</title></svg>"
    )


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with two small files that this process talks to, from an empty folder."""
    with hub_server() as server:
        server.files = {"a.json": b'{"a": 1}', "weights/w.safetensors": bytes(range(250)) * 200}
        point_at(server.endpoint, monkeypatch)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
        for name in ("ENTROBENCH_MODELS", "ENTROBENCH_DATA"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(tmp_path)
        yield server


def pytest_report_header() -> str:
    """Which of the CPU's instructions torch's kernels use here, on which rounding depends."""
    import torch

    return f"torch {torch.__version__}, CPU capability {torch.backends.cpu.get_cpu_capability()}"
