"""A study's jobs and their inputs, walked with assumed durations: how N GPUs would be busy.

List scheduling: whenever a GPU is free, it takes the waiting job with the longest way to the end of the study. Jobs
that neither train nor sample start as soon as their inputs exist.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from entrobench.models.cost import SAMPLED_SHARE, Cost, cost, training_tokens
from entrobench.results import RESULTS
from entrobench.run_keys import Subject

from .decontamination import training_folder
from .derived import source_files
from .named_inputs import benchmark_split
from .runs import subjects

if TYPE_CHECKING:
    from entrobench.data.hub import ModelSizes

    from .runs import Run, Study

# ours: seconds of jobs that neither train nor sample
FIXED = {
    "prepare_data": 60,
    "decontaminate": 60,
    "base_model": 300,
    "lock": 2,
    "lock_evaluation": 2,
    "mlflow_ready": 10,
}
FIXED |= {"tune": 60, "grade": 120, "compare": 60, "check": 5, "report": 20, "track": 30}

TRIAL_RULES = ("lock", "train", "lock_evaluation", "generate", "grade")  # tune.smk uses them for the trials as well


@dataclass(frozen=True)
class Job:
    """One job of the graph. With `device` it trains or samples, on a GPU (or a core, in an embedded study)."""

    name: str
    rule: str
    seconds: float
    device: bool
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Schedule:
    """When the last job ends, the bound that no schedule can beat, and (start, end, job) in order of start."""

    makespan: float
    lower_bound: float
    busy: list[tuple[float, float, str]]


def study_jobs(
    study: Study,
    sizes: Mapping[str, ModelSizes],
    evaluation_tokens: Mapping[str, int],
    trial_tokens: Mapping[str, int] | None = None,
) -> list[Job]:
    """Every job of a study's graph, as the rules in workflow/ make them, finished ones included.

    `evaluation_tokens` are those of all benchmarks, by the name of the model that answers them; `trial_tokens` those of
    the validation splits of a study that tunes.
    """
    jobs = list(_jobs(study, sizes, evaluation_tokens))
    if study.tuning is None:
        return jobs
    trials = list(_trial_jobs(_jobs(study.tuning, sizes, trial_tokens or {}), study.tuning.base_models))
    graded = tuple(job.name for job in trials if job.rule == "tuning_grade")
    data = tuple(f"prepare_data {name}" for name in study.datasets)
    return [*jobs, *trials, Job("tune", "tune", FIXED["tune"], False, (*graded, *data))]


def _trial_jobs(jobs: Iterator[Job], base_models: Iterable[str]) -> Iterator[Job]:
    """The jobs of the trials under their names in the graph; data and base models are the study's."""
    bases = {f"{rule} {Subject(model=model)}" for rule in TRIAL_RULES for model in base_models}
    own = {job.name: job for job in jobs if job.rule in TRIAL_RULES and job.name not in bases}
    for name, job in own.items():
        inputs = tuple(f"tuning_{other}" if other in own else other for other in job.inputs)
        yield replace(job, name=f"tuning_{name}", rule=f"tuning_{job.rule}", inputs=inputs)


def _decided_by(study: Study, run: Run) -> list[str]:
    """The jobs that decide the declared values of a run."""
    trained = {other.files.steps: f"train {other.key}" for other in study.runs}
    return [trained.get(file, "tune") for file in source_files(run)]


