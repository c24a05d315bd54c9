"""The tables that people read; Markdown, LaTeX, terminal text and the report's HTML are made from them.

A number is bold only where the verdict of `statistics` is 'better'. The row of the untrained base model stands above
the methods that start from it. Marks stand beside a method's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.grading.grader import OUTCOMES
from entrobench.evaluation.statistics.analysis import comparison, mean_over_cells
from entrobench.evaluation.statistics.intervals import ENOUGH_SEEDS
from entrobench.evaluation.statistics.scores import noisy_pass_k
from entrobench.results import StudyFolder

from . import evaluations, paper_comparison
from .budgets import budget_table
from .entries import (
    accuracy_entry,
    difference_entry,
    interval_entry,
    key_entries,
    number_entry,
    p_text,
    score_entry,
    signed,
)
from .entropy_table import entropy_table
from .table_formats import Entry, Table, latex, markdown
from .wide_table import MEAN, accuracy_metrics, run_costs, wide_table

if TYPE_CHECKING:
    from pandas import DataFrame

JUDGED = "correct/wrong/\nunparsable/\ntimeout/error"
AUDITED = {  # columns of the comparison whose interval the audit measures
    "paired t": "difference",
    "IQM": "IQM",
    "crossed bootstrap": "bootstrap",
    "improvement": "P(better)",
}


def make_tables(
    wide: DataFrame,
    scores: DataFrame,
    curves: DataFrame,
    costs: DataFrame,
    statistics: Mapping[str, Any],
    primary: str,
) -> list[Table]:
    """Study-wide comparison, scores, other metrics, answers, entropy, training, and its reward at equal budgets."""
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    metrics = [name for name in accuracy_metrics(scores) if name != primary]
    rows = wide.to_dict("records")
    tables = [
        _comparison_table(rows, benchmarks, statistics, primary),
        _scores_table(rows, benchmarks, statistics, primary),
        _metrics_table(rows, benchmarks, metrics, scores),
        _answers_table(rows, benchmarks),
        entropy_table(rows, costs),
        _training_table(rows),
        budget_table(rows, curves),
    ]
    return [replace(table, note=f"{table.note} {_updates_line(rows)}") for table in tables]


def _updates_line(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Updates per rollout; at one, half of the methods do nothing. Named per cell where cells differ."""
    by_cell = {f"{row['model']} · {row['dataset']}": f"{row['updates']:.3g}" for row in rows if row["method"] != "base"}
    if len(set(by_cell.values())) == 1:
        return f"Updates per rollout: {next(iter(by_cell.values()))}."
    return f"Updates per rollout: {', '.join(f'{updates} ({cell})' for cell, updates in by_cell.items())}."


def _comparison_table(
    rows: list[dict[Any, Any]], benchmarks: Sequence[str], statistics: Mapping[str, Any], primary: str
) -> Table:
    baseline = statistics["baseline"]
    body = []
    for summary in statistics["aggregates"]:
        own = [row for row in rows if row["method"] == summary["method"]]
        marks = ", ".join(dict.fromkeys(row["marks"] for row in own if row["marks"]))
        seeds = " ".join(map(str, summary["seed_means"] or []))
        body.append(
            [
                Entry(summary["method"], marks, summary["method"]),
                Entry(str(summary["runs"]), value=summary["runs"]),
                score_entry(summary["mean"], summary["mean_upper"], seeds),
                interval_entry(summary["interquartile_mean"], (summary["lower"], summary["upper"]), ".3f"),
                *_comparison_entries(comparison(statistics, "study", method=summary["method"])),
                _judged_entry(own, benchmarks),
            ]
        )
    note = (
        f"Score: {primary}, mean over benchmarks and model x dataset cells, ± half of the 95 % t interval over seeds. "
        f"Difference to {baseline}: 95 % paired t interval on seed differences pooled within cells; the verdict is "
        f"about these problems, follows Holm's p and needs {ENOUGH_SEEDS} seeds. Beside it, without a verdict: IQM "
        "(interquartile mean), crossed bootstrap of the difference (seeds x problems) and "
        f"P(better than {baseline}), with 95 % percentile intervals. {audit_line(statistics['audit'])}"
    )
    columns = ["method", "runs", "score", "IQM", f"difference to {baseline}", "Holm p", "verdict"]
    title = f"Methods against {baseline}, whole study"
    return Table("comparison", title, [*columns, "bootstrap", "P(better)", JUDGED], body, note)


def audit_line(audit: Mapping[str, Any] | None) -> str:
    """What the audit of the statistics measured for a study of this size, in words."""
    from entrobench.evaluation.statistics.admission import FILE

    if audit is None:
        return f"No verdicts: {FILE} is not there; `entrobench audit-statistics --write` measures the intervals."
    if not audit["measured"]:
        return "With one seed there are no intervals."
    rates = [f"{label} {100 * audit['measured'][name]['coverage']:.1f} %" for name, label in AUDITED.items()]
    size = next(iter(audit["measured"].values()))
    refused = "" if audit["admits_primary"] else " The paired t interval is wrong too often to give a verdict."
    cells = f"{size['cells']} cell{'s' if size['cells'] > 1 else ''}"
    return (
        f"Coverage measured on simulated studies of {size['seeds']} seeds and {cells} ({audit['file']}): "
        f"{', '.join(rates)}.{refused}"
    )


