"""The whole study as MLflow runs: one per method with what the report's headline says of it, and the study itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from entrobench.config import canonical_hash
from entrobench.evaluation.benchmarks.task_files import carriers
from entrobench.evaluation.statistics.analysis import comparison
from entrobench.provenance import sha256_file
from entrobench.results import StudyFolder

from .names import metric_name

NOTE = "mlflow.note.content"  # shown as the description in the UI
NOTE_LENGTH = 8000  # MLflow's limit for a tag
INTERVAL = {"difference": "difference", "difference_lower": "lower", "difference_upper": "upper", "p_holm": "p_holm"}

Metric = tuple[str, float, int, int]  # name, value, time (unix milliseconds), step
Scores = dict[tuple[str, str, str, int], dict[tuple[str, str], float]]  # run -> (benchmark, metric) -> value


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
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)  # name -> columns, as the UI shows them

    @property
    def content_hash(self) -> str:
        content = {**vars(self), "artifacts": {str(path): sha256_file(path) for path in self.artifacts}}
        content["metrics"] = [[name, repr(value), *rest] for name, value, *rest in self.metrics]  # JSON has no NaN
        return canonical_hash(content)


def read_statistics(path: Path) -> dict[str, Any]:
    """The content of statistics.json, {} before the study is compared."""
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return content


def summary_runs(study: str, statistics: Mapping[str, Any], scores: Scores, moment: int) -> Iterator[MlflowRun]:
    """A run per method, pooled over models, datasets and seeds, with the numbers of the report's headline.

    Intervals stand here alone: the UI averages what it groups, and the mean of bounds is no bound.
    """
    for method, metrics in _pooled(statistics, scores).items():
        headline = comparison(statistics, "study", method=method) or {}
        yield MlflowRun(
            key=f"summary/{method}",
            name=method,
            kind="summary",
            started=moment,
            ended=moment,
            tags={"study": study, "method": method, "metric": statistics["metric"]}
            | {"verdict": headline.get("verdict", "the baseline")},
            metrics=[(name, float(value), moment, 0) for name, value in metrics.items() if value is not None],
        )


def _pooled(statistics: Mapping[str, Any], scores: Scores) -> dict[str, dict[str, float | None]]:
    """By method: what each headline metric says of it, and of its difference to the baseline."""
    found: dict[str, dict[str, float | None]] = {}
    for row in statistics.get("aggregates", []):
        method, metric, section = row["method"], row["metric"], _section(statistics, row["metric"])
        own = found.setdefault(method, {})
        own |= {f"{section}/score": row["mean"], f"{section}/runs": row["runs"]}
        own[f"{section}/base_score"] = _base_score(scores, metric)
        if judged := comparison(statistics, "study", metric=metric, method=method):
            own |= {f"{section}/{name}": judged[key] for name, key in INTERVAL.items()}
    return found


def _section(statistics: Mapping[str, Any], metric: str) -> str:
    """The primary metric needs no name of its own; a co-primary one has it."""
    return "pooled" if metric == statistics["metric"] else f"pooled/{metric_name(metric)}"


def _base_score(scores: Scores, metric: str) -> float | None:
    """Mean over cells and benchmarks of the untrained models, as the report averages the trained ones."""
    cells = {(model, dataset) for model, dataset, method, _ in scores if method != "base"}
    means = [score_mean(scores.get((model, "none", "base", 0), {}), metric) for model, _ in sorted(cells)]
    known = [value for value in means if value is not None]
    return fmean(known) if known and len(known) == len(means) else None


def score_mean(found: Mapping[tuple[str, str], float], metric: str) -> float | None:
    """The mean of one run's metric over the benchmarks that the headline averages; None where it has none."""
    own = {benchmark: value for (benchmark, name), value in found.items() if name == metric}
    return fmean(own[benchmark] for benchmark in carriers(own)) if own else None


def study_run(
    study: str, description: str, folder: Path, moment: int, statistics: Mapping[str, Any] | None = None
) -> MlflowRun:
    """The study itself: its tables, figures and report as artifacts, its main table as the note."""
    files = StudyFolder(folder)
    table = files.table("md")
    board = _leaderboard(statistics or {})
    return MlflowRun(
        key="study",
        name=f"{study} (tables, figures, report)",
        kind="study",
        started=moment,
        ended=moment,
        tags={"study": study, NOTE: _shorten(table.read_text()) if table.is_file() else description},
        artifacts=dict(files.artifacts()),
        tables={"leaderboard.json": board} if board else {},
    )


def _leaderboard(statistics: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The headline as a table, the highest score first; {} where the report has no number either."""
    if not statistics.get("aggregates"):
        return {}
    pooled = {row["method"]: row for row in statistics["aggregates"] if row["metric"] == statistics["metric"]}
    judged = {method: comparison(statistics, "study", method=method) or {} for method in pooled}
    methods = sorted(pooled, key=lambda method: -float(pooled[method]["mean"]))
    keys = {"difference": "difference", "lower": "lower", "upper": "upper", "Holm p": "p_holm", "verdict": "verdict"}
    return {
        "method": methods,
        statistics["metric"]: [pooled[method]["mean"] for method in methods],
        "runs": [pooled[method]["runs"] for method in methods],
        **{name: [judged[method].get(key) for method in methods] for name, key in keys.items()},
    }


def _shorten(text: str) -> str:
    """The first lines of a text, as many as a note may hold."""
    return text if len(text) <= NOTE_LENGTH else text[:NOTE_LENGTH].rpartition("\n")[0]
