"""The `entrobench` command: thin functions that import what they call.

STUDY is everywhere a name in config/studies or the path of a YAML file. Bad input is one line and exit status 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from entrobench.errors import InputError
from entrobench.results import RESULTS, AnswersFolder

from .jobs import StudyName, jobs

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Reproduce and benchmark entropy control in LLM-RL. A whole study: `make study`, or `snakemake`.",
)

app.add_typer(jobs)


def main() -> None:
    """Run the command line; bad input ends with one line and status 2."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command()
def grade(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="generations (.jsonl, .jsonl.zst), or a run's folder")
    ] = None,
    prediction: Annotated[str | None, typer.Option(help="a reply or bare answer: explain its verdict instead")] = None,
    gold: Annotated[str | None, typer.Option(help="the right answer to --prediction")] = None,
    also: Annotated[str | None, typer.Option(metavar="paper", help="add the paper's grader to the grades")] = None,
    output: Annotated[Path | None, typer.Option(help="parquet (default: grades/ of the run, or beside FILE)")] = None,
) -> None:
    """Grade the answers of a generations FILE, or of all files of a run, on all cores; or explain one verdict.

    A FILE's rows hold gold and response. An answer that this grader version judged before costs nothing.
    Examples: entrobench grade results/quickstart/base/chain-qwen/generations/chain2.jsonl.zst;
    entrobench grade --prediction 'So \\boxed{1/2}.' --gold 0.5
    """
    if (prediction is None) != (gold is None) or (path is None) == (prediction is None):
        raise InputError("entrobench grade: name a FILE (or a run's folder), or give both --prediction and --gold")
    if prediction is not None and gold is not None:
        from entrobench.evaluation.grading.explanation import explain

        print(explain(prediction, gold))
        return
    assert path is not None
    from entrobench.evaluation.grading import grade_files

    if path.is_dir() and output is not None:
        raise InputError("entrobench grade: --output is for one FILE; a run's grades go to its grades/")
    files = AnswersFolder(path).all_generations() if path.is_dir() else [path]
    if not files:
        raise InputError(f"entrobench grade: no generations/*.jsonl.zst in {path}; run `entrobench generate` first")
    for file in files:
        grades = output or grade_files.output_of(file)
        grade_files.grade_file(file, grades, progress=sys.stderr.isatty())
        if also:
            from entrobench.evaluation.grading.second_grader import add_verdicts

            add_verdicts(file, grades, also, progress=sys.stderr.isatty())


@app.command("audit-grader")
def audit_grader(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="generations file, or the folder of a run or a study")],
) -> None:
    """Compare our verdicts with math-verify's on a generations FILE; print the disagreements as a table.

    Example: entrobench audit-grader results/quickstart/base/chain-qwen/generations/chain2.jsonl.zst
    """
    from entrobench.evaluation.grading.grader_audit import audit

    print(audit(path, progress=sys.stderr.isatty()))


@app.command()
def compare(study: StudyName) -> None:
    """Write a study's scores, tables, statistics and figures from the graded answers.

    Example: entrobench compare quickstart
    """
    from entrobench.evaluation.report.compare import compare
    from entrobench.studies.lock import with_derived_values
    from entrobench.studies.study import load_study

    loaded = with_derived_values(load_study(study))
    compare(loaded, loaded.folder)


@app.command()
def tune(study: StudyName) -> None:
    """Choose a study's tuned values, {tune: [...]}, from its graded trials; write tuning.json, sweep.csv and a figure.

    Example: entrobench tune ablation-factorial-small
    """
    from entrobench.evaluation.report.tuning import tune, tuning_lines
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    found = tune(loaded, loaded.folder, RESULTS.data_root)
    for name, chosen in found["methods"].items():
        print(f"{name}: {chosen['key']} {chosen['value']:g}, {found['metric']} {chosen['score']:.4f}")
    print("\n".join(tuning_lines(loaded.folder)))


@app.command()
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


@app.command()
def check(
    study: StudyName,
    write: Annotated[bool, typer.Option("--write", help="make the finished study the new reference instead")] = False,
) -> None:
    """Compare a study's scores with those in results/reference/<study>, line by line.

    Example: entrobench check quickstart
    """
    from entrobench.evaluation.report.reference_check import check, write_reference
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    reference = RESULTS.reference(loaded.name)
    if not loaded.files.scores.exists():
        raise InputError(f"entrobench check: {loaded.files.scores} is not there yet; make study writes it")
    if write:
        print(f"wrote {write_reference(loaded.folder, reference.folder, loaded.metrics)}")
        return
    lines = check(loaded.folder, reference.folder)
    print("\n".join(lines) or f"no reference: {reference.scores} is not there")


@app.command("audit-statistics")
def audit_statistics(
    simulations: Annotated[int, typer.Option(min=1, help="simulated studies per effect and kind of problems")] = 500,
    seed: Annotated[int, typer.Option(help="of the random numbers")] = 0,
    write: Annotated[bool, typer.Option("--write", help="make it the reference that verdicts rest on")] = False,
) -> None:
    """Measure on simulated studies how often each interval is wrong, at 2, 3, 5, 10 and 20 seeds.

    Writes results/statistics/audit.csv, or results/reference/statistics/audit.csv with --write: only an interval that
    is wrong at most 5 % of the time there may call a method better. About a minute.

    Example: entrobench audit-statistics --simulations 200
    """
    from entrobench.evaluation.tables.audit_tables import run_audit
    from entrobench.evaluation.tables.table_formats import show

    files = RESULTS.statistics(committed=write)
    show(run_audit(simulations, seed, files.folder, progress=sys.stderr.isatty()))
    print(f"wrote {files.audit}")


