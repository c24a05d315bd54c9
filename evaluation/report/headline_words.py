"""A study's answer in some sentences, made from its numbers; they say no more than these.

The numbers are those of the comparison and of the entropy table. A finished study has them in its results, a committed
one in results/reference/<study>/headline.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.errors import unknown
from entrobench.evaluation.statistics.analysis import A_A
from entrobench.evaluation.statistics.intervals import pooled_t
from entrobench.evaluation.statistics.power import MOST_SEEDS, seeds_for
from entrobench.evaluation.statistics.scores import headline_scores
from entrobench.evaluation.tables.entries import signed
from entrobench.evaluation.tables.entropy_table import entropies
from entrobench.evaluation.tables.wide_table import run_costs
from entrobench.results import RESULTS, StudyFolder
from entrobench.studies.headline import ENOUGH_SEEDS

if TYPE_CHECKING:
    from pandas import DataFrame

SETTLED = 0.01  # the difference whose seeds are named where a study declares none: ours
NAMED = 3  # methods that a sentence names; of more it gives the number and the ends


@dataclass(frozen=True)
class Estimate:
    """A difference with its 95 % interval; without one where there is one seed."""

    value: float
    lower: float | None = None
    upper: float | None = None

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0, else 0."""
        if self.lower is None or self.upper is None:
            return 0
        return int(self.lower > 0) - int(self.upper < 0)

    def __str__(self) -> str:
        interval = "" if self.lower is None or self.upper is None else f" [{signed(self.lower)}, {signed(self.upper)}]"
        return signed(self.value) + interval


@dataclass(frozen=True)
class Compared:
    """One method beside the baseline in one headline metric, over the whole study.

    `seeds_needed`: seeds per cell that would settle `Answer.settled`; 0 where one seed cannot say, MOST_SEEDS + 1
    where it takes more than MOST_SEEDS.
    """

    metric: str
    method: str
    difference: Estimate
    verdict: str
    detectable: float | None = None
    seeds_needed: int = 0


@dataclass(frozen=True)
class Answer:
    """What the headline is made of. `scores`: of each method in the first metric; `entropy`: final, to the baseline's.

    `base` is the untrained base models' score, a mean over the cells; `seeds` are the fewest of any method in a cell.
    """

    baseline: str
    seeds: int
    settled: float
    scores: dict[str, float]
    base: float | None
    compared: list[Compared]
    entropy: dict[str, Estimate]

    @property
    def metrics(self) -> list[str]:
        """The headline metrics, the primary one first."""
        return list(dict.fromkeys(row.metric for row in self.compared))

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Answer:
        """From what `asdict` made of one."""
        compared = [Compared(**row | {"difference": Estimate(**row["difference"])}) for row in content["compared"]]
        entropy = {method: Estimate(**found) for method, found in content["entropy"].items()}
        return cls(**{**content, "compared": compared, "entropy": entropy})


def answer_of(folder: Path) -> Answer:
    """The numbers of a study's headline, from statistics.json, scores.parquet and curves.parquet in its folder."""
    import pandas

    files = StudyFolder(folder)
    statistics = json.loads(files.statistics.read_text())
    scores, curves = pandas.read_parquet(files.scores), pandas.read_parquet(files.curves)
    metric, settled = statistics["metric"], statistics["detect"] or SETTLED
    study = [row for row in statistics["comparisons"] if row["scope"] == "study"]
    tests = sum(row["p_holm"] is not None for row in study)
    own = headline_scores(scores[scores["method"] == "base"], metric)
    base = own.groupby("model")["value"].mean().reindex(curves.drop_duplicates(["model", "dataset"])["model"]).mean()
    seeds = curves.groupby(["model", "dataset", "method"])["seed"].nunique()
    return Answer(
        statistics["baseline"],
        int(seeds.min()),
        settled,
        {row["method"]: row["mean"] for row in statistics["aggregates"] if row["metric"] == metric},
        None if base != base else float(base),
        [_compared(row, settled, tests) for row in study],
        entropy_differences(curves),
    )


