"""What a study will run, what that takes, and what of it is done: read from the study file and the results folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.catalogue.registry import load_method
from entrobench.data.fetch import UNKNOWN
from entrobench.data.hub import ModelSizes
from entrobench.models.cost import SAMPLED_SHARE, SPREAD, cost, training_share, training_tokens
from entrobench.models.footprint import GIB, Peak, parameters, peak_memory, refuse_too_small
from entrobench.models.model_recipes import sizes_of_recipe
from entrobench.provenance import made_otherwise
from entrobench.results import RESULTS

from .headline import ENOUGH_SEEDS
from .named_inputs import benchmark_split
from .runs import subjects
from .schedule import Schedule, study_jobs

if TYPE_CHECKING:
    from .runs import Run, Study

STAGES = ("waiting", "started", "trained", "answered", "graded")
WEIGHT_COPIES = 1 + 2 * 3  # final weights, and two checkpoints of weights and two moments while a run goes on


@dataclass(frozen=True)
class Need:
    """What the runs of one base model and one setting take: device time of a run, and its peak of GPU memory."""

    model: str
    setting: str
    runs: int
    hours: float
    device: str
    peak: Peak | None  # None for embedded models, which are meant for the CPU


@dataclass(frozen=True)
class Plan:
    """Sizes of a study. Tokens and bytes are upper bounds; those of evaluation are None where a size is not known."""

    runs: dict[str, int]  # by stage
    jobs: dict[str, int]  # by rule, done or not
    training_tokens: int
    evaluation_tokens: int | None
    hours: dict[str, float]  # by device, training and evaluation
    disk_bytes: int
    snapshot_bytes: int  # weights for evaluation along the way, float32 as trained
    needs: list[Need]
    unpinned: list[str]  # recipes that `entrobench pin` must pin first
    tuning: Plan | None = None  # of the trials behind tuned values; not part of the numbers above


def plan_study(study: Study) -> Plan:
    """Read the study's state from the results folder; starts nothing, imports nothing heavy."""
    stages = [stage(run, study.benchmarks) for run in study.runs]
    sizes = study_sizes(study)
    tokens = benchmark_tokens(study)
    jobs = study_jobs(study, sizes, tokens or {}, trial_tokens(study))
    return Plan(
        runs={name: stages.count(name) for name in STAGES},
        jobs=dict(Counter(job.rule for job in jobs)),
        training_tokens=sum(training_tokens(run.config.trainer) for run in study.runs),
        evaluation_tokens=None if tokens is None else sum(tokens[model] for model in _answering(study)),
        hours=_hours(study, sizes, tokens or {}),
        disk_bytes=sum(WEIGHT_COPIES * 4 * parameters(sizes[run.model]) for run in study.runs),
        snapshot_bytes=sum(len(run.snapshots) * 4 * parameters(sizes[run.model]) for run in study.runs),
        needs=_needs(study, sizes),
        unpinned=_unpinned(study),
        tuning=plan_study(study.tuning) if study.tuning else None,
    )


def study_sizes(study: Study) -> dict[str, ModelSizes]:
    """The sizes of the study's base models by name."""
    return {name: sizes_of_recipe(name, recipe.spec) for name, recipe in study.base_models.items()}


def stage(run: Run, benchmarks: Collection[str]) -> str:
    """How far a run has come: one of STAGES."""
    if made_otherwise([run.files]):
        return "waiting"
    places = [run.files, *map(run.files.evaluation, run.snapshots)]
    if all(place.grades(name).exists() for place in places for name in benchmarks):
        return "graded"
    if all(place.generations(name).exists() for place in places for name in benchmarks):
        return "answered"
    if run.files.provenance.exists():
        return "trained"
    return "started" if run.files.checkpoints.is_dir() else "waiting"


def benchmark_tokens(study: Study) -> dict[str, int] | None:
    """Problems x samples x longest answer of all benchmarks, by model; None where a size is not known."""
    rows = {name: _rows(study, *benchmark_split(name)) for name in study.benchmarks}
    tokens = dict.fromkeys(study.evaluations, 0)
    for model, evaluation in study.evaluations.items():
        for name, values in evaluation.by_benchmark.items():
            if (size := rows[name]) is None:
                return None
            tokens[model] += min(size, values.problems or size) * values.samples * values.max_tokens
    return tokens


