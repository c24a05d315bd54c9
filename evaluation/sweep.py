"""A sweep: one setting of a method varied over a grid, each run with its validation score and final entropy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError

if TYPE_CHECKING:
    from entrobench.study import Study

LAST = 10  # ours: the final entropy is the mean of the last ten steps


def write_sweep(study: Study, output: Path) -> None:
    """Write one row per run to a CSV: model, dataset, method, key, value, seed, metric, score, entropy (nats/token).

    The score of a run is the study's primary metric on the benchmark made of its own dataset's validation split.
    Raises InputError where the study varies no setting, or was not compared yet.
    """
    import pandas

    file = study.folder / "scores.parquet"
    if not file.is_file():
        raise InputError(f"{file}: missing; run the study first: make study STUDY={study.name}")
    scores = pandas.read_parquet(file)
    scores = scores[scores["metric"] == study.primary].set_index(["model", "dataset", "method", "seed", "benchmark"])
    use, key = _swept(study)
    rows = []
    for run in study.runs:
        benchmark = f"{run.dataset}-validation"
        score = scores.loc[(run.model, run.dataset, run.method, run.seed, benchmark), "value"]
        steps = pandas.read_parquet(run.folder / "steps.parquet", columns=["entropy"])
        value = run.config["method"]["values"].get(key, 0.0)
        identity = {"model": run.model, "dataset": run.dataset, "method": use, "key": key, "value": value}
        result = {"metric": study.primary, "score": score, "entropy": steps["entropy"].tail(LAST).mean()}
        rows.append({**identity, "seed": run.seed, **result})
    output.parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame(rows).sort_values(["model", "dataset", "value", "seed"]).round(6).to_csv(output, index=False)
    print(f"{output}: {len(rows)} runs over {key} of {use}")


def _swept(study: Study) -> tuple[str, str]:
    """The one method and setting that differ between the study's runs."""
    by_method: dict[str, set[str]] = {}
    for run in study.runs:
        by_method.setdefault(run.config["method"]["use"], set()).add(json.dumps(run.config["method"]["values"]))
    swept = {use: [json.loads(text) for text in values] for use, values in by_method.items() if len(values) > 1}
    if len(swept) == 1:
        ((use, values),) = swept.items()
        keys = [key for key in values[0] if len({json.dumps(value[key]) for value in values}) > 1]
        if len(keys) == 1:
            return use, keys[0]
    raise InputError(f"{study.path}: a sweep varies one setting of one method; this study varies {sorted(swept)}")
