"""`entrobench tune`: a study's trials are judged on validation splits, and each tuned method gets its best value.

Writes results/<study>/tuning/: tuning.json (which `entrobench lock` reads), sweep.csv (the columns of sweep.py, and the
trials' tokens and seconds) and the figure sweep. The score is avg@n, the mean over cells, benchmarks and tuning seeds.
Of equal scores, the one that comes first in the grid wins.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench import provenance
from entrobench.data.datasets import load_rows
from entrobench.errors import InputError
from entrobench.evaluation.grading.grader import GRADER_VERSION
from entrobench.evaluation.statistics.scores import RUN, problem_table, read_grades
from entrobench.evaluation.tables.sweep import COLUMNS
from entrobench.evaluation.tables.wide_table import run_costs
from entrobench.files import write_whole
from entrobench.results import StudyFolder
from entrobench.run_config import MATHEMATICS
from entrobench.studies import derived
from entrobench.studies.decontamination import training_folder
from entrobench.studies.named_inputs import benchmark_split
from entrobench.studies.trials import trial_name

from .compare import read_curves

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.studies.runs import Study


def tune(study: Study, folder: Path, data: Path) -> dict[str, Any]:
    """Choose the tuned values of a study in `folder` from its graded trials; returns the content of tuning.json.

    `data` holds the prepared datasets. Problems that the trials trained on, or that the study's benchmarks ask, do not
    count for the choice; their number is stated. Raises InputError where a trial is not graded, or no problem is left.
    """
    from entrobench.evaluation.figures.sweep_figure import write_sweep_figure

    trials, methods = study.tuning, derived.tuned(study.runs, str(study.path))
    if trials is None:
        raise InputError(f"{study.path}: no method has a value {{tune: [...]}}, so there is nothing to choose")
    place = StudyFolder(folder).trials
    provenance.check_mathematics((place.run(run.key) for run in trials.runs), f"{study.path}: tuning")
    grades = read_grades(place.folder)
    seen = _seen_problems(study, trials, data)
    unseen = grades[~grades["problem_id"].isin(seen)]
    if unseen.empty:
        raise InputError(f"{study.path}: tuning: every validation problem is a training or a test problem as well")
    costs = run_costs(read_curves(trials, place.folder))
    sweep = _sweep(methods, unseen, costs)
    chosen = {method: _best(sweep[sweep["method"] == method], key, grid) for method, (key, grid) in methods.items()}
    tuning = {
        "methods": chosen,
        "metric": sweep["metric"].iloc[0],
        "seeds": sorted({run.seed for run in trials.runs}),
        "benchmarks": list(trials.benchmarks),
        "problems": {"judged": unseen["problem_id"].nunique(), "left_out": len(seen & {*grades["problem_id"]})},
        "cost": _cost(costs, grades),
        "provenance": {
            "package_version": provenance.package_version(),
            "mathematics": MATHEMATICS,
            "grader_version": GRADER_VERSION,
        },
    }
    sweep.to_csv(place.sweep, index=False, float_format="%.6g")
    used = {(method, found["key"]): [found["value"]] for method, found in chosen.items()}
    write_sweep_figure(sweep, used, place.folder)
    write_whole(place.tuned, json.dumps(tuning, indent=2) + "\n")
    return tuning


def _seen_problems(study: Study, trials: Study, data: Path) -> set[str]:
    """The ids of all problems that trials train on or the study's benchmarks ask."""
    folders = {(training_folder(data, run.config.dataset), "train") for run in trials.runs}
    folders |= {(data / dataset, split) for dataset, split in map(benchmark_split, study.benchmarks)}
    return {row.id for folder, split in folders for row in load_rows(folder, split)}


def _sweep(methods: dict[str, tuple[str, list[float]]], grades: DataFrame, costs: DataFrame) -> DataFrame:
    """One row per method, value and seed: score and entropy as means over cells, tokens and seconds as sums."""
    import pandas

    points = [
        (trial_name(method, value), method, key, value) for method, (key, grid) in methods.items() for value in grid
    ]
    problems = problem_table(grades, [])
    scores = problems.groupby([*RUN, "benchmark"])["avg"].mean().groupby(RUN).mean().rename("score")
    runs = costs.merge(scores.reset_index(), on=RUN, how="left")
    if runs["score"].isna().any():
        first = "/".join(str(runs[runs["score"].isna()].iloc[0][name]) for name in RUN)
        raise InputError(f"the trial {first} is not graded yet")
    runs = runs.rename(columns={"method": "trial", "final_entropy": "entropy"})
    draws = sorted(set(problems["n"]))
    runs["metric"] = f"avg@{draws[0]}" if len(draws) == 1 else "avg@n"
    table = pandas.DataFrame(points, columns=["trial", "method", "key", "value"]).merge(runs, on="trial")
    means = {"score": ("score", "mean"), "entropy": ("entropy", "mean")}
    sums = {"tokens": ("tokens", "sum"), "seconds": ("seconds", "sum")}
    return table.groupby(COLUMNS[:5], sort=False).agg(**means, **sums).reset_index()


def _best(rows: DataFrame, key: str, grid: list[float]) -> dict[str, Any]:
    """The value with the best mean over seeds; at an end of the grid, a better one may lie outside."""
    means = rows.groupby("value")["score"].mean()
    value = max(grid, key=lambda point: means[point])
    at_end = len(grid) > 1 and value in (min(grid), max(grid))
    return {"key": key, "value": value, "score": float(means[value]), "trials": len(rows), "at_end_of_grid": at_end}


def _cost(costs: DataFrame, grades: DataFrame) -> dict[str, Any]:
    """What the trials cost: generated tokens, and device time of training."""
    return {
        "runs": len(costs),
        "training_tokens": int(costs["tokens"].sum()),
        "validation_tokens": int(grades["tokens"].sum()),
        "training_seconds": round(float(costs["seconds"].sum()), 1),
    }


def tuning_lines(folder: Path) -> list[str]:
    """The report's lines about the tuning in a study's `folder`; none where nothing is tuned."""
    file = StudyFolder(folder).trials.tuned
    if not file.is_file():
        return []
    tuning = json.loads(file.read_text())
    cost, problems, count = tuning["cost"], tuning["problems"], len(tuning["seeds"])
    judged = f"{problems['judged']:,} problems of {', '.join(tuning['benchmarks'])}"
    ends = [name for name, found in tuning["methods"].items() if found["at_end_of_grid"]]
    lines = [
        f"Tuned with {count} seed{'s' if count > 1 else ''} of its own on {judged}; {problems['left_out']:,} that are "
        "training or test problems as well are left out.",
        f"Cost of tuning, beside the study's own: {cost['runs']} runs, {cost['training_tokens'] / 1e6:.3g} million "
        f"tokens in training and {cost['validation_tokens'] / 1e6:.3g} million in validation, "
        f"{cost['training_seconds'] / 60:.3g} device minutes of training.",
    ]
    ends_said = f"At an end of the grid, so that a better value may lie beyond it: {', '.join(ends)}."
    return lines + [ends_said] * bool(ends)
