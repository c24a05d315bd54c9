"""All numbers of a study's tables, one row per model x dataset x method: the content of table.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.benchmarks.task_files import carriers
from entrobench.evaluation.grading.grader import OUTCOMES
from entrobench.evaluation.statistics.analysis import comparison
from entrobench.evaluation.statistics.board import score_matrix
from entrobench.evaluation.statistics.intervals import pooled_t
from entrobench.evaluation.statistics.scores import BASE, RUN, problem_column

if TYPE_CHECKING:
    from pandas import DataFrame, Series

POOLED = {  # of a comparison over the whole study: column of table.csv -> its name in statistics.json
    "Holm p": "p_holm",
    "verdict": "verdict",
    "smallest detectable": "detectable",
    "seeds needed": "seeds_needed",
}
DIFFERENCE = ("difference", "difference lower", "difference upper", "difference seeds", "difference p")
COSTS = ("steps", "updates", "clipped", "tokens", "seconds", "final_entropy")
FINAL_STEPS = 10  # the final entropy is the mean over the last ten steps
MEAN = "mean"  # the unweighted mean over benchmarks, shown beside them


def run_costs(curves: DataFrame) -> DataFrame:
    """Per run, in the order of `curves`: steps, updates per rollout, tokens, device seconds, first and final entropy.

    Also the share of clipped tokens and, where training may end at a plateau, whether it did. Entropy in nats, at
    temperature 1 for every method: of step 1, before any update, and the mean over the last FINAL_STEPS.
    """
    ordered = curves.sort_values("step", kind="stable").assign(seconds=device_seconds(curves))
    grouped = ordered.groupby(RUN, sort=False)
    costs = grouped.agg(
        steps=("step", "max"), updates=("updates", "mean"), tokens=("tokens", "sum"), seconds=("seconds", "sum")
    )
    both = ordered.reindex(columns=["clip_low", "clip_high"])  # logs made elsewhere lack them
    clipped = both.sum(axis=1, min_count=1)
    costs["clipped"] = clipped.groupby([ordered[name] for name in RUN]).mean()
    if "plateau" in ordered:
        costs["plateau"] = grouped["plateau"].max()
    costs["first_entropy"] = grouped["entropy_t1"].first()
    costs["final_entropy"] = grouped.tail(FINAL_STEPS).groupby(RUN, sort=False)["entropy_t1"].mean()
    return curves[RUN].drop_duplicates().merge(costs.reset_index(), on=RUN)


def device_seconds(curves: DataFrame) -> Series[float]:
    """Seconds of a run's device per step: CPU seconds on a CPU, which other load does not stretch.

    NaN of runs from before these were recorded: their clock is that of a machine with other load.
    """
    return curves["seconds_device"] if "seconds_device" in curves else curves["step"] * float("nan")


def wide_table(
    scores: DataFrame, problems: DataFrame, costs: DataFrame, statistics: Mapping[str, Any], primary: str
) -> DataFrame:
    """One row per model x dataset x method, in the order of `costs`, the base model first in each cell.

    Columns: model, dataset, method, marks, seeds; per benchmark `<benchmark> <metric>` (mean over seeds), for avg, maj
    and pass@k also lower, upper and the seeds' values, for the primary metric also of the mean over benchmarks; counts
    of each outcome over all seeds; difference to the baseline with interval and uncorrected p, descriptive; steps,
    updates, clipped (share of tokens), tokens, seconds and final_entropy as means over seeds; how many runs ended at a
    plateau, where training may.
    """
    import pandas

    benchmarks, accuracies = list(dict.fromkeys(scores["benchmark"])), accuracy_metrics(scores)
    rows = []
    for model, dataset, method in _row_keys(costs):
        key = {"model": model, "dataset": BASE["dataset"] if method == "base" else dataset, "method": method}
        own_scores, own_problems, own_costs = (_select(table, key) for table in (scores, problems, costs))
        if own_scores.empty:  # a run made elsewhere, without answers: its curves are all there is
            continue
        marks = list(statistics["marks"].get(f"{model}/{dataset}/{method}", []))
        if method != "base":
            marks += _not_exercised(_select(costs, key | {"method": statistics["baseline"]}), own_costs, statistics)
        row: dict[str, object] = {"model": model, "dataset": dataset, "method": method, "marks": ", ".join(marks)}
        row["seeds"] = own_scores["seed"].nunique()
        for metric in accuracies:
            noise = _drawing(own_problems, metric)
            row |= _accuracy_columns(own_scores, metric, noise, with_mean=metric == primary)
        row |= _answer_columns(own_scores, own_problems, benchmarks)
        row |= _difference_columns(statistics, model, dataset, method)
        row |= {name: own_costs[name].mean() for name in COSTS}
        row |= {"at plateau": own_costs["plateau"].sum()} if "plateau" in own_costs else {}
        rows.append(row)
    return pandas.DataFrame(rows)


def _not_exercised(baseline: DataFrame, own: DataFrame, statistics: Mapping[str, Any]) -> list[str]:
    """The mark of a method that clips too little for a study that requires clipping, as does its cell's baseline.

    The baseline counts, for a method that clips softly leaves every token a gradient.
    """
    required, clipped = statistics.get("clipped_at_least"), float(own["clipped"].mean())
    if not required or max(clipped, float(baseline["clipped"].mean())) >= required:
        return []
    return [f"not exercised: {100 * clipped:.2g} % clipped"]


def with_pooled_rows(wide: DataFrame, statistics: Mapping[str, Any]) -> DataFrame:
    """The wide table with a column `scope` (cell or study), and below it a row per headline metric and method.

    The rows of the study have no model and no dataset. Their columns: metric, method, runs, score with its bounds, the
    difference to the baseline with interval and p, Holm's p, verdict, smallest detectable difference, seeds needed.
    """
    import pandas

    rows = []
    for summary in statistics["aggregates"]:
        metric, method = summary["metric"], summary["method"]
        row: dict[str, object] = {"scope": "study", "method": method, "metric": metric, "runs": summary["runs"]}
        row |= {"score": summary["mean"], "score lower": summary["mean_lower"], "score upper": summary["mean_upper"]}
        if found := comparison(statistics, "study", metric=metric, method=method):
            row |= dict(zip(DIFFERENCE, (found[name] for name in ("difference", "lower", "upper")), strict=False))
            row |= {DIFFERENCE[-1]: found["p"], **{name: found[key] for name, key in POOLED.items()}}
        rows.append(row)
    return pandas.concat([wide.assign(scope="cell"), pandas.DataFrame(rows)], ignore_index=True)


def accuracy_metrics(scores: DataFrame) -> list[str]:
    """avg, maj, then pass@k by k, each before what a second grader says of it."""

    def order(name: str) -> tuple[int, int, str]:
        kind, _, rest = name.partition("@")
        number = rest.partition(" ")[0]  # "8", or "n" where benchmarks have different numbers of draws
        return ("avg", "maj", "pass").index(kind), int(number) if number.isdigit() else 0, rest

    return sorted((name for name in set(scores["metric"]) if "@" in name), key=order)


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


def _drawing(problems: DataFrame, metric: str) -> dict[str, float]:
    """Variance that drawing answers alone gives to the mean over seeds of a metric, by benchmark that has it."""
    column = problem_column(metric, list(problems.columns), "table")
    found = {}
    for benchmark, rows in problems[problems[column].notna()].groupby("benchmark", sort=False):
        _, noise = score_matrix(rows, ["seed"], column)
        found[str(benchmark)] = float(noise.sum()) / len(noise) ** 2
    return found


def _accuracy_columns(scores: DataFrame, metric: str, noise: Mapping[str, float], with_mean: bool) -> dict[str, object]:
    """Mean, interval and seeds of a metric, per benchmark and of their mean; `noise` as of `_drawing`."""
    values = scores[scores["metric"] == metric].pivot(index="seed", columns="benchmark", values="value")
    values, headline = values.reindex(columns=list(noise)), carriers(noise)
    if with_mean and len(headline) > 1:
        values[MEAN] = values[headline].mean(axis=1, skipna=False)
    columns: dict[str, object] = {}
    for name in values.columns:
        averaged = headline if name == MEAN else [name]
        drawing = sum(noise[benchmark] for benchmark in averaged) / len(averaged) ** 2
        interval = pooled_t([values[name].to_numpy()], drawing)
        columns[f"{name} {metric}"] = interval.mean
        columns[f"{name} {metric} lower"], columns[f"{name} {metric} upper"] = interval.lower, interval.upper
        columns[f"{name} {metric} seeds"] = " ".join(f"{value:.6f}" for value in values[name])
    return columns


def _answer_columns(scores: DataFrame, problems: DataFrame, benchmarks: Sequence[str]) -> dict[str, object]:
    """Mean length and share of truncated answers, and how many answers, over all seeds, had each outcome."""
    means = scores.groupby(["benchmark", "metric"], sort=False)["value"].mean()
    columns: dict[str, object] = {}
    for benchmark in benchmarks:
        own = problems[problems["benchmark"] == benchmark]
        for name in ("length", "truncated"):  # answers made elsewhere may not say
            columns[f"{benchmark} {name}"] = means.get((benchmark, name), float("nan"))
        columns[f"{benchmark} answers"] = int(own["n"].sum())
        for outcome in OUTCOMES:
            columns[f"{benchmark} {outcome}"] = round(float((own[f"outcome_{outcome}"] * own["n"]).sum()))
    return columns


def _difference_columns(statistics: Mapping[str, Any], model: str, dataset: str, method: str) -> dict[str, object]:
    found = comparison(statistics, "cell", model=model, dataset=dataset, method=method)
    if found is None:
        return dict.fromkeys(DIFFERENCE)
    seeds = " ".join(f"{value:+.6f}" for value in found["differences"][0])
    values = found["difference"], found["lower"], found["upper"], seeds, found["p"]
    return dict(zip(DIFFERENCE, values, strict=True))
