"""A run that another study has already trained is taken from there, never trained twice."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrobench.study import RESULTS

OUTPUTS = ("steps.parquet", "final", "provenance.json")


def reuse_finished_run(config: Mapping[str, Any], folder: Path) -> Path | None:
    """Link the outputs of an equal finished run of another study into `folder`; return its folder, or None.

    Equal are runs with the same config hash, package version and method source. provenance.json then names the folder
    in `reused_from`.
    """
    key = f"{config['model']['name']}/{config['dataset']['name']}/{config['method']['name']}/seed{config['seed']}"
    twins = sorted(path.parent for path in RESULTS.glob(f"*/runs/{key}/provenance.json"))
    source = next((twin for twin in twins if twin.resolve() != folder.resolve() and _equal(config, twin)), None)
    if source is not None:
        _link(source, folder)
    return source


def _equal(config: Mapping[str, Any], twin: Path) -> bool:
    from importlib.metadata import version

    if not all((twin / name).exists() for name in OUTPUTS):
        return False
    provenance = json.loads((twin / "provenance.json").read_text())
    return bool(
        provenance["config_hash"] == config["hash"]
        and provenance["package_version"] == version("entrobench")
        and provenance["method"]["source_sha256"] == _source_sha256(config["method"]["use"])
    )


def _source_sha256(method: str) -> str:
    import hashlib

    from entrobench.registry import method_infos

    return hashlib.sha256(method_infos()[method].source.read_bytes()).hexdigest()


def _link(source: Path, folder: Path) -> None:
    """Hard links, since finished files are never changed in place; provenance.json last, since it marks the end."""
    shutil.copytree(source / "final", folder / "final", copy_function=os.link, dirs_exist_ok=False)
    os.link(source / "steps.parquet", folder / "steps.parquet")
    provenance = json.loads((source / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**provenance, "reused_from": str(source)}, indent=2) + "\n")
