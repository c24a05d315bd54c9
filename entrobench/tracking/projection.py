"""The files of a study as MLflow runs: its training runs and base models, and (`summaries`) what it says as a whole.

Timestamps come from the files alone, so the same files always give the same runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.config import stored
from entrobench.errors import first_line
from entrobench.foreign.imported import MARK, imported_keys, read_about
from entrobench.results import RunFolder, StudyFolder
from entrobench.run_config import RunConfig
from entrobench.run_keys import Subject

from .names import metric_name, step_metric_name
from .samples import sample_answers
from .summaries import Metric, MlflowRun, Scores, read_statistics, score_mean, study_run, summary_runs

if TYPE_CHECKING:
    from entrobench.studies.runs import Run, Study

COSTS = ("seconds", "cpu_seconds", "peak_memory_bytes")
FILTERED = {"git_commit": "git_commit", "device": "hardware.device", "cpu": "hardware.cpu"}  # tag -> key of provenance
UNREADABLE = (OSError, ValueError, KeyError, TypeError)  # what garbage in a run's files raises: JSON, Arrow, our keys

Evaluations = dict[tuple[str, str, str, int], list[tuple[str, int, float]]]  # run -> benchmark, step, score


@dataclass(frozen=True)
class Scored:
    """What the study's tables say of its runs."""

    scores: Scores
    evaluations: Evaluations
    statistics: dict[str, Any]

    def final(self, identity: tuple[str, str, str, int]) -> dict[str, float]:
        """The metrics of a run's last step: eval/<benchmark>/<metric> and eval/score_mean."""
        found = self.scores.get(identity, {})
        named = {metric_name(f"eval/{benchmark}/{metric}"): value for (benchmark, metric), value in found.items()}
        mean = score_mean(found, self.statistics.get("metric", ""))
        return named if mean is None else {"eval/score_mean": mean, **named}


def mlflow_runs(study: Study, folder: Path) -> list[MlflowRun]:
    """Everything finished in a study's folder; a run that is still training is left out.

    A run whose files cannot be read is left out as well, with a line that says so: the others are shown.
    """
    files = StudyFolder(folder)
    scored = Scored(_read_scores(files.scores), _read_evaluations(files.evaluations), read_statistics(files.statistics))
    runs = [shown for run in study.runs if (shown := _readable_run(study, run, files.run(run.key), scored))]
    runs += [_imported_run(study.name, files.run(str(key)), scored) for key in imported_keys(files)]
    moment = max((run.ended for run in runs), default=0)
    return [
        *runs,
        *_base_model_runs(study, files, scored, moment),
        *summary_runs(study.name, scored.statistics, scored.scores, moment),
        study_run(study.name, study.description, folder, moment, scored.statistics),
    ]


def _readable_run(study: Study, run: Run, files: RunFolder, scored: Scored) -> MlflowRun | None:
    if not (files.steps.is_file() and files.provenance.is_file()):
        return None
    try:
        return _training_run(study, run, files, scored)
    except UNREADABLE as error:
        print(f"warning: {files.folder}: not shown in MLflow: {first_line(error)}", file=sys.stderr)
        return None


def _read_scores(path: Path) -> Scores:
    import pyarrow.parquet

    scores: Scores = {}
    for row in pyarrow.parquet.read_table(path).to_pylist() if path.is_file() else []:
        run = (row["model"], row["dataset"], row["method"], int(row["seed"]))
        scores.setdefault(run, {})[row["benchmark"], row["metric"]] = float(row["value"])
    return scores


def _read_evaluations(path: Path) -> Evaluations:
    import pyarrow.parquet

    found: Evaluations = {}
    for row in pyarrow.parquet.read_table(path).to_pylist() if path.is_file() else []:
        run = (row["model"], row["dataset"], row["method"], int(row["seed"]))
        found.setdefault(run, []).append((row["benchmark"], int(row["step"]), float(row["score"])))
    return found


