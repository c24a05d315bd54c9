"""A sweep is an ordinary study whose variants of one method differ in one value; this makes its table.

sweep.csv lies in results/reference/<study> and documents the value that the study uses. Its columns are method, key,
value, seed, metric, score, entropy: one row per value and seed, means over the sweep's model x dataset cells.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError
from entrobench.evaluation.statistics.scores import RUN
from entrobench.results import ReferenceFolder, StudyFolder
from entrobench.studies.headline import BASELINE

from .wide_table import run_costs

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.studies.runs import Study

COLUMNS = ["method", "key", "value", "seed", "metric", "score", "entropy"]


def write_sweep(study: Study, folder: Path, reference_folder: Path) -> Path:
    """Write `reference_folder`/sweep.csv from a compared sweep study in `folder`; returns the file."""
    reference_folder.mkdir(parents=True, exist_ok=True)
    file = ReferenceFolder(reference_folder).sweep
    sweep_table(study, folder).to_csv(file, index=False, float_format="%.6g")
    return file


def sweep_table(study: Study, folder: Path) -> DataFrame:
    """Read scores.parquet and curves.parquet of a sweep study; columns as above.

    grpo stands for the neutral value of a method that declares one. Raises InputError unless each method's variants
    differ in one number.
    """
    import pandas

    scores = pandas.read_parquet(StudyFolder(folder).scores)
    chosen = scores[scores["metric"] == study.primary].groupby(RUN)["value"].mean().rename("score").reset_index()
    entropy = run_costs(pandas.read_parquet(StudyFolder(folder).curves))[[*RUN, "final_entropy"]]
    points = pandas.DataFrame(_points(study), columns=["name", "method", "key", "value"])
    runs = chosen.merge(entropy, on=RUN).rename(columns={"method": "name", "final_entropy": "entropy"})
    table = points.merge(runs, on="name").assign(metric=study.primary)
    means = table.groupby(["method", "key", "value", "seed", "metric"])[["score", "entropy"]].mean()
    return means.reset_index()[COLUMNS]


def _points(study: Study) -> list[tuple[str, str, str, float]]:
    """(variant, method, key, value) of every swept value."""
    variants = {run.method: run.config.method for run in study.runs}
    points = []
    for use in dict.fromkeys(variant.use for variant in variants.values()):
        own = {name: variant.values for name, variant in variants.items() if variant.use == use}
        keys = [key for key in next(iter(own.values())) if len({str(values[key]) for values in own.values()}) > 1]
        if len(keys) > 1:
            raise InputError(
                f"{study.path}: the variants of {use} differ in {', '.join(keys)}; a sweep varies one value"
            )
        points += [(name, use, key, float(values[key])) for key in keys for name, values in own.items()]
        if keys and BASELINE in variants:
            points += [(BASELINE, use, keys[0], value) for value in _neutral_value(use, keys[0])]
    if not points:
        raise InputError(f"{study.path}: no two variants of a method differ in a value, so this study is no sweep")
    return points


def _neutral_value(use: str, key: str) -> list[float]:
    """The value of a key that alone turns the method into grpo, if there is one."""
    from entrobench.catalogue.registry import load_method

    neutral = load_method(use, "sweep").neutral
    return [float(neutral[key])] if not isinstance(neutral, str) and list(neutral) == [key] else []
