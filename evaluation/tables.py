"""The study's tables: one row per model x dataset x method, as Markdown, CSV, LaTeX, terminal text and (report) HTML.

A number is bold only where the verdict of `statistics` is 'better'. Rows of the untrained base model stand above the
methods that start from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from .scores import BASE, OUTCOMES, RUN
from .statistics import ENOUGH_SEEDS, pooled_t
from .table_formats import Entry, Table, latex, markdown

if TYPE_CHECKING:
    from pandas import DataFrame

FAILURES = [outcome for outcome in OUTCOMES if outcome != "correct"]
DIFFERENCE = ("difference", "difference lower", "difference upper", "difference seeds", "p_holm", "verdict")
FINAL_STEPS = 10  # the final entropy is the mean over the last ten steps
MEAN = "mean"  # the unweighted mean over benchmarks, shown beside them


def run_costs(curves: DataFrame) -> DataFrame:
    """Per run, in the order of `curves`: steps, updates per rollout, tokens, device seconds, final entropy (nats)."""
    seconds = [column for column in curves.columns if column.startswith("seconds_")]
    ordered = curves.sort_values("step", kind="stable").assign(seconds=curves[seconds].sum(axis=1))
    grouped = ordered.groupby(RUN, sort=False)
    costs = grouped.agg(
        steps=("step", "max"), updates=("updates", "mean"), tokens=("tokens", "sum"), seconds=("seconds", "sum")
    )
    costs["final_entropy"] = grouped.tail(FINAL_STEPS).groupby(RUN, sort=False)["entropy"].mean()
    return curves[RUN].drop_duplicates().merge(costs.reset_index(), on=RUN)


def wide_table(
    scores: DataFrame, problems: DataFrame, costs: DataFrame, statistics: Mapping[str, Any], primary: str
) -> DataFrame:
    """All numbers of the tables, one row per model x dataset x method: the content of table.csv.

    Rows in the order of `costs`. Columns: model, dataset, method, seeds; per benchmark `<benchmark> <metric>` (mean
    over seeds), for the primary metric also lower, upper and the seeds' values; counts of each outcome over all seeds;
    difference to the baseline with interval, Holm's p and verdict; steps, updates, tokens, seconds and final_entropy as
    means over seeds.
    """
    import pandas

    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    rows = []
    for model, dataset, method in _row_keys(costs):
        key = {"model": model, "dataset": BASE["dataset"] if method == "base" else dataset, "method": method}
        own_scores, own_problems, own_costs = (_select(table, key) for table in (scores, problems, costs))
        row = {"model": model, "dataset": dataset, "method": method, "seeds": own_scores["seed"].nunique()}
        row |= _primary_columns(own_scores, benchmarks, primary)
        row |= _metric_columns(own_scores, benchmarks, primary)
        row |= _outcome_columns(own_problems, benchmarks)
        row |= _difference_columns(statistics, model, dataset, method)
        row |= {name: own_costs[name].mean() for name in ("steps", "updates", "tokens", "seconds", "final_entropy")}
        rows.append(row)
    return pandas.DataFrame(rows)


def _row_keys(costs: DataFrame) -> list[tuple[str, str, str]]:
    """Model, dataset, method of every row: in each cell the base model first, then the study's order."""
    keys: dict[tuple[str, str, str], None] = {}
    for model, dataset in costs[["model", "dataset"]].drop_duplicates().itertuples(index=False):
        keys[model, dataset, "base"] = None
        cell = costs[(costs["model"] == model) & (costs["dataset"] == dataset)]
        keys |= dict.fromkeys((model, dataset, method) for method in cell["method"])
    return list(keys)


def _select(table: DataFrame, key: Mapping[str, object]) -> DataFrame:
    for column, value in key.items():
        table = table[table[column] == value]
    return table


def _primary_columns(scores: DataFrame, benchmarks: Sequence[str], primary: str) -> dict[str, object]:
    """Mean, interval and seeds of the primary metric, per benchmark and of their mean."""
    values = scores[scores["metric"] == primary].pivot(index="seed", columns="benchmark", values="value")
    values = values.reindex(columns=list(benchmarks))
    if len(benchmarks) > 1:
        values[MEAN] = values.mean(axis=1, skipna=False)
    columns: dict[str, object] = {}
    for name in values.columns:
        interval = pooled_t([values[name].to_numpy()])
        columns[f"{name} {primary}"] = interval.mean
        columns[f"{name} {primary} lower"], columns[f"{name} {primary} upper"] = interval.lower, interval.upper
        columns[f"{name} {primary} seeds"] = " ".join(f"{value:.4f}" for value in values[name])
    return columns


