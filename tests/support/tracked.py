"""A small study's result files as training leaves them, and what MLflow's database should then hold."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pandas
import pyarrow
from pyarrow import parquet

from entrobench.config import EvaluationConfig, Hardware, TrainerConfig
from entrobench.evaluation.benchmarks.evaluation import Evaluation
from entrobench.run_config import RunConfig, RunDataset, RunModel, Variant
from entrobench.studies.named_inputs import Recipe
from entrobench.studies.runs import Run, Study

COLUMNS = ("reward", "entropy", "kl", "method/coefficient", "outcome/correct", *(f"extra/{n}" for n in range(5)))


SHOWN = {  # column -> its name in MLflow
    **{name: f"train/{name}" for name in ("reward", "entropy", "kl")},
    **{"method/coefficient": "method/coefficient", "outcome/correct": "train/outcome/correct"},
    **{f"extra/{n}": f"method/extra/{n}" for n in range(5)},
}
_STUDY = {"scope": "study", "metric": "avg@8", "method": "aent", "verdict": "too few seeds", "p_holm": 0.3}
_STUDY |= {"difference": 0.02, "lower": -0.01, "upper": 0.05}
STATISTICS = {
    "metric": "avg@8",
    "comparisons": [_STUDY, _STUDY | {"scope": "cell", "lower": -0.11, "upper": 0.15}],
    "aggregates": [{"metric": "avg@8", "method": method, "mean": 0.625, "runs": 2} for method in ("grpo", "aent")],
}


def steps_of(method: str, seed: int) -> int:
    """One long run, of more metrics than MLflow takes in a call, and short ones."""
    return 120 if (method, seed) == ("grpo", 0) else 8


def make_run(method: str, seed: int) -> Run:
    config = RunConfig(
        RunModel("tiny", "m"),
        RunDataset("chain2", "d", "{problem}"),
        Variant(method, method, {"coefficient": 0.01, "floor": None}),
        seed,
        TrainerConfig(steps=steps_of(method, seed)),
    )
    return Run("tiny-chain2", "tiny", "chain2", method, seed, config, Hardware(), Path())


def make_study(name: str = "small") -> Study:
    runs = [make_run(method, seed) for method in ("grpo", "aent") for seed in (0, 1)]
    models = {"tiny": Recipe("tiny", {"kind": "trained"}, "m")}
    path = Path(f"config/studies/{name}.yaml")
    evaluated = {"tiny": Evaluation(EvaluationConfig(), {"chain2": {}})}
    return Study(name, path, "A small study.", runs, models, {}, evaluated, ["entrobench"], "avg@8")


def write_run(folder: Path, run: Run, shift: float = 0.0) -> None:
    place = folder / "runs" / run.key
    place.mkdir(parents=True, exist_ok=True)
    count = steps_of(run.method, run.seed)
    steps = {"step": range(1, count + 1), "time": [1.7e9 + run.seed * 1000 + step for step in range(count)]}
    for column, name in enumerate(COLUMNS):
        steps[name] = [shift + run.seed + column + step / 7 for step in range(count)]
    steps["kl"] = [math.nan, *steps["kl"][1:]]
    steps["method/coefficient"] = [None, *steps["method/coefficient"][1:]]
    parquet.write_table(pyarrow.table({name: list(values) for name, values in steps.items()}), place / "steps.parquet")
    provenance = {
        "started": "2023-11-14T22:13:20+00:00",
        "seconds": 9.5,
        "cpu_seconds": 9.0,
        "peak_memory_bytes": 2**30,
    }
    provenance |= {"git_commit": None, "hardware": {"cpu": "some", "cores": 2}, "config_hash": run.config.hash}
    (place / "provenance.json").write_text(json.dumps(provenance))
    (place / "config.json").write_text(json.dumps(run.config.content))


def write_study(folder: Path, study: Study) -> None:
    for run in study.runs:
        write_run(folder, run)
    cells = [("tiny", "chain2", run.method, run.seed, 0.5 + run.seed / 4) for run in study.runs]
    rows = [(*cell[:4], "chain2", "avg@8", cell[4]) for cell in [*cells, ("tiny", "none", "base", 0, 0.25)]]
    names = ["model", "dataset", "method", "seed", "benchmark", "metric", "value"]
    pandas.DataFrame(rows, columns=names).to_parquet(folder / "scores.parquet", index=False)
    (folder / "statistics.json").write_text(json.dumps(STATISTICS))
    (folder / "table.md").write_text("| method | avg@8 |\n")
    (folder / "report.html").write_text("<h1>report</h1>")
    (folder / "figures").mkdir()
    (folder / "figures/entropy.svg").write_text("<svg/>")


def shown_name(run: Run) -> str:
    """The name of a run in MLflow."""
    return f"{run.method} · {run.model} · {run.dataset} · seed {run.seed}"


def query(database: Path, sql: str, *values: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def content(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that an import may change, run ids included."""
    return {
        table: sorted(query(database, f"select * from {table}"), key=repr)
        for table in ("experiments", "runs", "metrics", "latest_metrics", "params", "tags")
    }


def histories(database: Path, kind: str = "run") -> dict[tuple[str, str], list[tuple[int, float, int]]]:
    """(run name, metric) -> [(step, value, time)], NaN as MLflow marks it."""
    rows = query(
        database,
        "select r.name, m.key, m.step, case when m.is_nan then 'nan' else m.value end, m.timestamp from metrics m "
        f"join runs r using (run_uuid) join tags t using (run_uuid) where t.key = 'kind' and t.value = '{kind}'",
    )
    found: dict[tuple[str, str], list[tuple[int, float, int]]] = {}
    for name, key, *point in rows:
        found.setdefault((name, key), []).append(tuple(point))
    return {key: sorted(points) for key, points in found.items()}


def expected_histories(folder: Path, study: Study) -> dict[tuple[str, str], list[tuple[int, Any, int]]]:
    found: dict[tuple[str, str], list[tuple[int, Any, int]]] = {}
    for run in study.runs:
        rows = parquet.read_table(folder / "runs" / run.key / "steps.parquet").to_pylist()
        for row in rows:
            for name in COLUMNS:
                if row[name] is not None:
                    value = "nan" if math.isnan(row[name]) else row[name]
                    point = (row["step"], value, int(row["time"] * 1000))
                    found.setdefault((shown_name(run), SHOWN[name]), []).append(point)
        last = (len(rows), int(rows[-1]["time"] * 1000))
        score = 0.5 + run.seed / 4
        final = {"eval/chain2/avg_at_8": score, "eval/score_mean": score, "cost/seconds": 9.5, "cost/cpu_seconds": 9.0}
        for name, value in (final | {"cost/peak_memory_bytes": 2.0**30}).items():
            found[shown_name(run), name] = [(last[0], value, last[1])]
    return found
