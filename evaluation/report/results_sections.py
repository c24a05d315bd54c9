"""The parts of a report that say what was found, in the order of a reader's questions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import replace as with_changes
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.diagnosis.diagnose import run_findings
from entrobench.evaluation.figures.curve_figures import curve_note, curve_panels
from entrobench.evaluation.figures.difference_figure import NOTE as DIFFERENCE_NOTE
from entrobench.evaluation.figures.difference_figure import difference_panels
from entrobench.evaluation.figures.score_figures import (
    ENTROPY_NOTE,
    PASS_NOTE,
    SCORES_NOTE,
    entropy_score_panels,
    pass_k_panels,
    score_panels,
)
from entrobench.evaluation.figures.study_curves import (
    ENTROPY,
    Curves,
    clamp_curves,
    equal_cost_curves,
    evaluation_curves,
    learning_curves,
)
from entrobench.evaluation.statistics.scores import problem_column
from entrobench.evaluation.tables.clamps import clamp_tables
from entrobench.evaluation.tables.study_tables import read_tables
from entrobench.evaluation.tables.wide_table import run_costs
from entrobench.results import RESULTS, StudyFolder

from .changed_problems import NOTE as PROBLEMS_NOTE
from .changed_problems import problem_tables
from .diagnosis_section import diagnosis_blocks
from .page.blocks import Block, Folded, Paragraphs, Samples, Section, Tabular
from .page.drawings import drawing
from .pairs import pair_blocks
from .reference_check import reference_lines
from .sample_answers import sample_problems
from .sweep_section import sweep_section

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.evaluation.tables.table_formats import Table
    from entrobench.studies.runs import Study

TITLES = {  # of the figures of quantities over training: title, what they show
    ENTROPY: ("Entropy of the policy", "Full-vocabulary entropy at temperature 1 for every method, over training."),
    "reward": ("Training reward", "Mean reward of the sampled answers, at equal steps."),
    "length": ("Response length", "Mean length of the sampled answers."),
    "coefficient": ("Coefficient", "The weight λ of the entropy term, where a method has one."),
    "kl": ("Distance from the sampling policy", "Mean of logp_old − logp over a step's updates."),
    "clip_share": ("Clipped tokens", "Share of tokens whose gradient the loss cut off, low and high together."),
    "grad_norm": ("Gradient norm", "Before it is clipped, mean over a step's updates."),
    "reward_by_tokens": ("Training reward at equal generated tokens", "The same against what was sampled."),
    "reward_by_time": ("Training reward at equal device time", "The same against the time of the device."),
    "evaluations": ("Scores along the way", "On the benchmarks, at every evaluated step; none is picked."),
}
DIFFERENCES = ("Differences to the baseline", "Right of 0: the method scores higher.")
SCORES = ("Scores by task", "After the last training step; no checkpoint is picked.")
BY_ENTROPY = ("Score against final entropy", "Does keeping entropy go with a better score?")
PASS_K = ("pass@k", "The chance that one of k answers is right, on each benchmark.")
SAMPLES_NOTE = (
    "Of each model and dataset the problems on which its methods differ most with the first seed, so they are no fair "
    "sample: one right and one wrong answer of every method that has it, with the grader's verdict and its reason."
)
FOLDED_TABLES = ("metrics", "answers")


@dataclass
class Found:
    """What `compare` found about a study: its files, read once."""

    study: Study
    folder: Path

    @cached_property
    def files(self) -> StudyFolder:
        return StudyFolder(self.folder)

    @cached_property
    def statistics(self) -> dict[str, Any]:
        return dict(json.loads(self.files.statistics.read_text()))

    @property
    def metric(self) -> str:
        """The primary headline metric."""
        return str(self.statistics["metric"])

    @cached_property
    def scores(self) -> DataFrame:
        import pandas

        return pandas.read_parquet(self.files.scores)

    @cached_property
    def problems(self) -> DataFrame:
        import pandas

        return pandas.read_parquet(self.files.problems)

    @cached_property
    def curves(self) -> DataFrame:
        import pandas

        return pandas.read_parquet(self.files.curves)

    @cached_property
    def evaluations(self) -> DataFrame | None:
        import pandas

        return pandas.read_parquet(self.files.evaluations) if self.files.evaluations.is_file() else None

    @cached_property
    def tables(self) -> dict[str, Table]:
        return {table.name: table for table in read_tables(self.folder)[1]}

    @cached_property
    def methods(self) -> list[str]:
        """In the study's order; every method that has steps."""
        return list(dict.fromkeys(self.curves["method"]))

    def drawn(self, curves: Curves) -> list[Block]:
        """Quantities over training, a figure each."""
        found = []
        for name, (table, quantity) in curves.items():
            note = curve_note(table, quantity.smoothed(table["step"].nunique()).window, each=False)
            found += drawing(
                name, TITLES.get(name, (quantity.label, "")), curve_panels(table, quantity), self.methods, note
            )
        return found


