"""The commands that read a study: what it will run, the settings it fixes, the lock of a killed pipeline."""

from __future__ import annotations

from typing import Annotated

import typer

from .arguments import StudyName, Tuning


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


def lock(
    study: StudyName,
    run: Annotated[str, typer.Argument(help="model/dataset/method/seed<k>")],
    replace: Annotated[bool, typer.Option("--replace", help="delete checkpoints of another config")] = False,
    tuning: Tuning = False,
) -> None:
    """Write the resolved config.json of one run.

    Example: entrobench lock quickstart chain-qwen/chain2/aent/seed0
    """
    from entrobench.studies.lock import lock_run
    from entrobench.studies.study import load_part

    lock_run(load_part(study, tuning).run(run), replace)


def lock_evaluation(
    study: StudyName,
    only: Annotated[str | None, typer.Option(metavar="FILE", help="one of several, by its name")] = None,
    tuning: Tuning = False,
) -> None:
    """Write a study's evaluation.json; or evaluation-<base model>.json of each, where they are sampled differently.

    Example: entrobench lock-evaluation quickstart
    """
    from entrobench.studies.lock import lock_evaluation
    from entrobench.studies.study import load_part

    lock_evaluation(load_part(study, tuning), only)


def unlock() -> None:
    """Remove the lock that a killed Snakemake left here; refused while its process lives.

    Example: entrobench unlock
    """
    from entrobench.studies.lock import unlock

    unlock()


def new_study(
    name: Annotated[str, typer.Argument(help="of the study: config/studies/NAME.yaml")],
    methods: Annotated[str, typer.Option(help="names with commas between; the first is the baseline")],
    model: Annotated[str, typer.Option(help="name in config/models")] = "chain-tiny",
    dataset: Annotated[str, typer.Option(help="name in config/datasets, to train on")] = "chain2",
    benchmark: Annotated[str, typer.Option(help="what is asked in the end (default: the dataset's)")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="how many; verdicts need 5")] = 5,
) -> None:
    """Write config/studies/NAME.yaml, a small study of these methods, checked and ready to run.

    Example: entrobench new-study mine_first --methods grpo,aent
    """
    from entrobench.scaffold.new_study import new_study

    listed = [method.strip() for method in methods.split(",") if method.strip()]
    print(f"wrote {new_study(name, listed, model, dataset, benchmark or dataset, seeds)}")
    print(f"next: entrobench plan {name}; make study STUDY={name}")