def _metric_columns(scores: DataFrame, benchmarks: Sequence[str], primary: str) -> dict[str, object]:
    means = scores.groupby(["benchmark", "metric"], sort=False)["value"].mean()
    metrics = [name for name in _metrics(scores) if name != primary and not name.startswith("outcome_")]
    return {f"{b} {name}": means.get((b, name)) for b in benchmarks for name in metrics}


def _metrics(scores: DataFrame) -> list[str]:
    """avg, maj, then pass@k by k, then the rest."""

    def order(name: str) -> tuple[int, int, str]:
        kind, _, number = name.partition("@")
        rank = {"avg": 0, "maj": 1, "pass": 2}.get(kind, 3)
        return rank, int(number) if number.isdigit() else 0, name

    return sorted(set(scores["metric"]), key=order)


def _outcome_columns(problems: DataFrame, benchmarks: Sequence[str]) -> dict[str, object]:
    """How many answers, over all seeds, had each outcome."""
    columns: dict[str, object] = {}
    for benchmark in benchmarks:
        own = problems[problems["benchmark"] == benchmark]
        columns[f"{benchmark} answers"] = int(own["n"].sum())
        for outcome in OUTCOMES:
            columns[f"{benchmark} {outcome}"] = round(float((own[f"outcome_{outcome}"] * own["n"]).sum()))
    return columns


def comparison(statistics: Mapping[str, Any], scope: str, **where: object) -> dict[str, Any] | None:
    """One comparison of statistics.json; None for the baseline and the base model, which are compared with nothing."""
    for row in statistics["comparisons"]:
        if row["scope"] == scope and all(row[key] == value for key, value in where.items()):
            return dict(row)
    return None


def _difference_columns(statistics: Mapping[str, Any], model: str, dataset: str, method: str) -> dict[str, object]:
    found = comparison(statistics, "cell", model=model, dataset=dataset, method=method)
    if found is None:
        return dict.fromkeys(DIFFERENCE)
    seeds = " ".join(f"{value:+.4f}" for value in found["differences"][0])
    values = found["difference"], found["lower"], found["upper"], seeds, found["p_holm"], found["verdict"]
    return dict(zip(DIFFERENCE, values, strict=True))


def make_tables(wide: DataFrame, scores: DataFrame, statistics: Mapping[str, Any], primary: str) -> list[Table]:
    """The tables that people read: study-wide comparison, scores, other metrics, answers, training."""
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    metrics = [name for name in _metrics(scores) if "@" in name and name != primary]
    rows = wide.to_dict("records")
    return [
        _comparison_table(statistics, primary),
        _scores_table(rows, benchmarks, statistics, primary),
        _metrics_table(rows, benchmarks, metrics),
        _answers_table(rows, benchmarks),
        _training_table(rows),
    ]


def _comparison_table(statistics: Mapping[str, Any], primary: str) -> Table:
    baseline = statistics["baseline"]
    rows = []
    for summary in statistics["aggregates"]:
        found = comparison(statistics, "study", method=summary["method"])
        rows.append(
            [
                Entry(summary["method"], value=summary["method"]),
                Entry(str(summary["runs"]), value=summary["runs"]),
                Entry(f"{summary['mean']:.3f}", value=summary["mean"]),
                _interval_entry(summary["interquartile_mean"], (summary["lower"], summary["upper"]), ".3f"),
                *_comparison_entries(found),
            ]
        )
    note = (
        f"Score: {primary}, mean over benchmarks and model x dataset cells. Difference to {baseline}: 95 % paired t "
        "interval on seed differences pooled within cells; the verdict follows Holm's p and needs 5 seeds. "
        "Beside it, without a verdict: IQM (interquartile mean), crossed bootstrap of the difference (seeds x "
        f"problems) and P(better than {baseline}), with 95 % percentile intervals."
    )
    columns = ["method", "runs", "score", "IQM", f"difference to {baseline}", "Holm p", "verdict"]
    title = f"Methods against {baseline}, whole study"
    return Table("comparison", title, [*columns, "bootstrap", "P(better)"], rows, note)


