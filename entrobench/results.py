"""Where everything lies below results/: the one module that builds these paths and reads them back.

results/
  <study>/                        StudyFolder: tables, figures, report, settings of the evaluation, logs
    runs/<model>/<dataset>/<method>/seed<k>/     RunFolder: settings, steps, weights, provenance, answers
      evaluations/step<n>/        AnswersFolder of one of its snapshots
    base/<model>/                 AnswersFolder of an untrained base model
    tuning/                       StudyFolder of the trials behind tuned values
  data/<dataset>/                 DataFolder: prepared splits; without-<key>/ lacks rows that benchmarks ask
  models/<model>/                 ModelFolder: a base model
  reference/<study>/              ReferenceFolder: committed results
  statistics/, downloads/, logs/, mlflow.db, .mlflow-ready, …
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .run_keys import RunKey

EVALUATION = r"evaluation(-[^/]+)?"  # pattern of the name of a file that says how models are sampled
GENERATIONS = ".jsonl.zst"
FIGURES = ("svg", "png")
NO_STUDY = ("data", "models", "downloads", "logs", "reference")  # folders of results/ that no study may be named after
_DEPTH = 4  # folders of a run's key


@dataclass(frozen=True)
class Folder:
    """A folder of results; its kinds below add names, no fields."""

    folder: Path


class Inside:
    """A file or folder that has this name in each folder of a kind."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Folder, kind: type[Folder]) -> Path:
        return owner.folder / self.name


class AnswersFolder(Folder):
    """The answers of one subject to the benchmarks, and their grades."""

    def generations(self, benchmark: str) -> Path:
        """The sampled answers to a benchmark."""
        return self.folder / "generations" / f"{benchmark}{GENERATIONS}"

    def grades(self, benchmark: str) -> Path:
        """The graded answers to a benchmark."""
        return self.folder / "grades" / f"{benchmark}.parquet"

    def all_generations(self) -> list[Path]:
        """The files of answers that are there."""
        return sorted((self.folder / "generations").glob(f"*{GENERATIONS}"))

    def all_grades(self) -> dict[str, Path]:
        """The files of grades by benchmark."""
        return {file.stem: file for file in sorted((self.folder / "grades").glob("*.parquet"))}

    @classmethod
    def of_generations(cls, file: Path) -> AnswersFolder | None:
        """The folder whose generations `file` lies among; None for a file that is elsewhere."""
        return cls(file.parent.parent) if file.parent.name == "generations" else None


def generations_below(folder: Path) -> list[Path]:
    """Every file among generations in a folder or anywhere below it."""
    return sorted(file for file in folder.glob("**/generations/*") if not file.name.startswith("."))


class RunFolder(AnswersFolder):
    """The files of one run; its own answers are those of its last step."""

    config = Inside("config.json")
    steps = Inside("steps.parquet")
    live = Inside("live.jsonl")  # the rows of a run that trains
    provenance = Inside("provenance.json")
    imported = Inside("imported.json")  # what is known of a run that was made elsewhere; others have none
    problems = Inside("problems.parquet")  # the scores of a run that was taken from a pack, instead of grades
    final = Inside("final")  # the weights after the last step
    checkpoints = Inside("checkpoints")
    evidence = Inside("evidence")  # of steps that had to stop

    @property
    def kept_snapshots(self) -> Path:
        """The snapshots of a run that trains; `snapshots` are those of a finished one."""
        return self.checkpoints / "snapshots"

    snapshots = Inside("snapshots")

    def snapshot(self, name: str) -> Path:
        """The weights of a snapshot."""
        return self.snapshots / name

    def evaluation(self, snapshot: str) -> AnswersFolder:
        """What a snapshot answered."""
        return AnswersFolder(self.folder / "evaluations" / snapshot)

    @property
    def key(self) -> RunKey:
        """Read from the folder's name."""
        return RunKey.read("/".join(self.folder.parts[-_DEPTH:]))

    @property
    def study(self) -> StudyFolder:
        """The folder of the study that the run belongs to."""
        return StudyFolder(self.folder.parents[_DEPTH])

    def beside(self, method: str, seed: int) -> RunFolder:
        """The run of another method or seed in the same study, on the same model and dataset."""
        key = self.key
        return self.study.run(str(RunKey(key.model, key.dataset, method, seed)))


