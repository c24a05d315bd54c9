"""A study of kind theory as MLflow runs: one run per method and number of optimal actions, and the study."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.results import StudyFolder
from entrobench.theory.study import TheoryStudy

from .names import step_metric_name
from .summaries import Metric, MlflowRun, study_run

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = ("reward", "norm", "entropy", "bonus", "coefficient")  # means over units


def theory_runs(study: TheoryStudy, folder: Path) -> list[MlflowRun]:
    """Describe what `entrobench theory` wrote; times come from its provenance, so a re-import changes nothing."""
    import pandas

    made = json.loads(StudyFolder(folder).provenance.read_text())
    started = int(datetime.fromisoformat(made["started"]).timestamp() * 1000)
    ended = started + int(made["seconds"] * 1000)
    curves = pandas.read_parquet(StudyFolder(folder).curves)
    tags = {"study": study.name, "config_hash": study.hash}
    runs = []
    for (optimal, method), own in curves.groupby(["optimal", "method"], sort=False):
        runs.append(
            MlflowRun(
                key=f"runs/{method}/optimal{optimal}#{study.hash}",
                name=f"{method}, {optimal} optimal",
                kind="run",
                started=started,
                ended=ended,
                tags={**tags, "method": str(method), "optimal": str(optimal)},
                params={"method": str(method), "optimal": str(optimal), "units": str(study.units)},
                metrics=list(_metrics(own, ended)),
            )
        )
    return [*runs, study_run(study.name, study.description, folder, ended)]


def _metrics(own: DataFrame, moment: int) -> Iterator[Metric]:
    means = own.groupby("step")[list(SHOWN)].mean()
    for name in SHOWN:
        for step, value in means[name].dropna().items():
            yield step_metric_name(name), float(value), moment, int(str(step))
