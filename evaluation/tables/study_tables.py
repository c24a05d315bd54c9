"""The tables that people read: Markdown, LaTeX, terminal text and (report) HTML are made of them.

A number is bold only where the verdict of `statistics` is 'better'; verdicts stand in the comparison alone. Rows of
the untrained base model stand above the methods that start from it. Beside a method's name stand its marks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.benchmarks.task_files import carriers
from entrobench.evaluation.grading.grader import OUTCOMES
from entrobench.evaluation.statistics.scores import noisy_pass_k
from entrobench.results import StudyFolder
from entrobench.studies.headline import ENOUGH_SEEDS

from . import evaluations, paper_comparison
from .budgets import budget_table
from .comparison_table import JUDGED, comparison_table, judged_entry
from .entries import accuracy_entry, difference_entry, key_entries, number_entry
from .entropy_table import entropy_table, events_sentence
from .table_formats import Entry, Table, latex, markdown
from .wide_table import MEAN, accuracy_metrics, run_costs, wide_table, with_pooled_rows

if TYPE_CHECKING:
    from pandas import DataFrame

FEW = (  # said once, under the first table
    f"Verdicts stand in the comparison of the whole study alone; all other tables are descriptive. With fewer than "
    f"{ENOUGH_SEEDS} seeds the seeds are printed. ±: half of the 95 % t interval over training seeds."
)


def make_tables(
    wide: DataFrame,
    scores: DataFrame,
    curves: DataFrame,
    costs: DataFrame,
    statistics: Mapping[str, Any],
    primary: str,
) -> list[Table]:
    """Study-wide comparison by each headline metric, scores, other metrics, answers, entropy, training, its reward."""
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    metrics = [name for name in accuracy_metrics(scores) if name != primary]
    rows = wide.to_dict("records")
    entropy = entropy_table(rows, costs)
    tables = [
        *(comparison_table(rows, benchmarks, statistics, metric) for metric in statistics["metrics"]),
        _scores_table(rows, benchmarks, statistics, primary),
        _metrics_table(rows, benchmarks, metrics, scores),
        _answers_table(rows, benchmarks),
        replace(entropy, note=f"{entropy.note} {events_sentence(curves)}"),
        _training_table(rows),
        budget_table(rows, curves),
    ]
    general = f"{tables[0].note}\n{_updates_line(rows)} {FEW}"
    return [replace(tables[0], note=general), *tables[1:]]


def _updates_line(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Updates per rollout: half of the methods are inert at one. Named per cell where the cells differ."""
    by_cell = {f"{row['model']} · {row['dataset']}": f"{row['updates']:.3g}" for row in rows if row["method"] != "base"}
    if len(set(by_cell.values())) == 1:
        return f"Updates per rollout: {next(iter(by_cell.values()))}."
    return f"Updates per rollout: {', '.join(f'{updates} ({cell})' for cell, updates in by_cell.items())}."


def _scores_table(
    rows: list[dict[Any, Any]], benchmarks: Sequence[str], statistics: Mapping[str, Any], primary: str
) -> Table:
    headline = carriers(benchmarks)
    shown = [*headline, MEAN] if len(headline) > 1 else headline
    body = []
    for row in rows:
        entries = [*key_entries(row), Entry(str(row["seeds"]), value=row["seeds"])]
        entries += [accuracy_entry(row, f"{benchmark} {primary}") for benchmark in shown]
        body.append([*entries, _own_difference(row), *_length_entries(row, headline)])
        body[-1].append(judged_entry([row], headline))
    note = (
        f"Difference: of the mean over benchmarks to {statistics['baseline']} with the same seeds, 95 % paired t "
        "interval. Length: tokens per answer, mean over benchmarks."
    )
    columns = ["model", "dataset", "method", "seeds", *shown, f"difference to {statistics['baseline']}"]
    return Table("scores", f"Scores ({primary})", [*columns, "length", "truncated\n(%)", JUDGED], body, note, group=2)


def _own_difference(row: Mapping[str, Any]) -> Entry:
    """The difference to the baseline in one cell."""
    if not isinstance(row["difference seeds"], str):
        return Entry("–")
    bounds = row["difference lower"], row["difference upper"]
    return difference_entry(row["difference"], *bounds, row["difference seeds"])


def _length_entries(row: Mapping[str, Any], benchmarks: Sequence[str]) -> list[Entry]:
    """Tokens per answer and truncated answers in %, means over benchmarks."""
    length, truncated = (
        sum(row[f"{benchmark} {name}"] for benchmark in benchmarks) / len(benchmarks)
        for name in ("length", "truncated")
    )
    return [number_entry(length, ".1f"), number_entry(100 * truncated, ".1f")]