def _comparison_entries(found: Mapping[str, Any] | None) -> list[Entry]:
    if found is None:
        return [Entry("–") for _ in range(5)]
    p, bootstrap, better = found["p_holm"], found["bootstrap"], found["verdict"] == "better"
    same = all(seeds == found["seeds"][0] for seeds in found["seeds"])
    seeds = " ".join(map(str, (mean_over_cells(found["differences"]) if same else None) or []))
    return [
        difference_entry(found["difference"], found["lower"], found["upper"], seeds, better),
        Entry("–" if p is None else p_text(p), value=p),
        Entry(found["verdict"], value=found["verdict"], bold=better),
        Entry(f"[{signed(bootstrap[0])}, {signed(bootstrap[1])}]", value=bootstrap[0]) if bootstrap else Entry("–"),
        interval_entry(found["improvement"], found["improvement_interval"] or (None, None), ".2f"),
    ]


def _judged_entry(rows: Sequence[Mapping[Any, Any]], benchmarks: Sequence[str]) -> Entry:
    """How many answers of these rows, on all benchmarks, had each outcome; sorted by the answers that failed."""
    counts = [sum(row[f"{benchmark} {outcome}"] for row in rows for benchmark in benchmarks) for outcome in OUTCOMES]
    return Entry("/".join(map(str, counts)), value=sum(counts[1:]))


def _scores_table(
    rows: list[dict[Any, Any]], benchmarks: Sequence[str], statistics: Mapping[str, Any], primary: str
) -> Table:
    shown = [*benchmarks, MEAN] if len(benchmarks) > 1 else list(benchmarks)
    body = []
    for row in rows:
        where = {name: row[name] for name in ("model", "dataset", "method")}
        entries = [*key_entries(row), Entry(str(row["seeds"]), value=row["seeds"])]
        for benchmark in shown:
            scope = "cell" if benchmark == MEAN else "cell-benchmark"
            found = comparison(statistics, scope, **where, benchmark=None if benchmark == MEAN else benchmark)
            entries.append(accuracy_entry(row, f"{benchmark} {primary}", bool(found and found["verdict"] == "better")))
        body.append([*entries, *_difference_entries(row), *_length_entries(row, benchmarks)])
        body[-1].append(_judged_entry([row], benchmarks))
    note = (
        f"{primary}, mean over training seeds ± half of the 95 % t interval; difference of the mean over benchmarks to "
        f"{statistics['baseline']} with the same seeds, 95 % paired t interval, verdict after Holm's correction over "
        f"the rows of the table. Below {ENOUGH_SEEDS} seeds the seeds are printed and no verdict is given. Bold: "
        "verdict 'better'. Length: tokens per answer, mean over benchmarks."
    )
    columns = ["model", "dataset", "method", "seeds", *shown, f"difference to {statistics['baseline']}", "verdict"]
    return Table("scores", f"Scores ({primary})", [*columns, "length", "truncated\n(%)", JUDGED], body, note, group=2)


def _difference_entries(row: Mapping[str, Any]) -> list[Entry]:
    if not isinstance(row["verdict"], str):
        return [Entry("–"), Entry("")]
    bold = row["verdict"] == "better"
    bounds = row["difference lower"], row["difference upper"]
    return [
        difference_entry(row["difference"], *bounds, row["difference seeds"], bold),
        Entry(row["verdict"], value=row["verdict"], bold=bold),
    ]


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
    names = [f"{benchmark} {metric}" for benchmark in benchmarks for metric in metrics]
    body = [
        [*key_entries(row), *(accuracy_entry(row, name) for name in names), _judged_entry([row], benchmarks)]
        for row in rows
    ]
    headings = [f"{benchmark}\n{metric}" for benchmark in benchmarks for metric in metrics]
    note = (
        "Means over seeds ± half of the 95 % t interval, no verdicts. maj@n: majority vote over parsed answers, ties "
        "counted by expectation; pass@k unbiased."
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
            number_entry(row["tokens"] / 1e6, ".3f"),
            number_entry(row["seconds"] / seconds, ".2f"),
        ]
        for row in trained
    ]
    names = ["steps", "updates\nper rollout", "tokens\n(M)", f"device time\n({unit})"]
    note = (
        "Per run, mean over seeds. Tokens are the generated ones; device time is that of the run's one device, "
        "GPU-hours on a GPU."
    )
    return Table("training", "Training", ["model", "dataset", "method", *names], body, note, group=2)


def read_tables(folder: Path) -> tuple[DataFrame, list[Table]]:
    """Build the tables from scores.parquet, problems.parquet, curves.parquet and statistics.json of a study.

    Where they exist, also from evaluations.parquet and paper_comparison.csv.
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
    """Write table.csv (every number), table.md and table.tex (what people read) beside the files they are made from."""
    wide, tables = read_tables(folder)
    files = StudyFolder(folder)
    wide.to_csv(files.table("csv"), index=False)
    files.table("md").write_text("\n".join(markdown(table) for table in tables))
    files.table("tex").write_text("\n".join(latex(table) for table in tables))
    return tables
