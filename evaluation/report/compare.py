"""`entrobench compare`: a study's graded runs become scores, statistics, tables and figures."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.catalogue.marks import method_marks
from entrobench.errors import InputError
from entrobench.evaluation.statistics.admission import read_audit
from entrobench.evaluation.statistics.analysis import Declared, analyse
from entrobench.evaluation.statistics.scores import (
    RUN,
    noisy_pass_k,
    problem_column,
    score_table,
    study_problems,
)
from entrobench.evaluation.tables.study_tables import write_tables
from entrobench.evaluation.tables.table_formats import show
from entrobench.evaluation.tables.wide_table import accuracy_metrics
from entrobench.foreign.imported import MARK, imported_keys
from entrobench.provenance import check_mathematics
from entrobench.results import RESULTS, StudyFolder
from entrobench.run_keys import RunKey

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.studies.runs import Study


def compare(study: Study, folder: Path) -> None:
    """Write scores.parquet, problems.parquet, curves.parquet, statistics.json, table.* and figures/ into `folder`.

    Where runs are evaluated along the way, evaluations.parquet is written as well; where there are published numbers,
    paper_comparison.csv. Reads the grades and steps.parquet of the study's runs below `folder`, and prints the tables
    to the terminal. Raises InputError if a run is not trained or not graded yet, or was trained by other mathematics.
    """
    from entrobench.evaluation.figures.study_figures import write_figures

    check_mathematics((StudyFolder(folder).run(run.key) for run in study.runs), str(study.path))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pass@")  # said below in a line of our own, and in the table
        problems = _graded(study, folder)
    curves = read_curves(study, folder)
    scores = score_table(problems)
    column = problem_column(study.primary, list(problems.columns), str(study.path))
    statistics = analyse(problems, declared(study, problems, scores), read_audit())
    files = StudyFolder(folder)
    statistics["marks"] = {f"{run.model}/{run.dataset}/{run.method}": method_marks(run.config) for run in study.runs}
    statistics["marks"] |= {f"{key.model}/{key.dataset}/{key.method}": [MARK] for key in imported_keys(files)}
    scores.to_parquet(files.scores, index=False)
    problems.to_parquet(files.problems, index=False)
    curves.to_parquet(files.curves, index=False)
    evaluated = _write_evaluations(study, files, problems, curves, column)
    files.statistics.write_text(json.dumps(statistics, indent=1, allow_nan=False) + "\n")
    tables = write_tables(folder)
    write_figures(curves, scores, statistics, files.figures, read_sweep(study), used_values(study), evaluated)
    show(tables[: 1 + len(statistics["metrics"])])
    for warning in noisy_pass_k(scores):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"All tables: {files.table('md')}; figures: {files.figures}")


def declared(study: Study, problems: DataFrame, scores: DataFrame) -> Declared:
    """What the study's file declares about its verdicts, in the names of these tables."""
    columns = [problem_column(name, list(problems.columns), str(study.path)) for name in study.headline.metrics]
    shown = {problem_column(name, list(problems.columns), str(study.path)): name for name in accuracy_metrics(scores)}
    methods = list(dict.fromkeys(run.method for run in study.runs))
    trained = problems[problems["method"] != "base"]
    methods += sorted(set(trained["method"]) - set(methods))  # imported ones that have answers
    named = {column: shown[column] for column in columns}
    return Declared(named, methods, study.headline.a_a_arm, study.headline.detect, study.headline.clipped_at_least)


def _write_evaluations(
    study: Study, files: StudyFolder, problems: DataFrame, curves: DataFrame, column: str
) -> DataFrame | None:
    """Write evaluations.parquet and paper_comparison.csv, or remove those of an earlier version of the study."""
    from entrobench.evaluation.tables import evaluations, paper_comparison

    for file in (files.evaluations, files.paper_comparison):
        file.unlink(missing_ok=True)
    if not any(run.snapshots for run in study.runs):
        return None
    evaluated = evaluations.collect_evaluations(study, files.folder, problems, curves, column)
    evaluated.to_parquet(files.evaluations, index=False)
    if any(run.published for run in study.runs):
        compared = paper_comparison.compare_with_published(study, evaluated, problems)
        compared.to_csv(files.paper_comparison, index=False)
    return evaluated


def _graded(study: Study, folder: Path) -> DataFrame:
    """The per-problem scores of the study's own runs and base models. InputError names what is not graded."""
    problems = study_problems(folder, study.pass_k)
    wanted = {(run.model, run.dataset, run.method, run.seed) for run in study.runs}
    wanted |= {(model, "none", "base", 0) for model in study.base_models}
    needed = {(*run, benchmark) for run in wanted for benchmark in study.benchmarks}
    keys = problems.set_index([*RUN, "benchmark"]).index
    if missing := sorted(needed - set(keys)):
        first = "/".join(map(str, missing[0]))
        raise InputError(f"{folder}: {len(missing)} of {len(needed)} gradings are missing, first {first}")
    needed |= _imported(StudyFolder(folder), study.benchmarks, set(keys))
    return problems[keys.isin(list(needed))].assign(study=study.name).reset_index(drop=True)


def _imported(files: StudyFolder, benchmarks: Sequence[str], graded: set[Any]) -> set[tuple[Any, ...]]:
    """The gradings of runs made elsewhere that answered all benchmarks; those that did not are in the curves alone."""
    found: set[tuple[Any, ...]] = set()
    for key in imported_keys(files):
        own = {(key.model, key.dataset, key.method, key.seed, benchmark) for benchmark in benchmarks}
        found |= own if own <= graded else set()
    return found


def read_curves(study: Study, folder: Path) -> DataFrame:
    """Join the steps.parquet of all runs, in the study's order, with columns study, model, dataset, method, seed."""
    import pandas

    files, frames = StudyFolder(folder), []
    own = [RunKey(run.model, run.dataset, run.method, run.seed) for run in study.runs]
    for run in [*own, *imported_keys(files)]:
        file = files.run(str(run)).steps
        if not file.is_file():
            raise InputError(f"{file}: missing; train this run first")
        key: dict[str, Any] = {"study": study.name, **vars(run)}
        steps = pandas.read_parquet(file)
        frames.append(steps.assign(**key)[[*key, *steps.columns]])
    return pandas.concat(frames, ignore_index=True)


def read_sweep(study: Study) -> DataFrame | None:
    """The sweep behind the study's values, of its own trials or committed; None where the study has none."""
    import pandas

    file = study.files.trials.sweep if study.tuning else RESULTS.reference(study.name).sweep
    return pandas.read_csv(file) if file.is_file() else None


def used_values(study: Study) -> dict[tuple[str, str], list[float]]:
    """The numbers that each method runs with in this study: (method, key) -> different values."""
    used: dict[tuple[str, str], list[float]] = {}
    for run in study.runs:
        for key, value in run.config.method.values.items():
            if isinstance(value, (int, float)) and value not in used.setdefault((run.method, key), []):
                used[run.method, key].append(value)
    return used