class Checkpoint(Folder):
    """One folder below checkpoints/."""

    state = Inside("state.json")  # written last: a checkpoint is complete when it is there

    def tensors(self, name: str) -> Path:
        """One group of tensors."""
        return self.folder / f"{name}.safetensors"

    @classmethod
    def complete(cls, checkpoints: Path) -> list[Checkpoint]:
        """The complete ones of a run, the newest last."""
        return [cls(state.parent) for state in sorted(checkpoints.glob("step*/state.json"))]


class LoggedFolder(Folder):
    """A folder with the logs of jobs; a job is its rule and, after a slash, what it makes."""

    def log(self, job: str) -> Path:
        """What a job prints."""
        return self.folder / "logs" / f"{job}.log"


class StudyFolder(LoggedFolder):
    """The files of a study; the trials of one that tunes are a StudyFolder of their own."""

    @property
    def name(self) -> str:
        """As it stands below results/: <study>, or <study>/tuning."""
        return f"{self.folder.parent.name}/tuning" if self.folder.name == "tuning" else self.folder.name

    @property
    def results(self) -> Results:
        """The folder that the study lies in."""
        return Results(self.folder.parent.parent if self.folder.name == "tuning" else self.folder.parent)

    @property
    def trials(self) -> StudyFolder:
        """The trials behind the study's tuned values."""
        return StudyFolder(self.folder / "tuning")

    tuned = Inside("tuning.json")  # in the folder of trials: the values that they found
    sweep = Inside("sweep.csv")  # in the folder of trials: scores by value

    @property
    def sweep_figure(self) -> Path:
        return self.folder / f"sweep.{FIGURES[0]}"

    def evaluation(self, model: str = "") -> Path:
        """How all models are sampled, or this one."""
        return self.settings(f"evaluation-{model}" if model else "evaluation")

    def settings(self, name: str) -> Path:
        """The file of an evaluation, by its name without ending."""
        return self.folder / f"{name}.json"

    def run(self, key: str) -> RunFolder:
        """The folder of a run, by its key."""
        return RunFolder(self.folder / "runs" / key)

    def answers(self, subject: str) -> AnswersFolder:
        """What a subject answered."""
        return AnswersFolder(self.folder / subject)

    def runs(self) -> Iterator[RunFolder]:
        """The runs that have a folder."""
        yield from (RunFolder(folder) for folder in sorted((self.folder / "runs").glob("*/*/*/seed*")))

    def bases(self) -> Iterator[tuple[str, AnswersFolder]]:
        """(model, folder) of the untrained base models that have answers."""
        yield from ((folder.name, AnswersFolder(folder)) for folder in sorted((self.folder / "base").glob("*")))

    scores = Inside("scores.parquet")
    problems = Inside("problems.parquet")
    curves = Inside("curves.parquet")
    statistics = Inside("statistics.json")
    evaluations = Inside("evaluations.parquet")  # the scores along the way
    paper_comparison = Inside("paper_comparison.csv")
    findings = Inside("findings.txt")  # of a study of kind theory, as what follows
    provenance = Inside("provenance.json")
    laws = Inside("laws")

    def numbers(self, name: str, ending: str) -> Path:
        """A tidy table, csv or parquet."""
        return self.folder / f"{name}.{ending}"

    def table(self, ending: str) -> Path:
        """Ending: md, csv or tex."""
        return self.folder / f"table.{ending}"

    figures = Inside("figures")

    def figure(self, name: str) -> Path:
        """A figure as a web page shows it."""
        return self.figures / f"{name}.{FIGURES[0]}"

    report = Inside("report.html")
    tracking = Inside("tracking.json")
    reference_check = Inside("reference_check.json")
    reference_lines = Inside("reference_check.txt")  # what `entrobench check` printed

    def artifacts(self) -> Iterator[tuple[Path, str]]:
        """(file, folder among the artifacts of MLflow) of what people read of a compared study."""
        files = (self.report, self.table("md"), self.table("csv"), self.paper_comparison, self.statistics)
        yield from ((file, "") for file in files if file.is_file())
        yield from ((file, self.figures.name) for file in sorted(self.figures.glob("[!.]*")) if file.is_file())


