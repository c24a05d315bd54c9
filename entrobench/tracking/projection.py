"""The files of a study as MLflow runs: its training runs, base models, summaries over seeds, and the study itself.

Timestamps come from the files alone, so the same files always give the same runs.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from entrobench.config import canonical_hash, stored
from entrobench.provenance import sha256_file
from entrobench.results import RunFolder, StudyFolder, Subject
from entrobench.run_config import RunConfig

if TYPE_CHECKING:
    from entrobench.studies.runs import Run, Study

NOTE = "mlflow.note.content"  # shown as the description in the UI
NOTE_LENGTH = 8000  # MLflow's limit for a tag
COSTS = ("seconds", "cpu_seconds", "peak_memory_bytes")

Metric = tuple[str, float, int, int]  # name, value, time (unix milliseconds), step
Scores = dict[
    tuple[str, str, str, int], dict[str, float]
]  # (model, dataset, method, seed) -> {benchmark/metric: value}

Evaluations = dict[tuple[str, str, str, int], list[tuple[str, int, float]]]  # run -> eval/<benchmark>, step, score


@dataclass(frozen=True)
class MlflowRun:
    """One MLflow run: `key` identifies it, `content_hash` its content. Times in unix milliseconds."""

    key: str
    name: str
    kind: str  # run, base, summary or study
    started: int
    ended: int
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    artifacts: dict[Path, str] = field(default_factory=dict)  # file -> folder among the artifacts, "" for the top

    @property
    def content_hash(self) -> str:
        content = {**vars(self), "artifacts": {str(path): sha256_file(path) for path in self.artifacts}}
        content["metrics"] = [[name, repr(value), *rest] for name, value, *rest in self.metrics]  # JSON has no NaN
        return canonical_hash(content)


def mlflow_runs(study: Study, folder: Path) -> list[MlflowRun]:
    """Everything finished in a study's folder; a run that is still training is left out."""
    files = StudyFolder(folder)
    scores = _read_scores(files.scores)
    evaluations = _read_evaluations(files.evaluations)
    finished = [(run, files.run(run.key)) for run in study.runs if _finished(files.run(run.key))]
    runs = [_training_run(study, run, place, scores, evaluations) for run, place in finished]
    moment = max((run.ended for run in runs), default=0)
    return [
        *runs,
        *_base_model_runs(study, scores, moment),
        *_summary_runs(study, files, scores, moment),
        study_run(study.name, study.description, folder, moment),
    ]


def metric_name(name: str) -> str:
    """Write a metric's name in MLflow's alphabet: `chain2/avg@8` -> `chain2/avg_at_8`."""
    return name.replace("@", "_at_").replace("(", "").replace(")", "")


def _finished(run: RunFolder) -> bool:
    return run.steps.is_file() and run.provenance.is_file()


def _read_scores(path: Path) -> Scores:
    import pyarrow.parquet

    scores: Scores = {}
    for row in pyarrow.parquet.read_table(path).to_pylist() if path.is_file() else []:
        run = (row["model"], row["dataset"], row["method"], int(row["seed"]))
        scores.setdefault(run, {})[metric_name(f"{row['benchmark']}/{row['metric']}")] = float(row["value"])
    return scores


def _read_evaluations(path: Path) -> Evaluations:
    import pyarrow.parquet

    found: Evaluations = {}
    for row in pyarrow.parquet.read_table(path).to_pylist() if path.is_file() else []:
        run = (row["model"], row["dataset"], row["method"], int(row["seed"]))
        metric = (metric_name(f"eval/{row['benchmark']}"), int(row["step"]), float(row["score"]))
        found.setdefault(run, []).append(metric)
    return found


def _training_run(study: Study, run: Run, files: RunFolder, scores: Scores, evaluations: Evaluations) -> MlflowRun:
    provenance = json.loads(files.provenance.read_text())
    steps = step_metrics(_read_steps(files.steps))
    ended, last = max((time, step) for _, _, time, step in steps)
    moments = {step: time for _, _, time, step in steps}
    identity = (run.model, run.dataset, run.method, run.seed)
    evaluated = [(name, score, moments[step], step) for name, step, score in evaluations.get(identity, [])]
    final = scores.get(identity, {})
    costs = {f"cost/{name}": float(provenance[name]) for name in COSTS}
    return MlflowRun(
        key=run_identity(run.key, run.config),
        name=run.key,
        kind="run",
        started=int(datetime.fromisoformat(provenance["started"]).timestamp() * 1000),
        ended=ended,
        tags={
            **run_tags(study.name, run.config),
            **flatten(provenance, "provenance."),
        },
        params=run_params(run.config),
        metrics=[*steps, *evaluated, *((name, value, ended, last) for name, value in (final | costs).items())],
    )


