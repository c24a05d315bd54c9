"""A loaded study: its runs, recipes and evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entrobench.config import Hardware
from entrobench.errors import unknown
from entrobench.evaluation.benchmarks.evaluation import Evaluation
from entrobench.results import RESULTS, RunFolder, StudyFolder
from entrobench.run_config import RunConfig
from entrobench.run_keys import RunKey, Subject, step_name
from entrobench.training.snapshots import snapshot_steps

from . import decontamination, named_inputs
from .headline import Headline, metric_names
from .named_inputs import Recipe


@dataclass(frozen=True)
class Run:
    """One training run."""

    setting: str
    model: str
    dataset: str
    method: str
    seed: int
    config: RunConfig
    hardware: Hardware
    folder: Path
    published: str = ""  # published numbers beside the run's cell: <folder of results/reference>/<setting>

    @property
    def snapshots(self) -> list[str]:
        """The folders below snapshots/ and evaluations/, one for each step evaluated before the last.

        None where the last snapshots answer together with the last step (average_last).
        """
        if self.hardware.snapshot_last:
            return []
        steps = snapshot_steps(self.config.trainer.steps, self.hardware.snapshot_every)
        return [step_name(step) for step in steps]

    @property
    def key(self) -> str:
        """The run's place below results/<study>/runs: model/dataset/method/seed<k>."""
        return str(RunKey(self.model, self.dataset, self.method, self.seed))

    @property
    def files(self) -> RunFolder:
        return RunFolder(self.folder)


@dataclass(frozen=True)
class Study:
    """A resolved study. `base_models` and `datasets` are recipes by name; datasets are all those that any step reads.

    `evaluations` says how a base model and its runs are sampled, by the model's name.
    """

    name: str
    path: Path
    description: str
    runs: list[Run]
    base_models: dict[str, Recipe]
    datasets: dict[str, Recipe]
    evaluations: dict[str, Evaluation]
    graders: list[str]
    headline: Headline
    warnings: list[str] = field(default_factory=list)
    tuning: Study | None = None  # the trials behind tuned values

    @property
    def folder(self) -> Path:
        return self.files.folder

    @property
    def files(self) -> StudyFolder:
        return RESULTS.study(self.name)

    @property
    def benchmarks(self) -> list[str]:
        """The names of the benchmarks, the same for all models."""
        return list(next(iter(self.evaluations.values())).benchmarks)

    @property
    def pass_k(self) -> dict[str, list[int]]:
        """The k of each benchmark's pass@k, the same for all models."""
        return next(iter(self.evaluations.values())).pass_k

    @property
    def primary(self) -> str:
        """The headline metric by its name in scores.parquet."""
        return self.headline.primary

    @property
    def metrics(self) -> list[str]:
        """The accuracies by their names in scores.parquet."""
        return metric_names(self.evaluations, self.graders)

    def evaluation_file(self, model: str) -> Path:
        """The file that `generate` reads for this base model: evaluation.json, or one per model where they differ."""
        first, *others = self.evaluations.values()
        alike = all(other == first for other in others)
        return self.files.evaluation("" if alike else model)

    @property
    def compared(self) -> dict[str, dict[str, Any]]:
        """What each training dataset is compared with for the report, by name; without those where no row can match."""
        sources = benchmark_splits(self.benchmarks, self.datasets.__getitem__)
        names = dict.fromkeys(run.dataset for run in self.runs)
        found = {name: decontamination.compared_with(self.datasets[name], sources) for name in names}
        return {name: compared for name, compared in found.items() if compared}

    @property
    def reduced_data(self) -> dict[Path, tuple[str, dict[str, Any]]]:
        """Training data without rows of benchmarks: {folder: (dataset, what it is compared with)}."""
        needed = list(self.compared.items())
        datasets = [run.config.dataset for run in self.runs]
        needed += [(data.name, data.decontaminated) for data in datasets if data.decontaminated]
        root = RESULTS.data_root
        own = {decontamination.reduced_folder(root, name, compared): (name, compared) for name, compared in needed}
        return own | (self.tuning.reduced_data if self.tuning else {})

    def run(self, key: str) -> Run:
        """Find a run by model/dataset/method/seed<k>."""
        runs = {run.key: run for run in self.runs}
        if key not in runs:
            raise unknown("run", key, runs, str(self.path))
        return runs[key]


def subjects(run: Run) -> list[str]:
    """What answers the benchmarks for a run: its last step, then its snapshots; folders below results/<study>."""
    return [str(Subject(run.key, snapshot)) for snapshot in ("", *run.snapshots)]


def benchmark_splits(benchmarks: Iterable[str], dataset: Callable[[str], Recipe]) -> list[tuple[Recipe, str]]:
    """The recipe and the split behind each benchmark."""
    places = map(named_inputs.benchmark_split, benchmarks)
    return [(dataset(name), split) for name, split in dict.fromkeys(places)]