class DataFolder(Folder):
    """A prepared dataset."""

    manifest = Inside("manifest.json")  # written last: the data are there when it is

    def split(self, name: str) -> Path:
        """The rows of a split."""
        return self.folder / f"{name}.parquet"

    def splits(self) -> list[str]:
        """The names of the splits that are there."""
        return sorted(file.stem for file in self.folder.glob("*.parquet"))

    def without(self, key: str) -> DataFolder:
        """The training rows that benchmarks do not ask; `key` says what they were compared with."""
        return DataFolder(self.folder / f"without-{key}")


class ModelFolder(Folder):
    """A base model: a folder that transformers reads, and how it was made."""

    about = Inside("model.json")  # recipe, hash and history; written last


class ReferenceFolder(Folder):
    """Committed results of a study, or published numbers: table<n>.csv and files beside them."""

    scores = Inside("scores.csv")
    sweep = Inside("sweep.csv")
    pack = Inside("runs")  # finished runs without weights: provenance, curves and problems as those of a StudyFolder
    acceptance = Inside("acceptance.csv")  # what the untrained models say of the study's tasks
    headline = Inside("headline.json")  # the numbers of the answer in words; a study of kind theory has findings
    findings = Inside("findings.txt")
    synthetic_process = Inside("synthetic_process.csv")  # the paper's figure 1

    def published_tables(self) -> list[Path]:
        """The published numbers by setting, method and benchmark."""
        return sorted(self.folder.glob("table*.csv"))


class StatisticsFolder(Folder):
    """What `entrobench audit-statistics` writes."""

    audit = Inside("audit.csv")
    page = Inside("audit.md")
    provenance = Inside("provenance.json")


@dataclass(frozen=True)
class Results(LoggedFolder):
    """The folder of all results, that of the working directory unless another is named."""

    folder: Path = Path("results")

    def study(self, name: str) -> StudyFolder:
        """The folder of a study."""
        return StudyFolder(self.folder / name)

    def studies(self) -> Iterator[StudyFolder]:
        """The studies that have a folder."""
        yield from (StudyFolder(folder) for folder in sorted(self.folder.glob("*")) if folder.name not in NO_STUDY)

    def data(self, name: str) -> DataFolder:
        """The folder of a prepared dataset."""
        return DataFolder(self.data_root / name)

    data_root = Inside("data")

    def model(self, name: str) -> ModelFolder:
        """The folder of a base model."""
        return ModelFolder(self.folder / "models" / name)

    downloads = Inside("downloads")

    def reference(self, name: str) -> ReferenceFolder:
        """The committed results of a study, or a folder of published numbers."""
        return ReferenceFolder(self.reference_root / name)

    reference_root = Inside("reference")

    def references(self) -> list[str]:
        """The folders of published numbers."""
        return sorted({file.parent.name for file in self.reference_root.glob("*/table*.csv")})

    def statistics(self, committed: bool) -> StatisticsFolder:
        """The audit of the intervals: the committed one, or the last that was made."""
        return StatisticsFolder((self.reference_root if committed else self.folder) / "statistics")

    model_contents = Inside(".model-contents.json")  # hashes of the files of this machine's models
    database = Inside("mlflow.db")  # of MLflow
    database_ready = Inside(".mlflow-ready")  # is there when the database has been made
    database_lock = Inside(".mlflow.lock")

    def mlflow_artifacts(self, study: str) -> Path:
        """Where MLflow keeps tables, figures and report of a study."""
        return self.folder / "mlflow-artifacts" / study

    @staticmethod
    def above_artifacts(artifacts: Path) -> list[Path]:
        """The folders around a run's artifacts in MLflow: the run's, the study's, that of all studies, results/."""
        return list(artifacts.parents)[:4]

    @classmethod
    def of_database(cls, database: Path) -> Results:
        """The results that a database shows: those beside it."""
        return cls(database.parent)


RESULTS = Results()