def trial_tokens(study: Study) -> dict[str, int]:
    """The same for the validation splits of a study that tunes; empty where nothing is known or tuned."""
    return (benchmark_tokens(study.tuning) if study.tuning else None) or {}


def _answering(study: Study) -> list[str]:
    """The model behind each set of answers: base models, last steps and snapshots."""
    return [*study.base_models, *(run.model for run in study.runs for _ in subjects(run))]


def _rows(study: Study, dataset: str, split: str) -> int | None:
    """The size of a split: of the prepared data, else what the recipe states."""
    manifest = RESULTS.data(dataset).manifest
    if manifest.exists():
        return int(json.loads(manifest.read_text())["splits"][split]["rows"])
    stated = study.datasets[dataset].spec.get("splits", {}).get(split, {})
    rows = stated.get("selected") or stated.get("rows")
    return None if rows is None else int(rows)


def _hours(study: Study, sizes: Mapping[str, ModelSizes], tokens: Mapping[str, int]) -> dict[str, float]:
    costs = [
        cost(sizes[run.model], training_tokens(run.config.trainer), training_share(run.config.trainer))
        for run in study.runs
    ]
    costs += [cost(sizes[model], tokens.get(model, 0), SAMPLED_SHARE) for model in _answering(study)]
    devices = dict.fromkeys(found.device for found in costs)
    return {name: sum(found.seconds for found in costs if found.device == name) / 3600 for name in devices}


def _needs(study: Study, sizes: Mapping[str, ModelSizes]) -> list[Need]:
    groups: dict[tuple[str, str, bool], list[Run]] = {}
    for run in study.runs:
        reference = bool(load_method(run.config.method.use).reference or run.config.trainer.kl_reward)
        groups.setdefault((run.model, run.setting, reference), []).append(run)
    needs = []
    for (model, setting, reference), runs in groups.items():
        trainer = runs[0].config.trainer
        found = cost(sizes[model], training_tokens(trainer), training_share(trainer))
        small = found.device == "CPU core"
        peak = None if small else peak_memory(sizes[model], trainer, runs[0].hardware, reference)
        needs.append(Need(model, setting, len(runs), found.seconds / 3600, found.device, peak))
    return needs


def _unpinned(study: Study) -> list[str]:
    specs = {**study.base_models, **study.datasets}
    return [name for name, recipe in specs.items() if recipe.spec.get("revision") == UNKNOWN]


def check_memory(study: Study, plan: Plan, capacity: int) -> None:
    """Raise InputError if a run of the study does not fit a GPU of `capacity` bytes."""
    for need in plan.needs:
        if need.peak is not None:
            refuse_too_small(need.peak, capacity, f"{study.path}: {need.setting}: {need.model}")


def as_json(study: Study, plan: Plan) -> str:
    """The plan with every run's resolved settings."""
    runs = [
        {
            "run": run.key,
            "setting": run.setting,
            "stage": stage(run, study.benchmarks),
            "config": run.config.content,
            "hardware": asdict(run.hardware),
        }
        for run in study.runs
    ]
    sampling = {
        model: {name: asdict(values) for name, values in evaluation.by_benchmark.items()}
        for model, evaluation in study.evaluations.items()
    }
    return json.dumps({"study": study.name, **asdict(plan), "sampling": sampling, "list": runs}, indent=2)


