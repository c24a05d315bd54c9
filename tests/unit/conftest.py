"""Trainers of tiny models, and a finished study beside an empty MLflow database."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, hub_server, point_at


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
    return lambda method: monkeypatch.setattr("entrobench.trainer.load_method", lambda name, where: method)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from entrobench import tracking

    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    tracking.initialise(database)
    return database


@pytest.fixture
def database(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """The result files of `tracked.make_study`."""
    from tracked import make_study, write_study

    place = tmp_path / "results" / "small"
    place.mkdir(parents=True)
    write_study(place, make_study())
    return place


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