@app.command()
def report(study: StudyName) -> None:
    """Write a study's report.html, one self-contained file.

    Example: entrobench report quickstart
    """
    from entrobench.evaluation.report.study_page import write_report
    from entrobench.studies.lock import with_derived_values
    from entrobench.studies.study import load_study

    loaded = with_derived_values(load_study(study))
    write_report(loaded, loaded.folder)


@app.command()
def track(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="name in config/studies, or path")] = None,
    initialise: Annotated[bool, typer.Option("--initialise", help="only create the database")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="delete the study's MLflow runs and import anew")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="show the runs that train, of all studies")] = False,
) -> None:
    """Import a study's result files into MLflow (results/mlflow.db); `make ui` shows them.

    Example: entrobench track quickstart
    """
    from entrobench.tracking import experiments

    if initialise:
        experiments.initialise(RESULTS.database)
        return
    if follow:
        from entrobench.tracking.follow import follow as follow_runs

        follow_runs(RESULTS.database)
        return
    if study is None:
        raise InputError("entrobench track: name a STUDY, or give --initialise or --follow")
    from entrobench.studies.lock import with_derived_values
    from entrobench.studies.study import load_study

    loaded = with_derived_values(load_study(study))
    experiments.track(loaded, loaded.folder, RESULTS.database, rebuild=rebuild)


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="show the page of this method or named variant")] = None,
    drift: Annotated[bool, typer.Option("--drift", help="where authors and frameworks disagree, by how much")] = False,
) -> None:
    """List all methods and named variants, or show one whole: its settings, their ranges, sources and values.

    Examples: entrobench methods; entrobench methods aent; entrobench methods --drift
    """
    if drift:
        from entrobench.catalogue.drift import ledger

        print(ledger())
        return
    from entrobench.catalogue.pages import catalogue, page

    print(page(name) if name else catalogue())


@app.command("new-method")
def new_method(name: str) -> None:
    """Write methods/NAME.py, a working example of 20 lines to change, and config/methods/NAME.yaml.

    Example: entrobench new-method my_bonus
    """
    from entrobench.catalogue.template import new_method

    for path in new_method(name):
        print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    print(f"next: edit it, then `entrobench check-method {name}`")


@app.command("check-method")
def check_method(name: Annotated[str, typer.Argument(help="a method, or a named variant in config/methods")]) -> None:
    """Run the conformance suite on a registered method or a named variant; status 0 if no point fails.

    Example: entrobench check-method aent
    """
    from entrobench.catalogue.variants import resolve

    resolve([name], "entrobench check-method")  # a wrong name is refused before torch is imported
    from entrobench.conformance.points import check_method, print_points

    if not print_points(check_method(name, run_golden_tests=True)):
        raise typer.Exit(1)


@app.command()
def plan(
    study: StudyName,
    json: Annotated[bool, typer.Option("--json", help="for programs, with every run's resolved settings")] = False,
    simulate: Annotated[int, typer.Option(min=0, help="walk the whole graph with fake jobs on that many GPUs")] = 0,
    gpu_memory: Annotated[float, typer.Option(min=0.1, help="GiB of one GPU, which a run must fit")] = 80.0,
) -> None:
    """Say what a study will run, what of it is done, and what it takes: tokens, GPU-hours, memory, disk.

    Ends with status 2 if a run does not fit a GPU. Example: entrobench plan paper --simulate 8
    """
    from entrobench.models.footprint import GIB
    from entrobench.studies import plan, schedule
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    planned = plan.plan_study(loaded)
    print(plan.as_json(loaded, planned) if json else plan.as_text(loaded, planned))
    if simulate:
        tokens = plan.benchmark_tokens(loaded) or {}, plan.trial_tokens(loaded)
        jobs = schedule.study_jobs(loaded, plan.study_sizes(loaded), *tokens)
        print(plan.describe_schedule(schedule.simulate(jobs, simulate), simulate))
    plan.check_memory(loaded, planned, int(gpu_memory * GIB))


@app.command()
def doctor() -> None:
    """Check this machine: versions, device, threads, database, lock file; each line ok, warn or fail with a fix.

    Example: entrobench doctor
    """
    from .doctor import examine

    if not examine():
        raise typer.Exit(1)


@app.command()
def pin(name: Annotated[str, typer.Argument(metavar="NAME", help="a study, a base model or a dataset")]) -> None:
    """Fetch what NAME takes from the hub and write revision, SHA-256 and size of every file into its recipes.

    Needs the network, once; recipes that are pinned are only fetched. Example: entrobench pin paper
    """
    from entrobench.data import fetch
    from entrobench.studies import pin

    for item in pin.wanted(name):
        fetch.fetch(item.source if item.source.pinned else pin.pin(item))


@app.command()
def unlock() -> None:
    """Remove the lock that a killed Snakemake left here; refused while its process lives.

    Example: entrobench unlock
    """
    from entrobench.studies.lock import unlock

    unlock()


if __name__ == "__main__":
    main()
