"""What a study will run and take, and what of it is done, read from the study file and the results folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.config import TrainerConfig

if TYPE_CHECKING:
    from entrobench.study import Run, Study

STAGES = ("waiting", "started", "trained", "answered", "graded")


@dataclass(frozen=True)
class Plan:
    """Sizes of a study; tokens and bytes are upper bounds, None where the data or base models are not made yet."""

    runs: dict[str, int]  # by stage
    jobs: dict[str, int]  # by rule, done or not
    training_tokens: int
    evaluation_tokens: int | None
    disk_bytes: int | None


def plan_study(study: Study) -> Plan:
    """Read the study's state from the results folder; starts nothing, imports nothing heavy."""
    stages = [stage(run, study.benchmarks) for run in study.runs]
    return Plan(
        runs={name: stages.count(name) for name in STAGES},
        jobs=_jobs(study),
        training_tokens=sum(_training_tokens(run) for run in study.runs),
        evaluation_tokens=_evaluation_tokens(study),
        disk_bytes=_disk_bytes(study),
    )


def stage(run: Run, benchmarks: Collection[str]) -> str:
    """How far a run has come: one of STAGES."""
    if all((run.folder / "grades" / f"{name}.parquet").exists() for name in benchmarks):
        return "graded"
    if all((run.folder / "generations" / f"{name}.jsonl.zst").exists() for name in benchmarks):
        return "answered"
    if (run.folder / "provenance.json").exists():
        return "trained"
    return "started" if (run.folder / "checkpoints").is_dir() else "waiting"


def _jobs(study: Study) -> dict[str, int]:
    evaluated = len(study.runs) + len(study.base_models)
    per_run = {"lock": len(study.runs), "train": len(study.runs), "generate": evaluated, "grade": evaluated}
    prepared = {"prepare_data": len(study.datasets) + len(study.reduced_data), "base_model": len(study.base_models)}
    return {**prepared, **per_run, "study-wide": 5}


def _training_tokens(run: Run) -> int:
    trainer = TrainerConfig(**run.config["trainer"])
    batches = trainer.steps * (trainer.max_sampling_batches if trainer.dynamic_sampling else 1)
    return batches * trainer.prompts * trainer.group_size * trainer.max_response_tokens


def _evaluation_tokens(study: Study) -> int | None:
    """Problems x samples x longest answer, for every run and base model; None until the data are prepared."""
    from entrobench.recipes import benchmark_split

    tokens = 0
    for name, settings in study.sampling.items():
        dataset, split = benchmark_split(name)
        manifest = study.folder.parent / "data" / dataset / "manifest.json"
        if not manifest.exists():
            return None
        rows = json.loads(manifest.read_text())["splits"][split]["rows"]
        tokens += min(rows, settings.problems or rows) * settings.samples * settings.max_tokens
    return (len(study.runs) + len(study.base_models)) * tokens


def _disk_bytes(study: Study) -> int | None:
    """Final weights plus two checkpoints of weights and two optimizer moments, per run; None until the models exist."""
    copies = 1 + 2 * 3
    sizes = {}
    for model in study.base_models:
        weights = list((study.folder.parent / "models" / model).glob("*.safetensors"))
        if not weights:
            return None
        sizes[model] = sum(path.stat().st_size for path in weights)
    return sum(copies * sizes[run.model] for run in study.runs)


def describe(study: Study, plan: Plan, as_json: bool) -> str:
    """The plan as a few lines, or as JSON."""
    if as_json:
        return json.dumps({"study": study.name, **asdict(plan)}, indent=2)
    states = ", ".join(f"{count} {name}" for name, count in plan.runs.items() if count)
    jobs = ", ".join(f"{count} {name}" for name, count in plan.jobs.items())
    rows = [
        ("study", f"{study.name} ({study.path}): {study.description}"),
        ("runs", f"{len(study.runs)}: {states}"),
        ("jobs", f"{sum(plan.jobs.values())}: {jobs}"),
        ("training tokens", f"at most {plan.training_tokens:,}"),
        ("evaluation tokens", _known(plan.evaluation_tokens, "at most {:,}", "the data are prepared")),
        ("weights on disk", _known(plan.disk_bytes, "at most {:,} bytes", "the base models are made")),
        ("report", str(study.folder / "report.html")),
        ("start it", f"make study STUDY={study.path if study.path.parent != Path('config/studies') else study.name}"),
    ]
    return "\n".join(f"{name + ':':<19}{value}" for name, value in rows)


def _known(value: int | None, text: str, until: str) -> str:
    return f"not known until {until}" if value is None else text.format(value)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text columns, each as wide as its widest cell."""
    cells = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