def _metrics_table(
    rows: list[dict[Any, Any]], benchmarks: Sequence[str], metrics: Sequence[str], scores: DataFrame
) -> Table:
    primary = next(name for name in accuracy_metrics(scores) if name not in metrics)
    has = set(zip(scores["benchmark"], scores["metric"], strict=True))
    wanted = [(name, metric) for name in benchmarks for metric in metrics]
    wanted += [(name, primary) for name in benchmarks if name not in carriers(benchmarks)]
    shown = [pair for pair in wanted if pair in has]
    names = [f"{benchmark} {metric}" for benchmark, metric in shown]
    body = [
        [*key_entries(row), *(accuracy_entry(row, name) for name in names), judged_entry([row], benchmarks)]
        for row in rows
    ]
    headings = [f"{benchmark}\n{metric}" for benchmark, metric in shown]
    note = (
        "maj@n: majority vote over parsed answers, where equal values count as one (1/2 and 0.5), ties counted by "
        "expectation; pass@k unbiased."
    )
    note = " ".join([note, *(f"Warning: {warning}." for warning in noisy_pass_k(scores))])
    return Table("metrics", "Other metrics", ["model", "dataset", "method", *headings, JUDGED], body, note, group=2)


def _answers_table(rows: list[dict[Any, Any]], benchmarks: Sequence[str]) -> Table:
    columns, body = ["model", "dataset", "method"], [key_entries(row) for row in rows]
    for benchmark in benchmarks:
        columns += [f"{benchmark}\n{name}" for name in ("length", "truncated", *OUTCOMES)]
        for row, entries in zip(rows, body, strict=True):
            entries += _length_entries(row, [benchmark])
            counts = [row[f"{benchmark} {outcome}"] for outcome in OUTCOMES]
            entries += [Entry(str(count), value=count) for count in counts]
    note = "Length in tokens, truncated in % of the answers; how many answers, over all seeds, were judged how."
    return Table("answers", "Answers and how they were judged", columns, body, note, group=2)


def _training_table(rows: list[dict[Any, Any]]) -> Table:
    trained = [row for row in rows if row["method"] != "base"]
    longest = max(row["seconds"] for row in trained)
    unit, seconds = next((u, s) for u, s in (("h", 3600), ("min", 60), ("s", 1)) if longest >= 2 * s or s == 1)
    body = [
        [
            *key_entries(row),
            number_entry(row["steps"], ".0f"),
            number_entry(row["updates"], ".3g"),
            number_entry(100 * row["clipped"], ".2f"),
            number_entry(row["tokens"] / 1e6, ".3f"),
            number_entry(row["seconds"] / seconds, ".2f"),
            *([Entry(f"{row['at plateau']:.0f} of {row['seeds']}")] if "at plateau" in row else []),
        ]
        for row in trained
    ]
    names = ["steps", "updates\nper rollout", "clipped\n(% of tokens)", "tokens\n(M)", f"device time\n({unit})"]
    names += ["ended at\na plateau"] if "at plateau" in trained[0] else []
    limit = " Runs that did not end at a plateau ended at the study's limit of steps." if len(names) > 5 else ""
    note = (
        "Per run, mean over seeds. Tokens are the generated ones; device time is that of the run's one device: "
        f"CPU seconds of the training process, or GPU-hours.{limit}"
    )
    return Table("training", "Training", ["model", "dataset", "method", *names], body, note, group=2)


def read_tables(folder: Path) -> tuple[DataFrame, list[Table]]:
    """Build the tables from scores.parquet, problems.parquet, curves.parquet and statistics.json of a study.

    And, where it has them, from evaluations.parquet and paper_comparison.csv.
    """
    import pandas

    files = StudyFolder(folder)
    scores, problems, curves = map(pandas.read_parquet, (files.scores, files.problems, files.curves))
    statistics = json.loads(files.statistics.read_text())
    costs = run_costs(curves)
    wide = wide_table(scores, problems, costs, statistics, statistics["metric"])
    tables = make_tables(wide, scores, curves, costs, statistics, statistics["metric"])
    if files.evaluations.is_file():
        by_step = pandas.read_parquet(files.evaluations)
        tables.append(evaluations.readings_table(by_step, statistics["metric"]))
    if files.paper_comparison.is_file():
        tables += paper_comparison.comparison_tables(folder)
    return wide, tables


def write_tables(folder: Path) -> list[Table]:
    """Write table.csv (every number), table.md and table.tex (what people read) beside the files they come from."""
    wide, tables = read_tables(folder)
    files = StudyFolder(folder)
    statistics = json.loads(files.statistics.read_text())
    with_pooled_rows(wide, statistics).to_csv(files.table("csv"), index=False)
    files.table("md").write_text("\n".join(markdown(table) for table in tables))
    files.table("tex").write_text("\n".join(latex(table) for table in tables))
    return tables