def as_text(study: Study, plan: Plan) -> str:
    """The plan for a terminal."""
    states = ", ".join(f"{count} {name}" for name, count in plan.runs.items() if count)
    jobs = ", ".join(f"{count} {name}" for name, count in plan.jobs.items())
    rows = [
        ("study", f"{study.name} ({study.path}): {study.description}"),
        ("runs", f"{len(study.runs)}: {states}"),
        ("verdicts", _verdicts_text(study)),
        ("jobs", f"{sum(plan.jobs.values())}: {jobs}"),
        ("training tokens", f"at most {plan.training_tokens:,}"),
        ("evaluation tokens", _known(plan.evaluation_tokens, "at most {:,}", "the data are prepared")),
        *((f"{device} hours", _hours_text(device, hours)) for device, hours in plan.hours.items()),
        *((f"one {need.setting}", _need_text(need)) for need in plan.needs),
        ("weights on disk", f"at most {plan.disk_bytes / GIB:,.1f} GiB"),
    ]
    if plan.tuning:
        rows.append(("tuning, beside it", _tuning_text(plan.tuning)))
    if plan.snapshot_bytes:
        count = sum(len(run.snapshots) for run in study.runs)
        size = f"{plan.snapshot_bytes / GIB:,.1f} GiB for {count} evaluations along the way"
        rows.append(("snapshots", f"{size}; results/*/runs/**/snapshots may be deleted once they are graded"))
    if plan.unpinned:
        rows.append(("not pinned yet", f"{', '.join(plan.unpinned)}: run `entrobench pin {study.name}` with network"))
    rows += [
        ("report", str(study.files.report)),
        ("start it", f"make study STUDY={study.path if study.path.parent != Path('config/studies') else study.name}"),
    ]
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name + ':':<{width}}{value}" for name, value in rows)


def _verdicts_text(study: Study) -> str:
    """Whether this study may call a method better, and of what."""
    seeds: Counter[tuple[str, str, str]] = Counter((run.model, run.dataset, run.method) for run in study.runs)
    if (fewest := min(seeds.values())) < ENOUGH_SEEDS:
        return f"none: {fewest} seed{'s' if fewest > 1 else ''} per cell forbid them, {ENOUGH_SEEDS} are needed"
    family = f"{' and '.join(study.headline.metrics)}, one family over all methods"
    arm = f"; A/A arm {study.headline.a_a_arm}" if study.headline.a_a_arm else "; no A/A arm"
    return f"from {fewest} seeds per cell: {family}{arm}"


def _tuning_text(trials: Plan) -> str:
    """What the trials take, and how far they are."""
    states = ", ".join(f"{count} {name}" for name, count in trials.runs.items() if count)
    hours = ", ".join(f"{hours:,.3g} {device} hours" for device, hours in trials.hours.items())
    tokens = _known(trials.evaluation_tokens, "{:,}", "the data are prepared")
    spent = f"at most {trials.training_tokens:,} training tokens, validation tokens {tokens}"
    return f"{sum(trials.runs.values())} runs: {states}; {spent}; {hours}"


def _hours_text(device: str, hours: float) -> str:
    if device == "CPU core":
        return f"{hours:.2f}, within a factor of 3 (a guess from quickstart: cost.py)"
    return f"{hours:,.0f}, between {hours / SPREAD:,.0f} and {hours * SPREAD:,.0f} (from two published runs: cost.py)"


def _need_text(need: Need) -> str:
    time = f"{need.runs} runs of {need.model}, {need.hours:,.3g} {need.device} hours each"
    if need.peak is None:
        return time
    held = need.peak.vllm
    beside = f"; vLLM holds {max(held.values()):.0%} of the GPU in {', '.join(held)}" if held else ""
    return f"{time}; {need.peak.bytes / GIB:.1f} GiB of GPU memory at most, in {need.peak.phase}{beside} (footprint.py)"


def describe_schedule(schedule: Schedule, gpus: int) -> str:
    """The simulated schedule in two lines and one line per GPU job."""
    ratio = schedule.makespan / schedule.lower_bound
    lines = [f"{start / 3600:10,.2f} h  {end / 3600:10,.2f} h  {job}" for start, end, job in schedule.busy]
    return "\n".join(
        [
            *lines,
            f"on {gpus} GPUs: {schedule.makespan / 3600:,.2f} hours, {ratio:.3f} of the lower bound "
            f"{schedule.lower_bound / 3600:,.2f} (longest job, or all GPU time / {gpus})",
        ]
    )


def _known(value: int | None, text: str, until: str) -> str:
    return f"not known until {until}" if value is None else text.format(value)
