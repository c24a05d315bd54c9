"""The commands that turn graded answers into scores, tables, statistics, figures and the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from entrobench.errors import InputError
from entrobench.results import RESULTS, StudyFolder

from .arguments import StudyName


def compare(study: StudyName) -> None:
    """Write a study's scores, tables, statistics and figures from the graded answers.

    Example: entrobench compare quickstart
    """
    from entrobench.evaluation.report.compare import compare
    from entrobench.studies.lock import with_derived_values
    from entrobench.studies.study import load_study

    loaded = with_derived_values(load_study(study))
    compare(loaded, loaded.folder)


def tune(study: StudyName) -> None:
    """Choose a study's tuned values, {tune: [...]}, from its graded trials; write tuning.json, sweep.csv and a figure.

    Example: entrobench tune exploration
    """
    from entrobench.evaluation.report.tuning import tune, tuning_lines
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    found = tune(loaded, loaded.folder, RESULTS.data_root)
    for name, chosen in found["methods"].items():
        print(f"{name}: {chosen['key']} {chosen['value']:g}, {found['metric']} {chosen['score']:.4f}")
    print("\n".join(tuning_lines(loaded.folder)))


def sweep(
    study: StudyName,
    target: Annotated[str, typer.Argument(help="the study whose coefficient the sweep decides")],
) -> None:
    """Commit a compared sweep study as results/reference/TARGET/sweep.csv, which TARGET's report then shows.

    Example: entrobench sweep quickstart-sweep quickstart
    """
    from entrobench.evaluation.tables.sweep import write_sweep
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    print(f"wrote {write_sweep(loaded, loaded.folder, RESULTS.reference(load_study(target).name).folder)}")


def check(
    study: StudyName,
    write: Annotated[bool, typer.Option("--write", help="make the finished study the new reference instead")] = False,
) -> None:
    """Compare a study's scores with those in results/reference/<study>, line by line.

    Example: entrobench check quickstart
    """
    from entrobench.evaluation.report.headline_words import write_answer
    from entrobench.evaluation.report.reference_check import check, write_reference
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    reference = RESULTS.reference(loaded.name)
    if not loaded.files.scores.exists():
        raise InputError(f"entrobench check: {loaded.files.scores} is not there yet; make study writes it")
    if write:
        print(f"wrote {write_reference(loaded.folder, reference.folder, loaded.metrics)}")
        print(f"wrote {write_answer(loaded.folder, reference.headline)}")
        return
    lines = check(loaded.folder, reference.folder)
    print("\n".join(lines) or f"no reference: {reference.scores} is not there")


def pack(study: StudyName) -> None:
    """Write a finished study's runs, without weights and answers, to results/reference/STUDY/runs.

    `make study STUDY=... PACKED=use` then takes them as done. Example: entrobench pack exploration
    """
    from entrobench.evaluation.statistics.packing import pack
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    files = pack(loaded, loaded.folder, StudyFolder(RESULTS.reference(loaded.name).pack))
    size = sum(file.stat().st_size for file in files) / 2**20
    print(f"packed {len(loaded.runs)} runs into {files[0].parent}: {size:.2f} MiB")


def unpack(study: StudyName, run: Annotated[str, typer.Argument(help="model/dataset/method/seed<k>")]) -> None:
    """Put a packed run's settings, steps and scores into its folder, as if it had been trained and graded here.

    Example: entrobench unpack exploration misled-qwen/chain2/aent/seed0
    """
    from entrobench.evaluation.statistics.packing import unpack
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    unpack(loaded, run, StudyFolder(RESULTS.reference(loaded.name).pack))


def audit_statistics(
    simulations: Annotated[int, typer.Option(min=1, help="simulated studies per effect and scenario")] = 500,
    seed: Annotated[int, typer.Option(help="of the random numbers")] = 0,
    write: Annotated[bool, typer.Option("--write", help="make it the reference that verdicts rest on")] = False,
) -> None:
    """Measure on simulated studies how often each interval is wrong, at 2, 3, 5, 10 and 20 seeds.

    Writes results/statistics/audit.csv, or results/reference/statistics/audit.csv with --write: only an interval that
    is wrong at most 5 % of the time there may call a method better. Half a minute; 5 minutes for 4,000 simulations.

    Example: entrobench audit-statistics --simulations 200
    """
    from entrobench.evaluation.tables.audit_tables import run_audit
    from entrobench.evaluation.tables.table_formats import show

    files = RESULTS.statistics(committed=write)
    show(run_audit(simulations, seed, files.folder, progress=sys.stderr.isatty()))
    print(f"wrote {files.audit}")


def headline(study: StudyName) -> None:
    """Print a study's answer in some sentences: of its results, or else of the committed reference.

    Example: entrobench headline quickstart
    """
    from entrobench.evaluation.report.headline_words import headline_of_study

    print("\n".join(headline_of_study(Path(study).stem)))


def report(study: StudyName) -> None:
    """Write a study's report.html, one self-contained file.

    Example: entrobench report quickstart
    """
    from entrobench.evaluation.report.study_page import write_report
    from entrobench.studies.lock import with_derived_values
    from entrobench.studies.study import load_study

    loaded = with_derived_values(load_study(study))
    write_report(loaded, loaded.folder)
