"""A study of kind `theory`: config/studies/<name>.yaml -> its declared grid of constructions and its settings."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from entrobench.config import canonical_hash, parse, setting
from entrobench.documents import check_schema, named_files, read_yaml, study_kind
from entrobench.errors import InputError, unknown
from entrobench.results import RESULTS, StudyFolder

from .ascent import Controller
from .constructions import Construction
from .one_step import OneStep
from .published import FILE

KIND = "theory"
TABLES = ("grid", "points", "one_step", "closed_forms", "bounds")  # .csv each
CURVES = ("curves", "trees")  # .parquet each


@dataclass(frozen=True)
class Trees:
    """The processes of several horizons on which the bounds are followed."""

    horizons: list[int] = setting([1, 2, 3])
    actions: int = setting(1000, low=32)
    spread: float = setting(1.0, low=0.0)
    lift: float = setting(2.0)
    rate: float = setting(100.0, low=0.0)
    coefficient: float = setting(0.02, low=1e-9)
    steps: int = setting(400, low=1)
    units: int = setting(5, low=1)


@dataclass(frozen=True)
class TheoryStudy:
    """A resolved study of synthetic decision processes."""

    name: str
    path: Path
    description: str
    units: int
    steps: int
    fit: list[int]
    check: list[int]
    constructions: list[Construction]
    controller: Controller
    trees: Trees
    one_step: OneStep
    settings: dict[str, Any] = field(repr=False)  # the file's content

    @property
    def files(self) -> StudyFolder:
        return RESULTS.study(self.name)

    @property
    def folder(self) -> Path:
        return self.files.folder

    @property
    def hash(self) -> str:
        return canonical_hash(self.settings)

    @property
    def optimal(self) -> list[int]:
        """All numbers of optimal sequences, the largest first."""
        return sorted({*self.fit, *self.check}, reverse=True)


@dataclass(frozen=True)
class TheoryWorkflow:
    """The study as the pipeline's rules see it; `argument` is how jobs name it."""

    study: TheoryStudy
    argument: str

    @property
    def goals(self) -> list[str]:
        return []  # report and tracking are those of every study

    @property
    def published(self) -> list[str]:
        return [str(FILE)]

    @property
    def files(self) -> StudyFolder:
        """Where the study's files are."""
        return self.study.files

    @property
    def written(self) -> list[str]:
        """What the study writes beside report, table.md and figures/."""
        files = self.files
        numbers = [*(files.numbers(name, "csv") for name in TABLES), *(files.numbers(n, "parquet") for n in CURVES)]
        return [
            str(file) for file in (*numbers, files.table("csv"), files.table("tex"), files.findings, files.provenance)
        ]


def load_workflow(arguments: Mapping[str, Any]) -> TheoryWorkflow:
    """Load the study that `snakemake --config study=...` names."""
    for key in arguments:
        if key != "study":
            raise InputError(f"snakemake --config: a study of kind {KIND} takes no {key!r} (allowed: study)")
    study = load(str(arguments["study"]))
    named = study.path.parent == Path("config/studies")
    return TheoryWorkflow(study, study.path.stem if named else shlex.quote(str(study.path)))


def load(name_or_path: str) -> TheoryStudy:
    """Load a study of kind theory by its name in config/studies or by the path of its file.

    Raises InputError, one line that names file and key, for everything wrong with it.
    """
    path = named_files("studies").get(name_or_path, Path(name_or_path))
    if not path.is_file():
        known = [name for name in named_files("studies") if study_kind(name) == KIND]
        raise unknown("study of kind theory", name_or_path, known, "STUDY")
    content = read_yaml(path)
    if study_kind(str(path)) != KIND:
        raise InputError(f"{path}: is no study of kind theory: run it with make study STUDY={path.stem}")
    check_schema(content, KIND, str(path))
    fit, check = list(content["fit"]), list(content["check"])
    if both := set(fit) & set(check):
        raise InputError(f"{path}: check: {min(both)} stands under fit, too; a choice is checked on other numbers")
    constructions = list(_constructions(content["grid"], str(path)))
    return TheoryStudy(
        name=path.stem,
        path=path,
        description=" ".join(content.get("description", "").split()),
        units=content["units"],
        steps=content["steps"],
        fit=fit,
        check=check,
        constructions=constructions,
        controller=parse(Controller, content.get("controller"), f"{path}: controller"),
        trees=parse(Trees, content.get("trees"), f"{path}: trees"),
        one_step=parse(OneStep, content.get("one_step"), f"{path}: one_step"),
        settings=content,
    )


def _constructions(grid: list[Mapping[str, Any]], where: str) -> Iterator[Construction]:
    """The cross product of each entry's lists, in the order of the file; the same one twice is refused."""
    seen: set[str] = set()
    for number, entry in enumerate(grid):
        lists = [value if isinstance(value, list) else [value] for value in entry.values()]
        for values in itertools.product(*lists):
            place = f"{where}: grid[{number}]"
            construction = parse(Construction, dict(zip(entry, values, strict=True)), place)
            if construction.horizon != 1:
                raise InputError(
                    f"{place}: horizon: the published figure is compared with bandits; trees have a part of their own"
                )
            key = canonical_hash(asdict(construction))
            if key in seen:
                raise InputError(f"{place}: holds a construction that stands in the grid already")
            seen.add(key)
            yield construction
