"""Evaluation along the way: the scores of a run's snapshots, three readings of them, and what a score cost.

Readings of a run: its last step, which is the headline; the mean of its last ten evaluations; and the best evaluation
by the average over the benchmarks. The last is a selection on test data, only to compare with papers that select so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.task_files import carriers
from entrobench.evaluation.statistics.scores import COLUMNS, RUN, problem_table
from entrobench.results import AnswersFolder, RunFolder, StudyFolder
from entrobench.run_keys import step_of
from entrobench.studies.headline import baseline_of

from .budgets import spending
from .entries import number_entry, seeds_entry
from .table_formats import Entry, Table
from .wide_table import MEAN

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from entrobench.studies.runs import Study

LAST = 10  # evaluations, as in the paper's section 4.5
LAST_STEP, LAST_TEN, BEST = "last step", f"mean of the last {LAST}", "best on test"
READINGS = (LAST_STEP, LAST_TEN, BEST)
SPENT = ("tokens", "device_hours")


def collect_evaluations(study: Study, folder: Path, problems: DataFrame, curves: DataFrame, column: str) -> DataFrame:
    """Every evaluation of every run: one row per run, step and benchmark, the last step included.

    Columns: study, model, dataset, method, seed, step, benchmark, score (the headline metric, `column` of `problems`),
    tokens and device_hours that the run had spent by then. Raises InputError where a snapshot is not graded.
    """
    import pandas

    frames = []
    for run in study.runs:
        key: dict[str, Any] = dict(zip(RUN, (run.model, run.dataset, run.method, run.seed), strict=True))
        place = StudyFolder(folder).run(run.key)
        answers = {step_of(name): place.evaluation(name) for name in run.snapshots}
        scores = {step: _scores(own, carriers(study.benchmarks), column, key) for step, own in answers.items()}
        own = _select(problems, key)
        final = own[own["benchmark"].isin(carriers(study.benchmarks))].groupby("benchmark", sort=False)
        scores[run.config.trainer.steps] = final[column].mean()
        scored = pandas.concat(scores, names=["step"]).rename("score").reset_index()
        spent = _spent(_select(curves, key), place)
        frames.append(scored.merge(spent, on="step").assign(study=study.name, **key))
    return pandas.concat(frames, ignore_index=True)[["study", *RUN, "step", "benchmark", "score", *SPENT]]


def _select(table: DataFrame, key: dict[str, Any]) -> DataFrame:
    return table[(table[list(key)] == list(key.values())).all(axis=1)]


def _scores(answers: AnswersFolder, benchmarks: Sequence[str], column: str, key: dict[str, Any]) -> Series[float]:
    """The score of one snapshot by benchmark."""
    import pandas

    files = {name: answers.grades(name) for name in benchmarks}
    if missing := [file for file in files.values() if not file.is_file()]:
        raise InputError(f"{missing[0]}: missing; generate and grade this snapshot first")
    frames = [pandas.read_parquet(file, columns=COLUMNS).assign(benchmark=name, **key) for name, file in files.items()]
    grades = pandas.concat(frames, ignore_index=True)
    if column == "avg":  # the same at a fraction of the time: problems have equally many draws, snapshots are hundreds
        return grades.groupby("benchmark", sort=False)["correct"].mean().rename(column)
    pass_k = [int(column.removeprefix("pass@"))] if column.startswith("pass@") else []
    return problem_table(grades.assign(snapshot=0), pass_k).groupby("benchmark", sort=False)[column].mean()


def _spent(curves: DataFrame, run: RunFolder) -> DataFrame:
    """By step: tokens and device hours so far; the processes of a run hold a device each."""
    devices = json.loads(run.provenance.read_text())["hardware"].get("processes", 1)
    spent = spending(curves)
    return spent.assign(device_hours=spent["seconds"] * devices / 3600)[["step", *SPENT]]


def averages(evaluations: DataFrame) -> DataFrame:
    """The average over the benchmarks at every evaluation; columns RUN, step, score, tokens, device_hours."""
    keys = [*RUN, "step"]
    return evaluations.groupby(keys, sort=False)[["score", *SPENT]].mean().reset_index()


def readings(evaluations: DataFrame) -> DataFrame:
    """The three readings of every run: columns RUN, reading, benchmark (or `mean`), score, step (of one evaluation)."""
    import pandas

    frames = []
    for key, own in evaluations.groupby(RUN, sort=False):
        scores = own.pivot(index="step", columns="benchmark", values="score")[list(dict.fromkeys(own["benchmark"]))]
        scores[MEAN] = scores.mean(axis=1)
        best = scores[MEAN].idxmax()  # the earliest where several are equal
        chosen = {LAST_STEP: scores.tail(1), LAST_TEN: scores.tail(LAST), BEST: scores.loc[[best]]}
        for reading, rows in chosen.items():
            step = int(rows.index[-1]) if len(rows) == 1 else None
            table = rows.mean().rename("score").rename_axis("benchmark").reset_index()
            run: dict[str, Any] = dict(zip(RUN, key, strict=True))
            frames.append(table.assign(reading=reading, step=step, **run))
    return pandas.concat(frames, ignore_index=True)[[*RUN, "reading", "benchmark", "score", "step"]]


def hours_to_best(evaluations: DataFrame) -> DataFrame:
    """Per run: device hours at the first evaluation that reaches the best average of the baseline's run of this seed.

    Columns: RUN, target, reached, device_hours. A run that never reaches it is censored: it counts with all hours that
    it spent, which it would have needed at least. NaN where the baseline lacks the seed.
    """
    found = averages(evaluations)
    baseline = baseline_of(list(dict.fromkeys(found["method"])))
    cell = ["model", "dataset", "seed"]
    target = found[found["method"] == baseline].groupby(cell)["score"].max().rename("target").reset_index()
    joined = found.merge(target, on=cell, how="left")
    hours = joined[joined["score"] >= joined["target"]].groupby(RUN, sort=False)["device_hours"].min()
    spent = joined.groupby(RUN, sort=False)["device_hours"].max().rename("spent").reset_index()
    runs = (
        joined[[*RUN, "target"]].drop_duplicates().merge(hours.reset_index(), on=RUN, how="left").merge(spent, on=RUN)
    )
    runs["reached"] = runs["device_hours"].notna()
    runs["device_hours"] = runs["device_hours"].fillna(runs["spent"]).where(runs["target"].notna())
    return runs[[*RUN, "target", "reached", "device_hours"]]


def readings_table(evaluations: DataFrame, primary: str) -> Table:
    """A row per model x dataset x method: the average over the benchmarks in each reading, and what it cost."""
    found, hours = readings(evaluations), hours_to_best(evaluations)
    counts = evaluations.groupby(RUN)["step"].nunique()
    few = "" if counts.min() >= LAST else f" (here of all {counts.min()})"
    baseline = baseline_of(list(dict.fromkeys(evaluations["method"])))
    body = []
    for key, own in found[found["benchmark"] == MEAN].groupby(RUN[:3], sort=False):
        by_reading = {name: rows.sort_values("seed") for name, rows in own.groupby("reading")}
        entries = [Entry(str(name), value=str(name)) for name in key]
        for reading in READINGS:
            values = by_reading[reading]["score"]
            entries.append(seeds_entry(values))
        steps = by_reading[BEST]["step"]
        entries.append(Entry(", ".join(f"{step:.0f}" for step in steps), value=float(steps.mean())))
        body.append([*entries, *hours_entries(_select(hours, dict(zip(RUN[:3], key, strict=True))))])
    note = (
        f"{primary}, mean over benchmarks, over seeds ± half of the 95 % t interval; the headline is the last step. "
        f"{LAST_TEN.capitalize()} evaluations{few}. Best on test: each run's evaluation with the highest average test "
        "score, *selected on test data*, only to compare with papers that do so. Device hours: of training, until an "
        f"evaluation reaches the best score of {baseline}'s run with the same seed, mean over runs; ≥: a run that "
        "never does counts with all that it spent."
    )
    columns = [*RUN[:3], LAST_STEP, LAST_TEN.replace(" last", "\nlast"), f"{BEST}\n(selected on test data)", "at steps"]
    columns += [f"device hours to\n{baseline}'s best", "runs that\nreach it"]
    return Table("readings", "Evaluation along the way", columns, body, note, group=2)


def hours_entries(rows: DataFrame) -> list[Entry]:
    """Mean device hours to the target of one method's runs, at least where one is censored; and how many reach it."""
    reached, hours = int(rows["reached"].sum()), number_entry(rows["device_hours"].mean(), ".3g")
    if (rows["target"].notna() & ~rows["reached"]).any():
        hours = replace(hours, text=f"≥ {hours.text}")
    return [hours, Entry(f"{reached} of {len(rows)}", value=reached)]
