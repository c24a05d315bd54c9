"""From graded answers to scores: per problem, and per run x benchmark x metric."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.task_files import carriers
from entrobench.evaluation.grading.grader import OUTCOMES
from entrobench.results import StudyFolder

from .votes import majority

if TYPE_CHECKING:
    import numpy
    from numpy.typing import ArrayLike, NDArray
    from pandas import DataFrame, Series

RUN = ["model", "dataset", "method", "seed"]
SNAPSHOT = "snapshot"  # how many snapshots before the last step the weights are that gave an answer
PROBLEM = [*RUN, SNAPSHOT, "benchmark", "problem_id"]  # the last two name the question, for votes
COLUMNS = ["problem_id", "draw", "correct", "outcome", "extracted_prediction", "tokens", "truncated"]
# columns of a second grader, and what its metrics are called
SECOND = {"paper_correct": "(paper grader)", "chain_correct": "(verified)"}
BASE = {"dataset": "none", "method": "base", "seed": 0}


def read_grades(study_folder: Path) -> DataFrame:
    """Read every grades file of a study: one row per run x benchmark x problem x draw. InputError if there is none."""
    import pandas

    frames = []
    for key, benchmark, file in _grade_files(StudyFolder(study_folder)):
        frame = _read(file)
        _check_draws(frame, file)
        frames.append(frame.assign(**key, benchmark=benchmark))
    if not frames:
        raise InputError(f"{study_folder}: no grades below runs/ or base/; run `entrobench grade` first")
    return pandas.concat(frames, ignore_index=True)


def _read(file: Path) -> DataFrame:
    from pyarrow import parquet

    there = parquet.read_schema(file).names
    frame = parquet.read_table(file, columns=[*COLUMNS, *(c for c in (*SECOND, SNAPSHOT) if c in there)]).to_pandas()
    return frame if SNAPSHOT in there else frame.assign(**{SNAPSHOT: 0})


def _grade_files(study: StudyFolder) -> Iterator[tuple[dict[str, Any], str, Path]]:
    """(columns of RUN, benchmark, file)."""
    subjects = [({"model": model, **BASE}, place) for model, place in study.bases()]
    for run in study.runs():
        subjects.append((vars(run.key), run))
    for key, place in subjects:
        yield from ((key, benchmark, file) for benchmark, file in place.all_grades().items())


def _check_draws(frame: DataFrame, file: Path) -> None:
    """Scores compare only if every problem has the same number of different draws."""
    draws = frame.groupby(["problem_id", SNAPSHOT])["draw"].agg(["size", "nunique"])
    if frame.empty or draws["size"].nunique() > 1 or (draws["size"] != draws["nunique"]).any():
        low, high = (0, 0) if frame.empty else (draws["nunique"].min(), draws["size"].max())
        raise InputError(f"{file}: every problem needs the same number of different draws, found {low} to {high}")


def problem_table(grades: DataFrame, pass_k: Sequence[int] | Mapping[str, Sequence[int]]) -> DataFrame:
    """Score each problem of each run; `pass_k` are the k of all benchmarks, or of each.

    Columns: model, dataset, method, seed, benchmark, problem_id, snapshot, n (draws), avg, maj, pass@<k> (NaN where the
    benchmark has another k), length, truncated, outcome_<name>. Averaged over the rows of a benchmark these are the
    scores of the run.
    """
    by_benchmark = pass_k if isinstance(pass_k, Mapping) else dict.fromkeys(grades["benchmark"].unique(), pass_k)
    wanted = sorted({k for ks in by_benchmark.values() for k in ks})
    grouped = grades.groupby(PROBLEM, sort=True, observed=True)
    table = grouped.agg(
        n=("draw", "size"), avg=("correct", "mean"), length=("tokens", "mean"), truncated=("truncated", "mean")
    )
    table["maj"] = _majority(grades).reindex(table.index, fill_value=0.0)
    correct = (table["avg"] * table["n"]).round().to_numpy()
    for k in wanted:
        table[f"pass@{k}"] = _passed(table, correct, k, by_benchmark)
    for column, grader in SECOND.items():
        if column in grades:
            table[f"avg {grader}"] = grades[column].astype(float).groupby([grades[c] for c in PROBLEM]).mean()
            found = (table[f"avg {grader}"] * table["n"]).round().to_numpy()
            for k in wanted if column == "chain_correct" else ():
                table[f"pass@{k} {grader}"] = _passed(table, found, k, by_benchmark)
    for outcome in OUTCOMES:
        table[f"outcome_{outcome}"] = (grades["outcome"] == outcome).groupby([grades[c] for c in PROBLEM]).mean()
    return table.reset_index()


def study_problems(study_folder: Path, pass_k: Sequence[int] | Mapping[str, Sequence[int]]) -> DataFrame:
    """The problem table of a study: from its grades, and of runs taken from a pack as the pack has it."""
    import pandas

    packed = [
        pandas.read_parquet(run.problems)
        for run in StudyFolder(study_folder).runs()
        if run.problems.is_file() and not run.all_grades()
    ]
    return pandas.concat([problem_table(read_grades(study_folder), pass_k), *packed], ignore_index=True)


def _passed(
    table: DataFrame, correct: ArrayLike, k: int, pass_k: Mapping[str, Sequence[int]]
) -> NDArray[numpy.float64]:
    """pass@k of each row of a problem table, NaN where its benchmark does not have this k."""
    import numpy

    has = table.index.get_level_values("benchmark").isin([name for name, ks in pass_k.items() if k in ks])
    found = numpy.full(len(table), numpy.nan)
    found[has] = pass_at_k(numpy.asarray(correct)[has], table["n"].to_numpy()[has], k)
    return found


def carrying(problems: DataFrame, column: str) -> list[str]:
    """The benchmarks over which a column of a problem table is averaged."""
    there = problems.loc[problems[column].notna(), "benchmark"]
    return carriers(sorted(there.unique()))


def headline_scores(scores: DataFrame, metric: str) -> DataFrame:
    """The rows of a score table that hold a metric on the benchmarks over which it is averaged."""
    own = scores[scores["metric"] == metric]
    return own[own["benchmark"].isin(carriers(own["benchmark"].unique()))]


def _majority(grades: DataFrame) -> Series[float]:
    """maj@n per problem: the expected correctness of the answer that most draws give, ties broken at random.

    Answers of equal value are one vote's answer. Those that could not be parsed do not vote; a problem without votes is
    absent from the result.
    """
    prediction = grades["extracted_prediction"]
    voters = (grades["outcome"] != "unparsable") & prediction.notna() & (prediction != "")
    return majority(grades[voters], PROBLEM)


def pass_at_k(correct: ArrayLike, draws: ArrayLike, k: int) -> NDArray[numpy.float64]:
    """Unbiased estimate of P(at least one of k draws is correct), 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374).

    Warns when n < 2k (the estimate is then noisy); InputError when k > n. Any broadcastable shapes.
    """
    import numpy

    c, n = numpy.asarray(correct, dtype=float), numpy.asarray(draws, dtype=float)
    fewest = int(n.min())
    if k > fewest:
        raise InputError(f"pass@{k} needs at least {k} draws per problem, the grades have {fewest}")
    if fewest < 2 * k:
        warnings.warn(_noisy(k, fewest), stacklevel=2)
    all_wrong = numpy.ones(numpy.broadcast_shapes(c.shape, n.shape))
    for i in range(k):
        all_wrong *= numpy.clip(n - c - i, 0.0, None) / (n - i)
    return 1.0 - all_wrong


def _noisy(k: int, draws: int) -> str:
    return f"pass@{k} from {draws} draws is noisy: {2 * k} or more are recommended"


def noisy_pass_k(scores: DataFrame) -> list[str]:
    """A warning for each pass@k of a tidy score table that has fewer than 2k draws.

    Where benchmarks have different numbers of draws (avg@n) the table does not hold them; `pass_at_k` has warned.
    """
    metrics = set(scores["metric"])
    numbers = {
        kind: sorted(int(name.removeprefix(kind)) for name in metrics if re.fullmatch(rf"{kind}\d+", name))
        for kind in ("avg@", "pass@")
    }
    return [_noisy(k, draws) for draws in numbers["avg@"] for k in numbers["pass@"] if draws < 2 * k]


def score_table(problems: DataFrame) -> DataFrame:
    """Average the per-problem table over problems: tidy scores with columns model, ..., benchmark, metric, value."""
    metrics = [column for column in problems.columns if column not in (*PROBLEM, "study", "n")]
    scores = problems.groupby([*RUN, "benchmark"], sort=True)[["n", *metrics]].mean().reset_index()
    tidy = scores.melt([*RUN, "benchmark", "n"], metrics, "metric", "value").dropna(subset=["value"])
    draws = tidy["n"].round().astype(int).unique()
    n = str(draws[0]) if len(draws) == 1 else "n"  # benchmarks with different numbers of draws keep one name
    tidy["metric"] = tidy["metric"].str.replace(r"^(avg|maj)(?= |$)", rf"\1@{n}", regex=True)
    return tidy.drop(columns="n").sort_values([*RUN, "benchmark", "metric"], ignore_index=True)


def problem_column(metric: str, columns: Sequence[str], where: str) -> str:
    """The per-problem column behind a metric's name: 'avg@n' and 'avg@8' -> 'avg', 'pass@4' -> itself."""
    name = re.sub(r"^(avg|maj)@\w+", r"\1", metric)
    if name not in columns:
        allowed = ["avg@n", "maj@n", *(column for column in columns if column.startswith("pass@"))]
        raise InputError(f"{where}: primary {metric!r} is no metric of this study (allowed: {', '.join(allowed)})")
    return name