def run_tags(study: str, config: RunConfig) -> dict[str, str]:
    """The tags by which the UI groups training runs."""
    names = {"model": config.model.name, "dataset": config.dataset.name, "method": config.method.name}
    return {"study": study, **names, "seed": str(config.seed), "config_hash": config.hash}


def run_params(config: RunConfig) -> dict[str, str]:
    """A run's settings by dotted keys."""
    return flatten(stored(config))


def _tags(study: Study, model: str, dataset: str, method: str) -> dict[str, str]:
    return {"study": study.name, "model": model, "dataset": dataset, "method": method}


def run_identity(key: str, config: RunConfig) -> str:
    """The key of a training run in MLflow: its place in the study and the hash of its config."""
    return f"{Subject(key)}#{config.hash}"


def step_metrics(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """Every column of a training step except step and time, as metrics; empty cells are left out."""
    return [
        (metric_name(name), float(value), int(row["time"] * 1000), int(row["step"]))
        for row in rows
        for name, value in row.items()
        if name not in ("step", "time") and value is not None
    ]


def _read_steps(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def _base_model_runs(study: Study, scores: Scores, moment: int) -> Iterator[MlflowRun]:
    for model, recipe in study.base_models.items():
        final = scores.get((model, "none", "base", 0), {})
        yield MlflowRun(
            key=f"{Subject(model=model)}#{recipe.recipe_hash}",
            name=f"{model}/base",
            kind="base",
            started=moment,
            ended=moment,
            tags=_tags(study, model, "none", "base"),
            params={"model.name": model, "model.recipe_hash": recipe.recipe_hash},
            metrics=[(name, value, moment, 0) for name, value in final.items()],
        )


def _summary_runs(study: Study, files: StudyFolder, scores: Scores, moment: int) -> Iterator[MlflowRun]:
    """Means over seeds, and the difference to the baseline with its interval where statistics.json has one."""
    seeds = Counter((model, dataset, method) for model, dataset, method, _ in scores if method != "base")
    differences = _differences(files.statistics)
    for (model, dataset, method), count in seeds.items():
        values = defaultdict(list)
        for (*cell, _), run_scores in scores.items():
            if cell == [model, dataset, method]:
                for name, value in run_scores.items():
                    values[name].append(value)
        means = {name: fmean(over_seeds) for name, over_seeds in values.items()}
        summary = {**means, "seeds": float(count), **differences.get((model, dataset, method), {})}
        yield MlflowRun(
            key=f"summary/{model}/{dataset}/{method}",
            name=f"{model}/{dataset}/{method} (mean of {count})",
            kind="summary",
            started=moment,
            ended=moment,
            tags=_tags(study, model, dataset, method),
            metrics=[(name, value, moment, 0) for name, value in summary.items()],
        )


def _differences(path: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    """{(model, dataset, method): {"<benchmark>/difference": ..., ..._lower, ..._upper}}; `all` averages benchmarks."""
    found: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    rows = json.loads(path.read_text())["comparisons"] if path.is_file() else []
    for row in rows:
        if row["scope"] in ("cell", "cell-benchmark"):
            name = f"{row['benchmark'] or 'all'}/difference"
            values = {name: row["difference"], f"{name}_lower": row["lower"], f"{name}_upper": row["upper"]}
            given = {key: float(value) for key, value in values.items() if value is not None}
            found[row["model"], row["dataset"], row["method"]] |= given
    return found


def study_run(study: str, description: str, folder: Path, moment: int) -> MlflowRun:
    """The study itself: its tables, figures and report as artifacts, its main table as the note."""
    files = StudyFolder(folder)
    table = files.table("md")
    return MlflowRun(
        key="study",
        name=f"{study} (tables, figures, report)",
        kind="study",
        started=moment,
        ended=moment,
        tags={"study": study, NOTE: _shorten(table.read_text()) if table.is_file() else description},
        artifacts=dict(files.artifacts()),
    )


def _shorten(text: str) -> str:
    """The first lines of a text, as many as a note may hold."""
    return text if len(text) <= NOTE_LENGTH else text[:NOTE_LENGTH].rpartition("\n")[0]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Turn nested mappings into dotted keys: {"method": {"use": "aent"}} -> {"method.use": "aent"}."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
