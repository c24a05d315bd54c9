"""Sampled answers with their verdicts: the same problems by every method, right and wrong ones side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.grading.grade_files import read_generations
from entrobench.evaluation.statistics.scores import BASE, SNAPSHOT

from .page.blocks import Answer, SampleProblem

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.results import AnswersFolder, StudyFolder

PROBLEMS = 2  # per cell
LONGEST = 900  # characters of an answer
HEAD = 250  # of these from its beginning: what was graded stands at the end


@dataclass(frozen=True)
class Place:
    """The runs of one cell and seed whose answers are shown, the base model's among them: {method: folder}."""

    title: str
    folders: dict[str, AnswersFolder]


def sample_problems(problems: DataFrame, files: StudyFolder, methods: Sequence[str]) -> dict[str, list[SampleProblem]]:
    """Of every cell the problems on which its methods differ most with the first seed, and one answer of each kind.

    By the cell's name, its methods in the order of `methods`. `problems` is the table of `scores.problem_table`. Cells
    without answers on disk are left out.
    """
    trained = problems[(problems["method"] != BASE["method"]) & (problems[SNAPSHOT] == 0)]
    shown = {}
    for (model, dataset), rows in trained.groupby(["model", "dataset"], sort=False):
        seed = rows["seed"].min()
        own = rows[rows["seed"] == seed]
        benchmark, chosen = _most_different(own)
        folders = {BASE["method"]: files.answers(f"base/{model}")}
        for method in (name for name in methods if name in set(own["method"])):
            folders[method] = files.run(f"{model}/{dataset}/{method}/seed{seed}")
        place = Place(f"{model} · {dataset}, seed {seed}, {benchmark}", folders)
        if samples := list(_samples(place, benchmark, chosen)):
            shown[f"{model} · {dataset}"] = samples
    return shown


def _most_different(rows: DataFrame) -> tuple[str, list[str]]:
    """The benchmark with the problem whose scores spread most over methods, and its first PROBLEMS of them."""
    spread = rows.groupby(["benchmark", "problem_id"])["avg"].agg(["max", "min"])
    ordered = (spread["max"] - spread["min"]).sort_values(ascending=False, kind="stable")
    benchmark = ordered.index[0][0]
    return str(benchmark), [problem for name, problem in ordered.index if name == benchmark][:PROBLEMS]


def _samples(place: Place, benchmark: str, chosen: Sequence[str]) -> Iterator[SampleProblem]:
    answers = {
        method: _graded(folder, benchmark, chosen)
        for method, folder in place.folders.items()
        if folder.generations(benchmark).is_file() and folder.grades(benchmark).is_file()
    }
    for problem in chosen:
        columns = [(method, [row for row in rows if row["problem_id"] == problem]) for method, rows in answers.items()]
        if not any(rows for _, rows in columns):
            continue
        first = next(rows[0] for _, rows in columns if rows)
        shown = [(method, _one_of_each(rows)) for method, rows in columns]
        texts = shortened(str(first.get("problem", problem))), shortened(str(first["gold"]))
        yield SampleProblem(place.title, *texts, shown)


def _graded(folder: AnswersFolder, benchmark: str, chosen: Sequence[str]) -> list[dict[str, Any]]:
    """The last weights' answers to the chosen problems, each with its verdict."""
    import pandas

    wanted = set(chosen)
    rows = [row for row in read_generations(folder.generations(benchmark)) if row["problem_id"] in wanted]
    rows = [row for row in rows if row.get(SNAPSHOT, 0) == 0]
    grades = pandas.read_parquet(folder.grades(benchmark))
    if SNAPSHOT in grades:
        grades = grades[grades[SNAPSHOT] == 0]
    grades = grades.set_index(["problem_id", "draw"])
    return [{**row, **grades.loc[(row["problem_id"], row["draw"])].to_dict()} for row in rows]


def _one_of_each(rows: Sequence[dict[str, Any]]) -> list[Answer]:
    """The first right and the first wrong answer; the share of right ones stands beside each."""
    right = sum(bool(row["correct"]) for row in rows)
    shown = []
    for correct in (True, False):
        own = [row for row in rows if bool(row["correct"]) is correct]
        if own:
            share = f"{right if correct else len(rows) - right} of {len(rows)} like this"
            shown.append(_answer(own[0], share))
    return shown


def _answer(row: dict[str, Any], share: str) -> Answer:
    read = row["extracted_prediction"]
    found = f"read as {shortened(read)}" if isinstance(read, str) and read else "nothing read"
    cut = ", cut off" if row["truncated"] else ""
    details = f"{row['reason']}; {found}; {row['tokens']} tokens{cut}; {share}"
    return Answer(shortened(row["response"]), bool(row["correct"]), str(row["outcome"]), details)


def shortened(text: str) -> str:
    """A long answer's beginning and end, with the number of characters between them."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:HEAD]}\n[… {len(text) - LONGEST:,} characters …]\n{text[HEAD - LONGEST :]}"