def _comparison_entries(found: Mapping[str, Any] | None) -> list[Entry]:
    if found is None:
        return [Entry("–") for _ in range(5)]
    p, bootstrap, better = found["p_holm"], found["bootstrap"], found["verdict"] == "better"
    return [
        difference_entry(found["difference"], found["lower"], found["upper"], "", better),
        Entry("–" if p is None else p_text(p), value=p),
        Entry(found["verdict"], value=found["verdict"], bold=better),
        Entry(f"[{signed(bootstrap[0])}, {signed(bootstrap[1])}]" if bootstrap else "–"),
        _interval_entry(found["improvement"], found["improvement_interval"] or (None, None), ".2f"),
    ]


def p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _interval_entry(value: float, bounds: tuple[float | None, float | None], form: str) -> Entry:
    lower, upper = bounds
    interval = "" if lower is None or upper is None else f" [{lower:{form}}, {upper:{form}}]"
    return Entry(f"{value:{form}}{interval}", value=value)


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def difference_entry(
    difference: float, lower: float | None, upper: float | None, seeds: str, bold: bool = False
) -> Entry:
    """+0.012 [−0.003, +0.027], with the seeds' differences below where they are too few for a verdict."""
    interval = f" [{signed(lower)}, {signed(upper)}]" if _present(lower) and _present(upper) else ""
    few = seeds if 1 < len(seeds.split()) < ENOUGH_SEEDS else ""
    detail = ", ".join(signed(float(value)) for value in few.split())
    return Entry(signed(difference) + interval, f"seeds {detail}" if detail else "", difference, bold)


def _present(value: float | None) -> TypeGuard[float]:
    """Whether there is a number: neither None nor the NaN that pandas makes of it."""
    return value is not None and value == value


def _score_entry(row: Mapping[str, Any], name: str, bold: bool) -> Entry:
    """0.812 ± 0.012, with the seeds below where there are too few; the base model has one value and no interval."""
    mean, upper = row[name], row[f"{name} upper"]
    text = f"{mean:.3f} ± {upper - mean:.3f}" if _present(upper) else f"{mean:.3f}"
    seeds = row[f"{name} seeds"].split()
    few = 1 < len(seeds) < ENOUGH_SEEDS
    return Entry(text, "seeds " + ", ".join(f"{float(s):.3f}" for s in seeds) if few else "", mean, bold)


def _key_entries(row: Mapping[str, Any]) -> list[Entry]:
    return [Entry(str(row[name]), value=row[name]) for name in ("model", "dataset", "method")]


def _scores_table(
    rows: list[dict[Any, Any]], benchmarks: Sequence[str], statistics: Mapping[str, Any], primary: str
) -> Table:
    shown = [*benchmarks, MEAN] if len(benchmarks) > 1 else list(benchmarks)
    body = []
    for row in rows:
        where = {name: row[name] for name in ("model", "dataset", "method")}
        entries = [*_key_entries(row), Entry(str(row["seeds"]), value=row["seeds"])]
        for benchmark in shown:
            scope = "cell" if benchmark == MEAN else "cell-benchmark"
            found = comparison(statistics, scope, **where, benchmark=None if benchmark == MEAN else benchmark)
            entries.append(_score_entry(row, f"{benchmark} {primary}", bool(found and found["verdict"] == "better")))
        body.append([*entries, *_difference_entries(row)])
    note = (
        f"{primary}, mean over training seeds ± half of the 95 % t interval; difference of the mean over benchmarks to "
        f"{statistics['baseline']} with the same seeds, 95 % paired t interval, verdict after Holm's correction over "
        "the rows of the table. Below 5 seeds the seeds are printed and no verdict is given. Bold: verdict 'better'."
    )
    columns = ["model", "dataset", "method", "seeds", *shown, f"difference to {statistics['baseline']}", "verdict"]
    return Table("scores", f"Scores ({primary})", columns, body, note, group=2)


