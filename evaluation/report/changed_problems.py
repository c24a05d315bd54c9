"""The problems that training changed most, and those on which methods differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from entrobench.evaluation.grading.grade_files import read_generations
from entrobench.evaluation.statistics.scores import BASE
from entrobench.evaluation.tables.entries import number_entry, signed
from entrobench.evaluation.tables.table_formats import Entry, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from entrobench.results import StudyFolder

EACH = 8  # problems in a table
SHOWN = 8  # methods that get a column each
LONGEST = 140  # characters of a problem's text
KEY = ["model", "benchmark", "problem_id"]
NOTE = (
    "Share of right answers, mean over datasets and seeds. These are extremes: part of what they show is the chance "
    "that made them so."
)
Key = tuple[str, str, str]  # of KEY


def problem_tables(problems: DataFrame, files: StudyFolder) -> list[Table]:
    """Gained most, lost most, methods differ most; `problems` is the table of `scores.problem_table`."""
    means = mean_by_method(problems)
    methods = [name for name in dict.fromkeys(problems["method"]) if name != BASE["method"]]
    trained = means[methods].mean(axis=1)
    change, spread = trained - means["base"], means[methods].max(axis=1) - means[methods].min(axis=1)
    kinds = {
        "Gained most": change[change > 0].nlargest(EACH),
        "Lost most": change[change < 0].nsmallest(EACH),
        "Methods differ most": spread[spread > 0].nlargest(EACH) if len(methods) > 1 else spread[:0],
    }
    texts = problem_texts(files, [key for found in kinds.values() for key in found.index])
    return [_table(kind, found, means[methods], means["base"], texts) for kind, found in kinds.items() if len(found)]


def mean_by_method(problems: DataFrame) -> DataFrame:
    """[model, benchmark, problem] x method: share of right answers, mean over datasets and seeds; base among them."""
    found = problems.pivot_table("avg", KEY, "method", aggfunc="mean")
    return found if "base" in found else found.assign(base=float("nan"))


def problem_texts(files: StudyFolder, keys: Sequence[Key]) -> dict[Key, str]:
    """The texts of problems, from what the base models were asked; those that are not on disk are missing."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for model, benchmark, problem in keys:
        wanted.setdefault((model, benchmark), set()).add(problem)
    texts = {}
    for (model, benchmark), ids in wanted.items():
        file = files.answers(f"base/{model}").generations(benchmark)
        for row in read_generations(file) if file.is_file() else ():
            if row["problem_id"] in ids and "problem" in row:
                texts[model, benchmark, row["problem_id"]] = str(row["problem"])
    return texts


def _table(kind: str, found: Series[float], means: DataFrame, base: Series[float], texts: Mapping[Key, str]) -> Table:
    """A row per problem in `found`: its text, where it stands, and the scores of the base model and the methods."""
    few = list(means.columns) if len(means.columns) <= SHOWN else []
    rows = []
    for key in found.index:
        text, own = texts.get(key, key[2]), means.loc[key]
        numbers = [number_entry(own[name], ".2f") for name in few] or [
            Entry(f"{own[name]:.2f} ({name})", value=float(own[name])) for name in (own.idxmax(), own.idxmin())
        ]
        change = float(own.mean() - base[key])
        rows.append(
            [
                Entry(text if len(text) <= LONGEST else f"{text[:LONGEST]}…", value=text[:LONGEST]),
                *(Entry(name, value=name) for name in key[:2]),
                number_entry(base[key], ".2f"),
                *numbers,
                Entry(signed(change), value=change) if change == change else Entry("–"),
            ]
        )
    columns = ["problem", "model", "benchmark", "base", *(few or ["highest", "lowest"]), "mean change"]
    return Table(f"problems {kind}", kind, columns, rows)
