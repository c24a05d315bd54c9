"""Synthetic results in the layout of a study: real files, made in milliseconds, for the tests of the comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pandas
import zstandard

from entrobench.config import EvaluationConfig, Hardware, TrainerConfig
from entrobench.evaluation.benchmarks.evaluation import Evaluation
from entrobench.evaluation.statistics.admission import FILE, Audit
from entrobench.results import AnswersFolder, StudyFolder
from entrobench.run_config import MATHEMATICS, RunConfig, RunDataset, RunModel, Variant
from entrobench.run_keys import RunKey, step_name
from entrobench.studies.headline import Headline
from entrobench.training.snapshots import snapshot_steps


def write_grades(file: Path, rng: numpy.random.Generator, skill: float, problems: int, draws: int) -> None:
    """Grades of one benchmark: every problem has its own difficulty, shared by all runs that use equal ids."""
    rows: list[dict[str, Any]] = []
    for problem in range(problems):
        ease = numpy.sin(1.0 + problem) * 0.15
        for draw in range(draws):
            correct = bool(rng.random() < numpy.clip(skill + ease, 0.01, 0.99))
            outcome = "correct" if correct else rng.choice(["wrong", "wrong", "wrong", "unparsable", "timeout"])
            prediction = str(problem) if correct else str(problem + int(rng.integers(1, 4)))
            rows.append(
                {
                    "problem_id": f"{file.stem[:3]}{problem:04d}",
                    "draw": draw,
                    "correct": correct,
                    "outcome": str(outcome),
                    "reason": "integer",
                    "extracted_prediction": None if outcome == "unparsable" else prediction,
                    "extracted_gold": str(problem),
                    "seconds": 0.001,
                    "tokens": int(rng.integers(12, 24)),
                    "truncated": bool(rng.random() < 0.05),
                }
            )
    file.parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame(rows).to_parquet(file)


def write_generations(grades: Path) -> None:
    """The answers behind a file of grades."""
    rows = []
    for row in pandas.read_parquet(grades).to_dict("records"):
        found = row["extracted_prediction"]
        rows.append(
            {
                "problem_id": row["problem_id"],
                "draw": row["draw"],
                "problem": f"<b>What</b> is {row['extracted_gold']} + 0?",
                "gold": row["extracted_gold"],
                "response": "I do not know." if found is None else f"The answer is \\boxed{{{found}}}.",
                "tokens": row["tokens"],
                "finish": "length" if row["truncated"] else "stop",
            }
        )
    file = AnswersFolder(grades.parent.parent).generations(grades.stem)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(row) for row in rows)
    file.write_bytes(zstandard.compress(lines.encode()))


def write_steps(file: Path, rng: numpy.random.Generator, final_entropy: float, steps: int, adaptive: bool) -> None:
    """A training history that falls (or rises) smoothly from entropy 0.3 to the final value."""
    step = numpy.arange(1, steps + 1)
    rise = 1 - numpy.exp(-step / (steps / 4))
    table = {
        "step": step,
        "time": 1.7e9 + step * 0.5,
        "reward": 0.3 + 0.45 * rise + rng.normal(0, 0.03, steps),
        "entropy": 0.3 * (final_entropy / 0.3) ** rise * numpy.exp(rng.normal(0, 0.03, steps)),
        "seconds_device": numpy.full(steps, 0.4),
        "length": 16 + rng.normal(0, 0.3, steps),
        "truncated": numpy.zeros(steps),
        "updates": numpy.full(steps, 2),
        "clip_low": numpy.full(steps, 0.001),
        "clip_high": numpy.full(steps, 0.002),
        "tokens": numpy.full(steps, 4096),
        **{f"seconds_{part}": numpy.full(steps, 0.1) for part in ("rollout", "reward", "old", "update")},
    }
    table["entropy_t1"] = table["entropy"]
    table["kl"] = rng.exponential(0.002, steps)
    table["clip_low"], table["clip_high"] = rng.exponential(0.004, steps), rng.exponential(0.002, steps)
    table["grad_norm"] = 0.4 + rng.exponential(0.1, steps)
    if adaptive:
        table["method/coefficient"] = 0.01 + 0.03 * rise * rng.uniform(0.8, 1.2)
    file.parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame(table).to_parquet(file)


def write_provenance(file: Path, seed: int) -> None:
    content = {
        "package_version": "0.1.0",
        "mathematics": MATHEMATICS,
        "git_commit": "0123456789abcdef",
        "git_dirty": False,
        "hardware": {"cpu": "test <cpu>", "cores": 2, "threads": 1, "device": "cpu", "gpu": None, "memory_gib": 8.0},
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
        "seed": seed,
        "seconds": 24.0,
        "cpu_seconds": 22.0,
        "peak_memory_bytes": 700 * 2**20,
        "method": {"name": "grpo", "source_sha256": "ab" * 32, "distribution": "entrobench 0.1.0"},
        "lock_sha256": "cd" * 32,
    }
    file.write_text(json.dumps(content))


def make_audit(wrong: float = 0.05) -> Audit:
    """A result of audit-statistics in which the paired t interval is wrong that often, the others always right."""
    rows = [
        {
            "interval": name,
            "scenario": scenario,
            "seeds": seeds,
            "cells": cells,
            "false_positives": wrong if name == "paired t" else 0.0,
            "coverage": 1 - wrong if name == "paired t" else 1.0,
            "power": 0.5,
            "simulations": 1000,
        }
        for name in ("paired t", "crossed bootstrap", "improvement", "IQM")
        for scenario in ("keyed seeds", "unequal noise")
        for seeds in (2, 5)
        for cells in (1, 4)
    ]
    return Audit(Path("audit.csv"), "ab" * 32, rows)


def write_audit(root: Path, wrong: float = 0.05) -> None:
    """Put it where `compare` looks for the committed one when it runs in `root`."""
    file = root / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame(make_audit(wrong).rows).to_csv(file, index=False)


def make_study(
    root: Path,
    skills: Mapping[str, float],
    models: Sequence[str] = ("tiny",),
    datasets: Sequence[str] = ("chain2",),
    benchmarks: Sequence[str] = ("chain2-test",),
    seeds: Sequence[int] = (0, 1),
    problems: int = 24,
    draws: int = 8,
    steps: int = 20,
    name: str = "fake",
    evaluate_every: int = 0,
    published: str = "",
    answers: bool = False,
) -> SimpleNamespace:
    """Write results/<study> below `root`; returns a study like `studies.runs.Study`, with `results` its folder.

    `answers`: the generations behind the grades as well.
    """
    results = root / "results" / name
    runs = [
        SimpleNamespace(
            model=model,
            dataset=dataset,
            method=method,
            seed=seed,
            key=str(RunKey(model, dataset, method, seed)),
            config=RunConfig(
                RunModel(model, "m"),
                RunDataset(dataset, "d", "{problem}"),
                Variant(method, method, {"coefficient": 0.02}),
                seed,
                TrainerConfig(updates=2, steps=steps),
            ),
            folder=results / "runs" / model / dataset / method / f"seed{seed}",
            hardware=Hardware(snapshot_every=evaluate_every),
            snapshots=[step_name(step) for step in snapshot_steps(steps, evaluate_every)],
            published=published,
        )
        for model in models
        for dataset in datasets
        for method in skills
        for seed in seeds
    ]
    for number, run in enumerate(runs):
        rng = numpy.random.default_rng(1000 + number)
        write_steps(run.folder / "steps.parquet", rng, 0.1 + 0.2 * skills[run.method], steps, run.method == "aent")
        write_provenance(run.folder / "provenance.json", run.seed)
        (run.folder / "config.json").write_text(json.dumps(run.config.content))
        skill = skills[run.method] + rng.normal(0, 0.01)
        for benchmark in benchmarks:
            write_grades(run.folder / "grades" / f"{benchmark}.parquet", rng, skill, problems, draws)
            for snapshot in run.snapshots:
                file = run.folder / "evaluations" / snapshot / "grades" / f"{benchmark}.parquet"
                write_grades(file, rng, skill, problems, draws)
    for model in models:
        for benchmark in benchmarks:
            file = results / "base" / model / "grades" / f"{benchmark}.parquet"
            write_grades(file, numpy.random.default_rng(1), 0.3, problems, draws)
    for file in sorted(results.glob("**/grades/*.parquet")) if answers else ():
        write_generations(file)
    evaluation = {"samples": draws, "temperature": 1.0, "pass_k": [1, 2, 4], "problems": problems, "seed": 0}
    (results / "evaluation.json").write_text(json.dumps({**evaluation, "benchmarks": list(benchmarks)}))
    return SimpleNamespace(
        name=name,
        path=Path("config/studies") / f"{name}.yaml",
        description="A synthetic study",
        runs=runs,
        base_models=list(models),
        datasets=list(datasets),
        benchmarks=list(benchmarks),
        pass_k=dict.fromkeys(benchmarks, evaluation["pass_k"]),
        graders=["entrobench"],
        compared={},
        tuning=None,
        evaluations=dict.fromkeys(
            models, Evaluation(EvaluationConfig(**evaluation), {name: {} for name in benchmarks})
        ),
        primary="avg@n",
        headline=Headline("avg@n"),
        results=results,
        folder=results,
        files=StudyFolder(results),
    )