def _compared(row: Mapping[str, Any], settled: float, tests: int) -> Compared:
    fewest, needed = min(len(seeds) for seeds in row["seeds"]), 0
    if fewest > 1 and row["standard_error"] is not None and tests:
        found = seeds_for(settled, row["standard_error"], row["degrees"], fewest, tests)
        needed = MOST_SEEDS + 1 if found is None else found
    difference = Estimate(row["difference"], row["lower"], row["upper"])
    return Compared(row["metric"], row["method"], difference, row["verdict"], row["detectable"], needed)


def entropy_differences(curves: DataFrame) -> dict[str, Estimate]:
    """Final entropy minus that of the baseline's run of the same seed, mean over cells, with its paired t interval."""
    found = entropies(run_costs(curves)).dropna(subset=["difference"])
    estimates = {}
    for method, own in found[found["method"] != baseline_in(found)].groupby("method", sort=False):
        interval = pooled_t([cell["difference"].to_numpy() for _, cell in own.groupby(["model", "dataset"])])
        estimates[str(method)] = Estimate(interval.mean, interval.lower, interval.upper)
    return estimates


def baseline_in(runs: DataFrame) -> str:
    """The baseline among the methods of a table of runs."""
    from entrobench.studies.headline import baseline_of

    return baseline_of(list(dict.fromkeys(runs["method"])))


def headline(answer: Answer) -> list[str]:
    """The sentences: which is better, what became of the entropy, what training gained, how many seeds it takes."""
    others = [method for method in answer.scores if method != answer.baseline]
    if not others:
        return [f"One method, {answer.baseline}: nothing is compared.", *_gain(answer)]
    verdicts = [sentence for metric in answer.metrics for sentence in _verdicts(answer, metric)]
    return [*verdicts, *_entropy(answer), *_gain(answer), *_seeds(answer)]


def _verdicts(answer: Answer, metric: str) -> Iterator[str]:
    rows = [row for row in answer.compared if row.metric == metric and row.verdict != A_A]
    found = {name: [row for row in rows if row.verdict == name] for name in ("better", "worse")}
    for name, own in found.items():
        if own:
            where, listed = "Higher" if name == "better" else "Lower", [(row.method, row.difference) for row in own]
            yield f"{where} than {answer.baseline} in {metric}: {_listed(listed)}."
    silent = [row for row in rows if row.verdict not in found]
    if not silent:
        return
    few = [row for row in silent if row.verdict == "too few seeds"]
    refused = [row for row in silent if row.verdict == "no audited interval"]
    if few:
        seeds = f"{answer.seeds} seed{'s' if answer.seeds > 1 else ''} per cell"
        yield f"Too few seeds to call a method better or worse in {metric}: {seeds}, a verdict takes {ENOUGH_SEEDS}."
        yield f"Differences to {answer.baseline} so far: {_listed([(row.method, row.difference) for row in few])}."
    elif refused:
        yield f"No verdict in {metric}: no interval was audited for a study of this size."
    else:
        who = "No other method" if len(silent) < len(rows) else "No method"
        yield f"{who} is shown to differ from {answer.baseline} in {metric}.{_power(silent)}"


def _power(rows: Sequence[Compared]) -> str:
    known = [row.detectable for row in rows if row.detectable is not None]
    if not known:
        return ""
    limit = f"{min(known):.3f}" if max(known) - min(known) < 5e-4 else f"{min(known):.3f} to {max(known):.3f}"
    return f" Only differences of {limit} or more had an 80 % chance to show."


