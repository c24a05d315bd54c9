"""Trainers of tiny models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


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
