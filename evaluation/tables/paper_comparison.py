"""Reproduced or not: a study's scores beside published ones, with an interval and a verdict per cell.

Like stands beside like: the tables of a paper that picks its checkpoints on test data beside our best on test, its
curves beside the mean of our last ten evaluations. A published score is one number of unknown noise, so its noise is
taken from our runs. With S runs, their variance s² (pooled over the methods of a model x dataset cell, df degrees of
freedom), and v(n) the variance that drawing n answers a problem puts into a score,

    difference = mean of ours − theirs ± t(df) · sqrt(s²/S + s² · max(1, v(n theirs) / v(n ours)) + r²/3),

which treats theirs as one more run: exact where both draw n answers, cautious where they draw fewer or more. r is half
a unit of its last digit, or the error of reading it off, and at least one answer's share of the score. v(n) = mean over
problems of p(1 − p) / (n · problems), with p̂(1 − p̂)·n/(n − 1) for p(1 − p), or the bound p̂(1 − p̂) of the whole score
where n is 1. An untrained model has no runs: its interval is normal, of the variance v(n ours) and, for theirs, that
bound. The best of several evaluations is the higher the fewer answers are drawn: where n differs it is shown without an
interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.statistics.intervals import LEVEL
from entrobench.evaluation.statistics.scores import BASE, RUN
from entrobench.results import StudyFolder
from entrobench.studies import published
from entrobench.studies.headline import baseline_of

from .entries import difference_entry, number_entry, score_entry
from .evaluations import BEST, LAST, LAST_TEN, hours_to_best, readings
from .table_formats import Entry, Table
from .wide_table import MEAN

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.studies.runs import Study

VERDICTS = ("agrees", "higher", "lower", "cannot tell")
MARGIN = 0.02  # ours: about what the paper's method gains on the average (0.018 and 0.028); no wider interval agrees
HOURS = "hours"  # the reading of the rows that compare GPU-hours to the baseline's best score


@dataclass(frozen=True)
class Noise:
    """What moves a score: the variance between runs, its degrees of freedom, and v(n ours), v(n theirs)."""

    runs: float
    degrees: int
    ours: float
    theirs: float


def interval(values: Sequence[float], theirs: float, noise: Noise, error: float) -> tuple[float, float]:
    """95 % interval of the mean of `values` (a score per run) minus one published score; infinite where it is unknown.

    Without `degrees` and variance between runs, which an untrained model lacks, only the noise of the answers is used.
    """
    import numpy
    from scipy import special

    difference = float(numpy.mean(values)) - theirs
    if noise.degrees == 0 and noise.runs != 0:
        return -math.inf, math.inf
    own = noise.runs / len(values) if noise.degrees else noise.ours
    other = noise.runs * max(1.0, noise.theirs / (noise.ours or 1.0)) if noise.degrees else noise.theirs
    quantile = special.stdtrit(noise.degrees or 1e9, (1 + LEVEL) / 2)
    half = float(quantile * numpy.sqrt(own + other + error**2 / 3))
    return difference - half, difference + half


def reproduction_verdict(lower: float, upper: float) -> str:
    """'higher' or 'lower' where ours differs, 'agrees' where no difference over MARGIN is left, else 'cannot tell'."""
    if lower > 0 or upper < 0:
        return "higher" if lower > 0 else "lower"
    return "agrees" if lower >= -MARGIN and upper <= MARGIN else "cannot tell"


def sampling_variance(problems: DataFrame, draws: int) -> float:
    """v(draws) of one benchmark from the per-problem scores `avg` of `n` draws each, of one or several runs."""
    n = int(problems["n"].min())
    size = problems.groupby(RUN)["avg"].size().max()
    p = problems["avg"]
    spread = (p * (1 - p)).mean() * n / (n - 1) if n > 1 else p.mean() * (1 - p.mean())
    return float(spread / (draws * size))


@dataclass
class Cell:
    """One model x dataset cell beside one setting of a paper."""

    place: str  # folder of results/reference / setting
    scores: DataFrame  # readings of the cell's runs
    base: DataFrame  # per-problem scores of the untrained model
    problems: DataFrame  # of the runs' last step, for the noise of drawing answers

    @cached_property
    def unknown(self) -> dict[str, list[str]]:
        """What is UNKNOWN about how theirs were made."""
        return published.unknown_settings(self.place)

    @cached_property
    def samples(self) -> int | None:
        """How many answers a problem they drew; None where that is UNKNOWN."""
        said = published.settings(self.place).get("evaluation", {}).get("samples", published.UNKNOWN)
        return None if said == published.UNKNOWN else int(said)

    @cached_property
    def benchmarks(self) -> dict[str, str]:
        """Our benchmarks by the names used for matching."""
        return {published_name(name): name for name in dict.fromkeys(self.problems["benchmark"])}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every published score for which this study has a counterpart."""
        ours = self.benchmarks
        tables = [row for path in published.tables(self.place) for row in published.rows(self.place, path.name)]
        for method in dict.fromkeys(row["method"] for row in tables):
            own = [row for row in tables if row["method"] == method and published_name(row["benchmark"]) in ours]
            for row in own:
                name = ours[published_name(row["benchmark"])]
                yield from self._row(method, BEST, name, row["score"], rounding(row["score"]), row)
            known = [row["score"] for row in own if row["score"] != published.UNKNOWN]
            if len(known) == len(ours) > 1:
                theirs = sum(map(float, known)) / len(known)
                yield from self._row(method, BEST, MEAN, f"{theirs:.4f}", rounding(known[0]), own[0])
        yield from self._curve_rows()

    def _curve_rows(self) -> Iterator[dict[str, Any]]:
        """The mean of the last evaluations of each published curve: of average scores, and of single benchmarks."""
        curves: dict[tuple[str, str], list[Mapping[str, str]]] = {}
        for row in (row for file in published.CURVES for row in published.rows(self.place, file)):
            benchmark = self.benchmarks.get(published_name(row["benchmark"])) if "benchmark" in row else MEAN
            if benchmark:
                curves.setdefault((row["method"], benchmark), []).append(row)
        for (method, benchmark), rows in curves.items():
            last = sorted(rows, key=lambda row: int(row["step"]))[-LAST:]
            if benchmark == MEAN:
                scores = [float(row["average_score"]) for row in last]
                error = float(last[-1].get("read_off_error") or rounding(last[-1]["average_score"]))
            else:
                scores, error = [int(row["correct"]) / int(row["answers"]) for row in last], 0.0
            yield from self._row(method, LAST_TEN, benchmark, f"{sum(scores) / len(last):.4f}", error, last[-1])

    def _row(
        self, method: str, reading: str, benchmark: str, theirs: str, error: float, source: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        """The comparison, if this study has runs of the method."""
        values = self._ours(method, reading, benchmark)
        if not values:
            return
        said = self.unknown.get(method, [])
        row: dict[str, Any] = {
            "setting": self.place,
            "method": method,
            "reading": BASE["method"] if method == BASE["method"] else reading,
            "benchmark": benchmark,
            "ours": sum(values) / len(values),
            "seeds": " ".join(f"{value:.6f}" for value in values),
            "theirs": theirs,
            "note": f"their {', '.join(said)} is UNKNOWN" if said else "",
            "source": source.get("source", ""),
            "grade": source.get("grade", ""),
        }
        if theirs == published.UNKNOWN:
            yield {**row, "verdict": "cannot tell"}
            return
        answers = self._answers(method, benchmark)
        draws = self.samples or int(answers["n"].min())  # as many as ours where that is UNKNOWN
        noise = self._noise(method, reading, answers, (float(theirs), draws))
        one_answer = 1 / (draws * answers.groupby(RUN).size().max())
        lower, upper = interval(values, float(theirs), noise, max(error, one_answer))
        if row["reading"] == BEST and set(answers["n"]) != {draws}:
            lower, upper = -math.inf, math.inf
            row["note"] = f"{row['note']}; they drew {draws} answers a problem".removeprefix("; ")
        numbers = {"difference": row["ours"] - float(theirs), "lower": lower, "upper": upper}
        yield {**row, **numbers, "verdict": reproduction_verdict(lower, upper)}

    def _ours(self, method: str, reading: str, benchmark: str) -> list[float]:
        if method == BASE["method"]:
            by_benchmark = self.base.groupby("benchmark")["avg"].mean()
            return [float(by_benchmark.mean() if benchmark == MEAN else by_benchmark[benchmark])]
        return list(self._chosen(reading, benchmark).query("method == @method")["score"])

    def _chosen(self, reading: str, benchmark: str) -> DataFrame:
        scores = self.scores
        return scores[(scores["reading"] == reading) & (scores["benchmark"] == benchmark)]

    def _answers(self, method: str, benchmark: str) -> DataFrame:
        """The per-problem scores of our runs' last step, or of the untrained model."""
        own = self.base if method == BASE["method"] else self.problems[self.problems["method"] == method]
        return own if benchmark == MEAN else own[own["benchmark"] == benchmark]

    def _noise(self, method: str, reading: str, answers: DataFrame, said: tuple[float, int]) -> Noise:
        """`said`: their score, and how many answers a problem they drew."""
        score, draws = said
        parts = [part for _, part in answers.groupby("benchmark", sort=False)]
        ours = sum(sampling_variance(part, int(part["n"].min())) for part in parts) / len(parts) ** 2
        if method == BASE["method"]:
            bound = sum(score * (1 - score) / (draws * len(part)) for part in parts) / len(parts) ** 2
            return Noise(0.0, 0, ours, bound)
        theirs = sum(sampling_variance(part, draws) for part in parts) / len(parts) ** 2
        benchmark = MEAN if len(parts) > 1 else parts[0]["benchmark"].iloc[0]
        runs = self._chosen(reading, benchmark).groupby("method")["score"]
        degrees = int((runs.size() - 1).sum())
        variance = float((runs.var(ddof=0) * runs.size()).sum() / degrees) if degrees else float("nan")
        return Noise(variance, degrees, ours, theirs)


def published_name(benchmark: str) -> str:
    """A benchmark's name for matching: its letters and digits, in lower case, so that MATH-Hard is math_hard."""
    return "".join(character for character in benchmark.lower() if character.isalnum())


def rounding(text: str) -> float:
    """Half a unit of the last digit of a printed number; 0 for UNKNOWN."""
    return 0.0 if text == published.UNKNOWN else 0.5 * 10.0 ** -len(text.partition(".")[2])


def compare_with_published(study: Study, evaluations: DataFrame, problems: DataFrame) -> DataFrame:
    """Every published number of the study's settings beside ours; the content of paper_comparison.csv.

    Columns: model, dataset, setting, method, reading, benchmark, ours, seeds, theirs, difference, lower, upper,
    verdict, note, source, grade. The rows with reading `hours` hold device hours until GRPO's best score, unjudged.
    """
    import pandas

    places = {(run.model, run.dataset): run.published for run in study.runs if run.published}
    found, hours = readings(evaluations), hours_to_best(evaluations)
    rows: list[dict[str, Any]] = []
    for (model, dataset), place in places.items():
        key = {"model": model, "dataset": dataset}
        base = problems[(problems["model"] == model) & (problems["method"] == BASE["method"])]
        cell = Cell(place, _cell(found, key), base, _cell(problems, key))
        rows += [{**key, **row} for row in cell.rows()]
        rows += [{**key, **row} for row in _hours_rows(place, _cell(hours, key))]
    columns = ["model", "dataset", "setting", "method", "reading", "benchmark", "ours", "seeds", "theirs"]
    columns += ["difference", "lower", "upper", "verdict", "note", "source", "grade"]
    return pandas.DataFrame(rows, columns=columns)


def _cell(table: DataFrame, key: Mapping[str, str]) -> DataFrame:
    return table[(table["model"] == key["model"]) & (table["dataset"] == key["dataset"])]


def _hours_rows(place: str, hours: DataFrame) -> Iterator[dict[str, Any]]:
    """Device hours until the baseline's best score (a paper's "to GRPO's best score"), beside the published ones."""
    baseline = baseline_of(list(dict.fromkeys(hours["method"])))
    for row in published.rows(place, "gpu_hours.csv"):
        own = hours[hours["method"] == row["method"]]
        if own.empty or row["quantity"].lower() != f"to {baseline}'s best score":
            continue
        reached = int(own["reached"].sum())
        lower = "; the others count with all they spent, so at least that" if reached < len(own) else ""
        yield {
            "setting": place,
            "method": row["method"],
            "reading": HOURS,
            "ours": own["device_hours"].mean(),
            "seeds": " ".join(f"{value:.4g}" for value in own["device_hours"]),
            "theirs": row["gpu_hours"],
            "verdict": "",
            "note": f"{reached} of {len(own)} runs reach it{lower}",
            "source": row["source"],
            "grade": row["grade"],
        }


def comparison_tables(folder: Path) -> list[Table]:
    """The tables of paper_comparison.csv: scores with verdicts, and GPU-hours."""
    import pandas

    file, texts = StudyFolder(folder).paper_comparison, {"theirs": str, "seeds": str}
    found = pandas.read_csv(file, dtype=texts, keep_default_na=False, na_values=[""])
    rows = found.fillna({"note": "", "seeds": "", "source": "", "grade": ""}).to_dict("records")
    tables = [_scores_table([row for row in rows if row["reading"] != HOURS])]
    if hours := [row for row in rows if row["reading"] == HOURS]:
        tables.append(_hours_table(hours))
    return tables


def _scores_table(rows: Sequence[Mapping[Any, Any]]) -> Table:
    body = []
    for row in rows:
        few = row["seeds"] if len(row["seeds"].split()) > 1 else ""
        known = row["theirs"] != published.UNKNOWN
        lower, upper = (row["lower"], row["upper"]) if math.isfinite(row["lower"]) else (None, None)
        body.append(
            [
                *(Entry(row[name], value=row[name]) for name in ("model", "dataset")),
                Entry(row["method"], row["note"], row["method"]),
                *(Entry(row[name], value=row[name]) for name in ("reading", "benchmark")),
                score_entry(row["ours"], None, few),
                Entry(f"{float(row['theirs']):.3f}" if known else row["theirs"], f"{row['source']}, {row['grade']}"),
                difference_entry(row["difference"], lower, upper, "") if known else Entry("–"),
                Entry(row["verdict"], value=row["verdict"]),
            ]
        )
    settings = dict.fromkeys(row["setting"] for row in rows)
    columns = ["model", "dataset", "method", "reading", "benchmark", "ours", "theirs", "ours − theirs", "verdict"]
    return Table("published", "Reproduced or not", columns, body, _note(list(settings), rows), group=3)


def _note(settings: Sequence[str], rows: Sequence[Mapping[Any, Any]]) -> str:
    counts = [f"{sum(row['verdict'] == name for row in rows)} {name}" for name in VERDICTS]
    unknown = [text for setting in settings for text in _unknown(setting)]
    return (
        f"Of {len(rows)}: {', '.join(counts)}. Ours: mean over runs. Theirs are one number each; its noise is taken as "
        "that of one of our runs, with its own number of answers a problem, since how many runs the paper made is not "
        "known. Interval: 95 % t, variance pooled over the methods; of an untrained model the noise of drawing answers "
        f"alone. Agrees: no difference over {MARGIN:g} is left in the interval; of exact reproductions 5 % are called "
        "higher or lower. Best on test is *selected on test data*, as theirs is. "
        f"UNKNOWN of theirs: {', '.join(unknown) or 'nothing'}. Source and grade: results/reference."
    )


def _unknown(setting: str) -> Iterator[str]:
    """What is UNKNOWN of a setting; a section of which nothing is known is named as a whole."""
    sections = published.settings(setting)
    for section, keys in published.unknown_settings(setting).items():
        whole = len(keys) == len(sections[section]) > 1
        yield from [f"{setting}: {section}"] if whole else [f"{setting}: {section}.{key}" for key in keys]


def _hours_table(rows: Sequence[Mapping[Any, Any]]) -> Table:
    body = [
        [
            *(Entry(row[name], value=row[name]) for name in RUN[:3]),
            number_entry(row["ours"], ".3g"),
            Entry(row["note"], value=row["note"]),
            Entry(row["theirs"], f"{row['source']}, {row['grade']}", row["theirs"]),
        ]
        for row in rows
    ]
    note = (
        "Device hours of training until an evaluation reaches the best average score of GRPO's run with the same seed, "
        "mean over the runs; one that never does counts with all hours that it spent. No verdict: theirs are hours of "
        "other hardware and engines."
    )
    return Table("hours", "GPU-hours to GRPO's best score", [*RUN[:3], "ours", "runs", "theirs"], body, note, group=2)