def _difference_entries(row: Mapping[str, Any]) -> list[Entry]:
    if not isinstance(row["verdict"], str):
        return [Entry("–"), Entry("")]
    bold = row["verdict"] == "better"
    bounds = row["difference lower"], row["difference upper"]
    return [
        difference_entry(row["difference"], *bounds, row["difference seeds"], bold),
        Entry(row["verdict"], value=row["verdict"], bold=bold),
    ]


def _metrics_table(rows: list[dict[Any, Any]], benchmarks: Sequence[str], metrics: Sequence[str]) -> Table:
    names = [f"{benchmark} {metric}" for benchmark in benchmarks for metric in metrics]
    body = [[*_key_entries(row), *(_number(row[name], ".3f") for name in names)] for row in rows]
    headings = [f"{benchmark}\n{metric}" for benchmark in benchmarks for metric in metrics]
    note = "Means over seeds. maj@n: majority vote over parsed answers, ties counted by expectation; pass@k unbiased."
    return Table("metrics", "Other metrics", ["model", "dataset", "method", *headings], body, note, group=2)


def _number(value: Any, form: str) -> Entry:
    return Entry(f"{value:{form}}", value=float(value)) if _present(value) else Entry("–")


def _answers_table(rows: list[dict[Any, Any]], benchmarks: Sequence[str]) -> Table:
    columns, body = ["model", "dataset", "method"], [_key_entries(row) for row in rows]
    for benchmark in benchmarks:
        columns += [f"{benchmark}\n{name}" for name in ("length", "truncated", "answers", "failures")]
        for row, entries in zip(rows, body, strict=True):
            counts = [row[f"{benchmark} {outcome}"] for outcome in FAILURES]
            entries += [
                _number(row[f"{benchmark} length"], ".1f"),
                _number(100 * row[f"{benchmark} truncated"], ".1f"),
                Entry(str(row[f"{benchmark} answers"]), value=row[f"{benchmark} answers"]),
                Entry(" / ".join(map(str, counts)), value=counts[0]),
            ]
    note = (
        f"Length in tokens, truncated in % of the answers. Answers and failures are counts over all seeds; failures: "
        f"{' / '.join(FAILURES)}."
    )
    return Table("answers", "Answers and how they were judged", columns, body, note, group=2)


def _training_table(rows: list[dict[Any, Any]]) -> Table:
    trained = [row for row in rows if row["method"] != "base"]
    longest = max(row["seconds"] for row in trained)
    unit, seconds = next((u, s) for u, s in (("h", 3600), ("min", 60), ("s", 1)) if longest >= 2 * s or s == 1)
    body = [
        [
            *_key_entries(row),
            _number(row["steps"], ".0f"),
            _number(row["updates"], ".3g"),
            _number(row["tokens"] / 1e6, ".3f"),
            _number(row["seconds"] / seconds, ".2f"),
            _number(row["final_entropy"], ".3f"),
        ]
        for row in trained
    ]
    names = ["steps", "updates\nper rollout", "tokens\n(M)", f"device time\n({unit})", "final entropy\n(nats/token)"]
    note = (
        "Per run, mean over seeds; tokens are the generated ones. Final entropy: of the sampling policy, mean of the "
        f"last {FINAL_STEPS} steps."
    )
    return Table("training", "Training", ["model", "dataset", "method", *names], body, note, group=2)


def read_tables(folder: Path) -> tuple[DataFrame, list[Table]]:
    """Build the tables from scores.parquet, problems.parquet, curves.parquet and statistics.json of a study."""
    import pandas

    scores, problems, curves = (pandas.read_parquet(folder / f"{n}.parquet") for n in ("scores", "problems", "curves"))
    statistics = json.loads((folder / "statistics.json").read_text())
    wide = wide_table(scores, problems, run_costs(curves), statistics, statistics["metric"])
    return wide, make_tables(wide, scores, statistics, statistics["metric"])


def write_tables(folder: Path) -> list[Table]:
    """Write table.csv (every number), table.md and table.tex (what people read) beside the files they come from."""
    wide, tables = read_tables(folder)
    wide.to_csv(folder / "table.csv", index=False)
    (folder / "table.md").write_text("\n".join(markdown(table) for table in tables))
    (folder / "table.tex").write_text("\n".join(latex(table) for table in tables))
    return tables
