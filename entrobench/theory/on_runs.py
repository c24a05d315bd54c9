"""The law R = −a·e^H + b on every run of a finished study, from its steps.parquet files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from entrobench.errors import InputError

from .reward_law import fit


def fit_runs(study_folder: Path) -> list[dict[str, Any]]:
    """A row per run below results/<study>/runs: its key and its fit; raises InputError where there is no run."""
    import pandas

    files = sorted((study_folder / "runs").glob("*/*/*/seed*/steps.parquet"))
    if not files:
        raise InputError(f"{study_folder}/runs: no finished run; make study STUDY={study_folder.name} trains them")
    rows = []
    for file in files:
        model, dataset, method, seed = file.parts[-5:-1]
        steps = pandas.read_parquet(file, columns=["entropy", "reward"])
        key = {"study": study_folder.name, "model": model, "dataset": dataset, "method": method, "seed": int(seed[4:])}
        try:
            rows.append(key | asdict(fit(steps["entropy"], steps["reward"])))
        except ValueError as error:
            rows.append(key | {"steps": len(steps), "failure": str(error)})
    return rows
