"""What the Snakemake rules ask about a study: files, folders, parameters and resources of its jobs."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from entrobench.catalogue.registry import method_infos
from entrobench.config import canonical_hash
from entrobench.distributed.launch import options
from entrobench.engines.choice import check_engine
from entrobench.errors import InputError, nearest
from entrobench.provenance import made_otherwise
from entrobench.results import RESULTS, DataFolder, StudyFolder
from entrobench.run_config import MATHEMATICS
from entrobench.run_keys import Subject

from . import derived, named_inputs, published
from .decontamination import reduced_folder, training_folder
from .lock import different_configs
from .reuse import packed_runs
from .runs import Run, Study, subjects
from .study import load_part

DEFAULT_STUDY = "quickstart"
KEYS = ("study", "seeds", "changed", "packed")  # of `snakemake --config`
TRIALS = "tuning"  # the key with which tune.smk loads the trials of the study instead of it


def load_workflow(config: Mapping[str, Any]) -> Workflow:
    """Load the study that `snakemake --config study=...` names; refuse, before any job, what would fail later.

    Raises InputError for a wrong study, a data source that does not match its recipe, and result folders that hold runs
    of another config (unless `changed=rerun`).
    """
    for key in config:
        if key not in (*KEYS, TRIALS):
            raise InputError(
                f"snakemake --config: unknown key {key!r} (allowed: {', '.join(KEYS)}){nearest(key, KEYS)}"
            )
    argument = str(config.get("study", DEFAULT_STUDY))
    seeds = f"@{asked}" if (asked := config.get("seeds")) is not None else ""
    tuning = bool(config.get(TRIALS))
    study = load_part(argument + seeds, tuning)
    _check_engines(study)
    _check_sources(study)
    if config.get("changed") != "rerun":
        _check_results(study)
    _check_snapshots(study)
    for warning in [*study.warnings, *_retrained(study)]:
        print(f"warning: {warning}", file=sys.stderr)
    packed = packed_runs(study) if config.get("packed") == "use" and not tuning else []
    if config.get("packed") == "use" and not tuning:
        place = RESULTS.reference(study.name).pack
        print(f"{len(packed)} of {len(study.runs)} runs are taken as done from {place}", file=sys.stderr)
    named = study.path.parent == Path("config/studies")
    argument = (study.path.stem if named else shlex.quote(argument)) + seeds
    return Workflow(study, argument + tuning * " --tuning", config.get("changed") == "rerun", tuple(packed), tuning)


def _check_engines(study: Study) -> None:
    """Refuse a study whose engine this environment, in which its jobs run, does not have."""
    sampling = {evaluation.shared.engine for evaluation in study.evaluations.values()}
    for name in {run.config.trainer.engine for run in study.runs} | sampling:
        check_engine(name, str(study.path))


def _check_sources(study: Study) -> None:
    """Read the sources of data that is not prepared yet, so that a wrong file stops the study before its first job."""
    from entrobench.data import datasets

    for name, recipe in study.datasets.items():
        if not RESULTS.data(name).manifest.exists():
            datasets.verify(name, recipe.spec)


def _check_results(study: Study) -> None:
    changed = different_configs(study)
    if changed:
        raise InputError(
            f"{study.path}: {len(changed)} result folders hold runs of a different config, first {changed[0].folder}; "
            "restore the settings, or copy the study to a new name, or add `--config changed=rerun` to replace them"
        )


def _retrained(study: Study) -> list[str]:
    """A line where finished runs are of other mathematics: the new number in config.json trains them anew."""
    older = made_otherwise(run.files for run in study.runs)
    said = f"were trained by other mathematics than this version's {MATHEMATICS} (CHANGELOG): they are trained anew"
    return [f"{study.path}: {len(older)} runs {said}"] if older else []


def _check_snapshots(study: Study) -> None:
    """Refuse to evaluate snapshots that a finished run did not keep; those already evaluated may be deleted."""
    for run in study.runs:
        folders = {name: (run.files.snapshot(name), run.files.evaluation(name).folder) for name in run.snapshots}
        missing = [name for name, places in folders.items() if not any(place.is_dir() for place in places)]
        if missing and run.files.snapshots.is_dir():
            raise InputError(
                f"{study.path}: {run.files.snapshots} has no {missing[0]}: the run was trained with another "
                f"evaluate_every; restore it, or delete {run.folder} to train the run again"
            )


@dataclass(frozen=True)
class Workflow:
    """A study as the rules see it; `argument` is its name in the jobs' commands.

    A subject is what answers benchmarks: runs/<run>, runs/<run>/evaluations/<snapshot> or base/<model>.
    """

    study: Study
    argument: str
    replace: bool  # whether runs of another config may be replaced
    packed: tuple[str, ...] = ()  # runs that are taken from the committed pack
    trials: bool = False  # whether these are the trials of a study that tunes values

    @cached_property
    def runs(self) -> dict[str, Run]:
        return {run.key: run for run in self.study.runs}

    @property
    def files(self) -> StudyFolder:
        """Where the study's files are."""
        return self.study.files

    @cached_property
    def subjects(self) -> list[str]:
        bases = [str(Subject(model=model)) for model in self.study.base_models]
        return [subject for run in self.study.runs for subject in subjects(run)] + bases

    @property
    def keeps_snapshots(self) -> bool:
        """Whether any run's snapshots answer; then every run publishes a folder of snapshots."""
        return any(run.hardware.snapshot_every for run in self.study.runs)

    @property
    def evaluates_along(self) -> bool:
        """Whether any run is scored by step."""
        return any(run.snapshots for run in self.study.runs)

    def lock_inputs(self, key: str) -> list[str]:
        """The results of earlier jobs that decide a run's values."""
        return [str(file) for file in derived.source_files(self.runs[key])]

    @property
    def lock_options(self) -> str:
        return " --replace" if self.replace else ""

    @property
    def grade_options(self) -> str:
        return "".join(f" --also {name}" for name in self.study.graders[1:])

    def manifests(self, datasets: Iterable[str]) -> list[str]:
        """The manifests of prepared datasets."""
        return [str(RESULTS.data(dataset).manifest) for dataset in datasets]

    def training_inputs(self, key: str) -> list[str]:
        """Base model, data and the method's source file, so that editing it re-runs its own runs alone."""
        run = self.runs[key]
        source = method_infos()[run.config.method.use].source
        data = DataFolder(training_folder(RESULTS.data_root, run.config.dataset))
        return [str(file) for file in (RESULTS.model(run.model).about, data.manifest, source)]

    def compared_inputs(self, dataset: str, key: str) -> list[str]:
        """The prepared data from which a training set without benchmark rows is made."""
        compared = self._compared(dataset, key)
        sources = [dataset, *(place.partition("/")[0] for place in compared["against"])]
        return self.manifests(dict.fromkeys(sources))

    def compared_options(self, dataset: str, key: str) -> str:
        """Options of `entrobench prepare-data` that name the benchmark rows to leave out."""
        return " ".join(f"--without {place}" for place in self._compared(dataset, key)["against"])

    def _compared(self, dataset: str, key: str) -> dict[str, Any]:
        return self.study.reduced_data[RESULTS.data(dataset).without(key).folder][1]

    @property
    def overlaps(self) -> list[str]:
        """The manifests that list the training rows which the study's benchmarks also ask."""
        folders = [reduced_folder(RESULTS.data_root, *item) for item in self.study.compared.items()]
        return [str(DataFolder(folder).manifest) for folder in folders]

    def hardware_options(self, key: str) -> str:
        """Options of `entrobench train` for a run's hardware."""
        run = self.runs[key]
        every = run.hardware.snapshot_every or (run.config.trainer.steps if self.keeps_snapshots else 0)
        return " ".join(options(replace(run.hardware, snapshot_every=every)))

    def processes(self, key: str) -> int:
        """How many processes train a run together, one device each."""
        return self.runs[key].hardware.processes

    def devices(self, key: str) -> int:
        """How many devices a run trains on: as many as its processes or its engine, whichever takes more."""
        return max(self.processes(key), self.runs[key].hardware.engine_devices)

    def device(self, subject: str) -> str:
        """The device that a study sets for a run; a base model is evaluated on that of its first run."""
        return self._first_run(subject).hardware.device

    def _first_run(self, subject: str) -> Run:
        """The run of a subject, or the first one of a base model."""
        found = Subject.read(subject)
        if found.run:
            return self.runs[found.run]
        return next(run for run in self.study.runs if run.model == found.model)

    def stream(self, subject: str) -> str:
        """What names the random numbers of a subject's answers: its place without the method.

        So the methods of a cell answer with the same numbers, which pairs them; cells, seeds and snapshots do not.
        """
        kind, _, name = subject.partition("/")
        if kind == "base":
            return subject
        key, _, snapshot = name.partition("/evaluations/")
        run = self.runs[key]
        return f"{run.model}/{run.dataset}/{run.seed}" + (f"/{snapshot}" if snapshot else "")

    def gpus(self, subject: str) -> int:
        """How many GPUs a job takes: one if the study says cuda, or auto on a machine that has any."""
        device = self.device(subject)
        return int(device == "cuda" or (device == "auto" and Path("/dev/nvidiactl").exists()))

    def weights(self, subject: str) -> list[str]:
        """The inputs of a job that stand for a subject's weights; temporary ones go when no job names them any more."""
        found = Subject.read(subject)
        if found.model:
            return [str(RESULTS.model(found.model).about)]
        run = self.files.run(found.run)
        if found.snapshot:
            return [str(run.snapshots)]
        return [str(run.final), *([str(run.snapshots)] if self._averages(found) else [])]

    def snapshots(self, subject: str) -> str:
        """The option of `entrobench generate` for a run whose last snapshots answer, too."""
        found = Subject.read(subject)
        return f" --snapshots {self.files.run(found.run).snapshots}" if self._averages(found) else ""

    def _averages(self, subject: Subject) -> bool:
        """Whether the last snapshots of a run answer together with its last step."""
        return bool(subject.run and not subject.snapshot and self.runs[subject.run].hardware.snapshot_last)

    def model_folder(self, subject: str) -> str:
        """The folder with the weights of a subject."""
        found = Subject.read(subject)
        if found.model:
            return str(RESULTS.model(found.model).folder)
        run = self.files.run(found.run)
        return str(run.snapshot(found.snapshot) if found.snapshot else run.final)

    def evaluation(self, subject: str) -> str:
        """The file that says how a subject is sampled."""
        return str(self.study.evaluation_file(self._first_run(subject).model))

    @property
    def benchmark_datasets(self) -> list[str]:
        return list(dict.fromkeys(named_inputs.benchmark_split(name)[0] for name in self.study.benchmarks))

    @property
    def benchmark_versions(self) -> str:
        """The versions of all benchmarks: where one changes, answers are sampled again."""
        return ", ".join(f"{name} {named_inputs.benchmark_version(name)}" for name in self.study.benchmarks)

    def evaluation_hash(self, name: str) -> str:
        """The hash of the evaluation file with this name."""
        study = self.study
        model = next(model for model in study.evaluations if study.evaluation_file(model).stem == name)
        return canonical_hash(study.evaluations[model].file_content)

    @property
    def mathematics(self) -> int:
        """A change of the mathematics trains all runs anew, and samples the untrained base models anew."""
        return MATHEMATICS

    @property
    def grader_version(self) -> str:
        """The grader's version: where it changes, answers are graded again, and none is sampled."""
        return named_inputs.grader_version()

    @property
    def grades(self) -> list[str]:
        return self._grades(self.subjects)

    @property
    def steps(self) -> list[str]:
        return [str(run.files.steps) for run in self.study.runs]

    @property
    def provenance(self) -> list[str]:
        return [str(run.files.provenance) for run in self.study.runs]

    @property
    def run_grades(self) -> list[str]:
        """The grades of the runs, without those of the untrained base models."""
        return self._grades(subject for subject in self.subjects if Subject.read(subject).run)

    def _grades(self, of: Iterable[str]) -> list[str]:
        found = []
        for subject in of:
            if (run := Subject.read(subject).run) in self.packed:
                found.append(str(self.files.run(run).problems))
            else:
                found += [str(self.files.answers(subject).grades(name)) for name in self.study.benchmarks]
        return found

    @property
    def packed_pattern(self) -> str:
        """Matches the packed runs, and nothing where there are none."""
        return "|".join(map(re.escape, self.packed)) or "(?!)"

    @property
    def pack(self) -> list[str]:
        """The files of the committed pack."""
        place = StudyFolder(RESULTS.reference(self.study.name).pack)
        return [str(file) for file in (place.provenance, place.curves, place.problems)]

    @property
    def published(self) -> list[str]:
        """The published numbers that the study is compared with."""
        places = dict.fromkeys(run.published for run in self.study.runs if run.published)
        return list(dict.fromkeys(str(path) for place in places for path in published.files(place)))

    @property
    def goals(self) -> list[str]:
        """What a finished study holds beside report and tracking; runs, too, or a deleted one would not be missed."""
        check = [str(self.files.reference_lines)] if self.reference_scores else []
        return [*check, *self.steps, *self.grades]

    @property
    def reference_scores(self) -> list[str]:
        """Committed scores to check against, where there are any."""
        return _existing(RESULTS.reference(self.study.name).scores)

    @property
    def reference_sweep(self) -> list[str]:
        """The sweep that tables and figures show, if any: of the study's own trials, or a committed one."""
        own = [str(self.files.trials.sweep)] if self.study.tuning else []
        return own or _existing(RESULTS.reference(self.study.name).sweep)

    @property
    def statistics_audit(self) -> list[str]:
        """The committed audit that decides which interval may give a verdict."""
        return _existing(RESULTS.statistics(committed=True).audit)


def _existing(path: Path) -> list[str]:
    return [str(path)] if path.exists() else []