def _training_run(study: Study, run: Run, files: RunFolder, scored: Scored) -> MlflowRun:
    provenance = json.loads(files.provenance.read_text())
    steps = step_metrics(_read_steps(files.steps))
    ended, last = max((time, step) for _, _, time, step in steps)
    moments = {step: time for _, _, time, step in steps}
    identity = (run.model, run.dataset, run.method, run.seed)
    along = [
        (metric_name(f"eval/{benchmark}/score_by_step"), score, moments[step], step)
        for benchmark, step, score in scored.evaluations.get(identity, [])
    ]
    final = scored.final(identity) | {f"cost/{name}": float(provenance[name]) for name in COSTS}
    samples = sample_answers(files)
    return MlflowRun(
        key=run_identity(run.key, run.config),
        name=run_name(run.config),
        kind="run",
        started=int(datetime.fromisoformat(provenance["started"]).timestamp() * 1000),
        ended=ended,
        tags={**run_tags(study.name, run.config), **_filters(provenance)},
        params=run_params(run.config),
        metrics=[*steps, *along, *((name, value, ended, last) for name, value in final.items())],
        artifacts={file: "" for file in (files.config, files.provenance) if file.is_file()},
        tables={"sample_answers.json": samples} if samples else {},
    )


def _imported_run(study: str, files: RunFolder, scored: Scored) -> MlflowRun:
    """A run of another trainer: what its log holds, marked, and with what is not known of it."""
    key, about = files.key, read_about(files)
    steps = step_metrics(_read_steps(files.steps))
    last, ended = max(step for *_, step in steps), max(time for _, _, time, _ in steps)
    final = scored.final((key.model, key.dataset, key.method, key.seed))
    names = {"model": key.model, "dataset": key.dataset, "method": key.method, "seed": str(key.seed)}
    return MlflowRun(
        key=f"{Subject(str(key))}#{about['sha256']}",
        name=f"{key.method} · {MARK} · {key.model} · {key.dataset} · seed {key.seed}",
        kind="run",
        started=min(time for _, _, time, _ in steps),
        ended=ended,
        tags={"study": study, **names, MARK: about["format"], "half_written": about["half_written"] or "no"},
        metrics=[*steps, *((name, value, ended, last) for name, value in final.items())],
        artifacts={files.imported: ""},
    )


def run_name(config: RunConfig) -> str:
    """The method first, for the UI cuts long names."""
    return f"{config.method.name} · {config.model.name} · {config.dataset.name} · seed {config.seed}"


def run_tags(study: str, config: RunConfig) -> dict[str, str]:
    """The tags by which the UI groups training runs."""
    names = {"model": config.model.name, "dataset": config.dataset.name, "method": config.method.name}
    return {"study": study, **names, "seed": str(config.seed), "config_hash": config.hash}


def _filters(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What of the provenance one filters runs by; all of it is the artifact provenance.json."""
    flat = flatten(provenance)
    return {tag: flat[key] for tag, key in FILTERED.items() if flat.get(key) not in (None, "null")}


def run_params(config: RunConfig) -> dict[str, str]:
    """A run's settings by dotted keys."""
    return flatten(stored(config))


def run_identity(key: str, config: RunConfig) -> str:
    """The key of a training run in MLflow: its place in the study and the hash of its config."""
    return f"{Subject(key)}#{config.hash}"


def step_metrics(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """Every column of a training step except step and time, as metrics; empty cells are left out."""
    return [
        (step_metric_name(name), float(value), int(row["time"] * 1000), int(row["step"]))
        for row in rows
        for name, value in row.items()
        if name not in ("step", "time") and value is not None
    ]


def _read_steps(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def _base_model_runs(study: Study, files: StudyFolder, scored: Scored, moment: int) -> Iterator[MlflowRun]:
    for model, recipe in study.base_models.items():
        samples = sample_answers(files.answers(str(Subject(model=model))))
        yield MlflowRun(
            key=f"{Subject(model=model)}#{recipe.recipe_hash}",
            name=f"base · {model}",
            kind="base",
            started=moment,
            ended=moment,
            tags={"study": study.name, "model": model, "dataset": "none", "method": "base"},
            params={"model.name": model, "model.recipe_hash": recipe.recipe_hash},
            metrics=[(name, value, moment, 0) for name, value in scored.final((model, "none", "base", 0)).items()],
            tables={"sample_answers.json": samples} if samples else {},
        )


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Turn nested mappings into dotted keys: {"method": {"use": "aent"}} -> {"method.use": "aent"}."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