def results_sections(found: Found) -> list[Section]:
    """All that have something to show. A further part is a function of `found` that gives blocks, and a line here."""
    parts = (
        Section("answer", "Which is better?", _answer(found), "Answer"),
        Section("published", "Beside the published numbers", _published(found), "Published"),
        Section("learning", "How they learned", _learning(found), "Learning curves"),
        Section("diagnosis", "Did anything go wrong?", _diagnosis(found), "Diagnosis"),
        Section("entropy", "Does entropy go with the score?", _entropy(found), "Entropy"),
        Section("passk", "How far do more answers help?", _pass_k(found), "pass@k"),
        Section("tasks", "Task by task", _tasks(found), "Tasks"),
        Section("pairs", "Every pair of methods", _pairs(found), "Pairs"),
        Section("samples", "What answers look like", _samples(found), "Answers"),
        Section("problems", "Which problems changed", _problems(found), "Problems"),
        *sweep_section(found.study, found.folder),
        Section("clamps", "What was clamped", _clamps(found), "Clamping"),
        Section("cost", "What it cost", _cost(found), "Cost"),
    )
    return [section for section in parts if section.blocks]


def _answer(found: Found) -> list[Block]:
    """The forest plot, the entropy, and the leaderboard with what its numbers mean."""
    boards = [table for name, table in found.tables.items() if name.startswith("comparison")]
    entropy = {name: curve for name, curve in learning_curves(found.curves).items() if name == ENTROPY}
    panels = difference_panels(found.statistics)
    return [
        *drawing("differences", DIFFERENCES, panels, found.methods, DIFFERENCE_NOTE),
        *found.drawn(entropy),
        *(Tabular(with_changes(table, note="")) for table in boards),
        Folded("How to read these numbers", [Paragraphs(boards[0].note.split("\n"))]),
        *_reference(found),
    ]


def _reference(found: Found) -> list[Block]:
    reference = RESULTS.reference(found.study.name)
    if not reference.scores.is_file():
        return []
    title, *lines = reference_lines(found.folder, reference.folder)
    return [Folded(title, [Paragraphs(lines)])]


def _published(found: Found) -> list[Block]:
    return [Tabular(found.tables[name]) for name in ("published", "hours") if name in found.tables]


def _learning(found: Found) -> list[Block]:
    curves = {name: curve for name, curve in learning_curves(found.curves).items() if name != ENTROPY}
    return [
        *found.drawn(evaluation_curves(found.evaluations, found.metric)),
        *found.drawn(curves),
        Folded("Reward at equal tokens and at equal time", found.drawn(equal_cost_curves(found.curves))),
    ]


def _diagnosis(found: Found) -> list[Block]:
    """Of the study's own runs; those made elsewhere have no settings of ours."""
    runs = [found.files.run(run.key) for run in found.study.runs]
    return diagnosis_blocks([finding for run in runs for finding in run_findings(run)])


def _entropy(found: Found) -> list[Block]:
    panels = entropy_score_panels(run_costs(found.curves), found.scores, found.metric)
    return [
        *drawing("by-entropy", BY_ENTROPY, panels, found.methods, ENTROPY_NOTE),
        Tabular(found.tables["entropy"]),
    ]


def _pass_k(found: Found) -> list[Block]:
    return drawing("pass-k", PASS_K, pass_k_panels(found.curves, found.scores), found.methods, PASS_NOTE)


def _tasks(found: Found) -> list[Block]:
    panels = score_panels(found.curves, found.scores, found.metric)
    tables = [found.tables[name] for name in ("scores", "readings") if name in found.tables]
    return [
        *drawing("scores", SCORES, panels, found.methods, SCORES_NOTE),
        *map(Tabular, tables),
        *(Folded(found.tables[name].title, [Tabular(found.tables[name])]) for name in FOLDED_TABLES),
    ]


def _pairs(found: Found) -> list[Block]:
    column = problem_column(found.metric, list(found.problems.columns), str(found.study.path))
    return pair_blocks(found.problems, column, found.methods, found.metric) if len(found.methods) > 2 else []


def _samples(found: Found) -> list[Block]:
    samples = sample_problems(found.problems, found.files, found.methods)
    shown: list[Block] = [Samples(own) for own in samples.values()]
    rest = [Folded(cell, [block]) for cell, block in list(zip(samples, shown, strict=True))[1:]]
    return [Paragraphs([SAMPLES_NOTE]), shown[0], *rest] if samples else []


def _problems(found: Found) -> list[Block]:
    tables = problem_tables(found.problems, found.files)
    return [Paragraphs([PROBLEMS_NOTE]), *map(Tabular, tables)] if tables else []


def _clamps(found: Found) -> list[Block]:
    tables = clamp_tables(found.study, found.folder)
    if not tables:
        return []
    return [*found.drawn(clamp_curves(found.curves)), *map(Tabular, tables)]


def _cost(found: Found) -> list[Block]:
    return [Tabular(found.tables[name]) for name in ("training", "budgets")]