def _jobs(study: Study, sizes: Mapping[str, ModelSizes], evaluation_tokens: Mapping[str, int]) -> Iterator[Job]:
    def plain(rule: str, name: str, *inputs: str) -> Job:
        return Job(f"{rule} {name}".strip(), rule, FIXED[rule], False, inputs)

    def timed(rule: str, name: str, found: Cost, *inputs: str) -> Job:
        return Job(f"{rule} {name}", rule, found.seconds, True, inputs)

    for name in study.datasets:
        yield plain("prepare_data", name)
    for folder, (dataset, compared) in study.reduced_data.items():
        sources = dict.fromkeys([dataset, *(place.partition("/")[0] for place in compared["against"])])
        yield plain("decontaminate", str(folder), *(f"prepare_data {source}" for source in sources))
    for name, recipe in study.base_models.items():
        yield plain("base_model", name, *(f"prepare_data {dataset}" for dataset in recipe.datasets))
    for name in dict.fromkeys(study.evaluation_file(model).name for model in study.evaluations):
        yield plain("lock_evaluation", name)
    yield plain("mlflow_ready", "")
    benchmark_data = list(dict.fromkeys(f"prepare_data {benchmark_split(name)[0]}" for name in study.benchmarks))
    answering = [(str(Subject(model=name)), name, f"base_model {name}") for name in study.base_models]
    for run in study.runs:
        yield plain("lock", run.key, *_decided_by(study, run))
        data = training_folder(RESULTS.data_root, run.config.dataset)
        made = f"decontaminate {data}" if data in study.reduced_data else f"prepare_data {run.dataset}"
        found = cost(sizes[run.model], training_tokens(run.config.trainer))
        inputs = (f"lock {run.key}", f"base_model {run.model}", made, "mlflow_ready")
        yield timed("train", run.key, found, *inputs)
        answering += [(subject, run.model, f"train {run.key}") for subject in subjects(run)]
    for subject, model, weights in answering:
        found = cost(sizes[model], evaluation_tokens.get(model, 0), SAMPLED_SHARE)
        lock_job = f"lock_evaluation {study.evaluation_file(model).name}"
        yield timed("generate", subject, found, weights, lock_job, *benchmark_data)
        yield plain("grade", subject, f"generate {subject}")
    grades = [f"grade {subject}" for subject, _, _ in answering]
    trained = [f"train {run.key}" for run in study.runs]
    yield plain("compare", "", *grades, *trained)
    overlaps = [f"decontaminate {folder}" for folder in study.reduced_data]
    yield plain("report", "", "compare", *trained, *overlaps)
    yield plain("track", "", "compare", "report", "mlflow_ready")
    if RESULTS.reference(study.name).scores.exists():
        yield plain("check", "", "compare")


def simulate(jobs: list[Job], gpus: int) -> Schedule:
    """Walk the graph on that many GPUs. Raises ValueError for an input that no job makes."""
    by_name = {job.name: job for job in jobs}
    waits = {job.name: set(job.inputs) for job in jobs}
    users: dict[str, list[str]] = {name: [] for name in by_name}
    for job in jobs:
        for name in job.inputs:
            if name not in by_name:
                raise ValueError(f"{job.name} waits for {name!r}, which no job makes")
            users[name].append(job.name)
    way = _way_to_the_end(by_name, users)
    ready = [(-way(name), name) for name, inputs in waits.items() if not inputs]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    free, clock = gpus, 0.0
    busy: list[tuple[float, float, str]] = []
    while ready or running:
        held = []
        while ready:
            job = by_name[heapq.heappop(ready)[1]]
            if job.device and not free:
                held.append((-way(job.name), job.name))
                continue
            free -= job.device
            heapq.heappush(running, (clock + job.seconds, job.name))
            busy.append((clock, clock + job.seconds, job.name))
        ready = held
        heapq.heapify(ready)
        if not running:
            raise ValueError("the graph has a circle, or there is no GPU")
        clock, name = heapq.heappop(running)
        free += by_name[name].device
        for user in users[name]:
            waits[user].discard(name)
            if not waits[user]:
                heapq.heappush(ready, (-way(user), user))
    if len(busy) < len(jobs):
        raise ValueError("the graph has a circle")
    return Schedule(clock, lower_bound(jobs, gpus), busy)


def _way_to_the_end(by_name: Mapping[str, Job], users: Mapping[str, list[str]]) -> Callable[[str], float]:
    """Seconds from a job's start to the study's end with as many GPUs as it wants."""

    @cache
    def way(name: str) -> float:
        return by_name[name].seconds + max((way(user) for user in users[name]), default=0.0)

    return way


def lower_bound(jobs: list[Job], gpus: int) -> float:
    """Longest job, or all GPU time spread evenly: no schedule ends sooner."""
    longest = max(job.seconds for job in jobs)
    return max(longest, sum(job.seconds for job in jobs if job.device) / gpus)