def _entropy(answer: Answer) -> Iterator[str]:
    """Descriptive: intervals of many methods, uncorrected."""
    if not answer.entropy:
        return
    found = {sign: {m: e for m, e in answer.entropy.items() if e.sign == sign} for sign in (1, -1, 0)}
    if all(estimate.lower is None for estimate in answer.entropy.values()):
        listed = _listed(list(answer.entropy.items()))
        yield f"Final entropy beside {answer.baseline}'s: {listed} nats/token (no intervals)."
        return
    for sign, word in ((1, "More"), (-1, "Less")):
        if found[sign]:
            yield f"{word} final entropy than {answer.baseline}: {_listed(list(found[sign].items()))} nats/token."
    if found[0]:
        names = list(found[0])
        rest = (
            " for " + ", ".join(names) if len(names) <= NAMED else f" for {len(names)} of {len(answer.entropy)} methods"
        )
        yield f"No difference in final entropy is seen{rest} (95 % intervals, not corrected for their number)."


def _gain(answer: Answer) -> Iterator[str]:
    if answer.base is None:
        return
    gains = [score - answer.base for score in answer.scores.values()]
    if min(gains) > 0:
        who = f"All {len(gains)} methods gain" if len(gains) > 1 else "It gains"
        yield f"{who} {_range(gains, '{:.3f}'.format)} over the untrained base model's {answer.base:.3f}."
    else:
        who = f"{sum(gain > 0 for gain in gains)} of {len(gains)} methods gain"
        yield f"{who} over the untrained base model's {answer.base:.3f}: {_range(gains, signed)}."


def _seeds(answer: Answer) -> Iterator[str]:
    rows = [row for row in answer.compared if row.metric == answer.metrics[0] and row.verdict != A_A]
    needed = [row.seeds_needed for row in rows]
    if answer.seeds < 2 or not any(needed):
        yield "How many seeds would settle a difference, one seed cannot say."
        return
    low, high = min(needed), max(needed)
    text = f"more than {MOST_SEEDS:,}" if low > MOST_SEEDS else f"about {low:,}"
    if low <= MOST_SEEDS and high > low:
        text += f" to more than {MOST_SEEDS:,}" if high > MOST_SEEDS else f" to {high:,}"
    count = "seed" if high == 1 else "seeds"
    yield f"A true difference of {answer.settled:g} would take {text} {count} per cell to show (80 % power)."


def _listed(found: Sequence[tuple[str, Estimate]]) -> str:
    """Each with its interval; of many the number and the ends."""
    if len(found) <= NAMED:
        return ", ".join(f"{method} {estimate}" for method, estimate in found)
    ordered = sorted(found, key=lambda pair: pair[1].value)
    (least, low), (most, high) = ordered[0], ordered[-1]
    return f"{len(found)} methods, from {signed(low.value)} ({least}) to {signed(high.value)} ({most})"


def _range(values: Sequence[float], form: Any) -> str:
    low, high = form(min(values)), form(max(values))
    return low if low == high else f"{low} to {high}"


def write_answer(study_folder: Path, file: Path) -> Path:
    """Commit the numbers of a finished study's headline; returns the file."""
    file.write_text(json.dumps(asdict(answer_of(study_folder)), indent=1, allow_nan=False) + "\n")
    return file


def headline_of_study(name: str) -> list[str]:
    """The sentences of a study by its name: of its results, or else of the committed reference. InputError for neither.

    A study of kind theory has its own findings.
    """
    folder, reference = RESULTS.study(name), RESULTS.reference(name)
    if folder.statistics.is_file():
        return headline(answer_of(folder.folder))
    if reference.headline.is_file():
        return headline(Answer.read(json.loads(reference.headline.read_text())))
    for file in (folder.findings, reference.findings):
        if file.is_file():
            return file.read_text().splitlines()
    raise unknown("study with results", name, _known(), "entrobench headline")


def _known() -> list[str]:
    """The studies whose answer can be told."""
    committed = [RESULTS.reference(folder.name) for folder in RESULTS.reference_root.glob("*")]
    told = {one.folder.name for one in committed if one.headline.is_file() or one.findings.is_file()}
    return sorted(told | {study.name for study in RESULTS.studies() if study.statistics.is_file()})
