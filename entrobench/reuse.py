"""A run that another study has already trained is taken from there, never trained twice."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrobench import provenance
from entrobench.registry import method_infos
from entrobench.study import RESULTS


def reuse_finished_run(config: Mapping[str, Any], folder: Path) -> Path | None:
    """Link the outputs of an equal finished run of another study into `folder`; return its folder, or None.

    Equal are runs with the same config hash, package version and method source. provenance.json then names the folder
    in `reused_from`.
    """
    method = provenance.sha256_file(method_infos()[config["method"]["use"]].source)
    source = provenance.find_twin(RESULTS, config["hash"], method, provenance.package_version(), besides=folder)
    if source is not None:
        _link(source, folder)
    return source


def _link(source: Path, folder: Path) -> None:
    """Take over a run's outputs; provenance.json comes last, since it marks the end.

    The weights are hard links: finished files are never changed in place. Single files are copies, because Snakemake
    renews the time of a job's outputs, and through a link it would renew the source's, which then looks changed.
    """
    mark = shutil.ignore_patterns(".snakemake_timestamp")
    shutil.copytree(source / "final", folder / "final", copy_function=os.link, ignore=mark)
    shutil.copy(source / "steps.parquet", folder / "steps.parquet")
    record = json.loads((source / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**record, "reused_from": str(source)}, indent=2) + "\n")
