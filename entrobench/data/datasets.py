"""Datasets: from a recipe (config/datasets/<name>.yaml) to parquet splits with a manifest.

Kinds of recipe: `chain` (the embedded generator, split by hash of the problem), `word_problems` (arithmetic for small
pretrained models, split by pair of operands and by wording), `jsonl` (files in the folder that the
environment variable ENTROBENCH_DATA names, each pinned by SHA-256 and row count), `hub` (pinned files of a public
repository) and `lm_eval` (the test rows of a task of lm-eval, as it prompts them).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.config import canonical_hash, parse, setting
from entrobench.errors import InputError, nearest, unknown
from entrobench.files import make_folder, replacing, write_whole
from entrobench.provenance import sha256_file
from entrobench.results import DataFolder

from .fetch import UNKNOWN, FilePin, Source, check_source, fetch
from .foreign_tasks import task_pairs
from .hub import HubSplit, read_splits
from .rows import Row, SplitFile, problem_id, read_file

SPLITS = ("train", "validation", "test")
DATA_VARIABLE = "ENTROBENCH_DATA"
NOT_HASHED = ("prompt", "source", "repository", "revision", "reward")
COLUMNS = ("id", "problem", "answer")  # and tolerance, where a row of the split has one


@dataclass(frozen=True)
class ChainDataset:
    """Recipe of kind `chain`: the shares that are held out; the rest is train."""

    kind: str = setting("chain")
    source: str = setting("embedded generator")
    prompt: str = setting("{problem}")
    reward: str = setting("", help="of runs that train on it, where their study names none")
    test_share: float = setting(0.1, low=0.0, high=1.0)
    validation_share: float = setting(0.1, low=0.0, high=1.0)
    chain: dict[str, Any] = setting({})

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        if not 0 < self.test_share + self.validation_share < 1:
            raise ValueError("test_share + validation_share must lie between 0 and 1, both excluded")


@dataclass(frozen=True)
class WordProblemDataset:
    """Recipe of kind `word_problems`: the shares of all pairs of operands that are held out."""

    kind: str = setting("word_problems")
    source: str = setting("embedded generator")
    prompt: str = setting("{problem}")
    reward: str = setting("", help="of runs that train on it, where their study names none")
    test_share: float = setting(0.1, low=0.01, high=0.5)
    validation_share: float = setting(0.1, low=0.01, high=0.5)
    problems: dict[str, Any] = setting({})

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)


@dataclass(frozen=True)
class JsonlDataset:
    """Recipe of kind `jsonl`: {split: SplitFile}; `validation_share` of the training rows is held out by hash.

    Where ENTROBENCH_DATA is not set and the recipe names a `repository` and its `revision` (a full commit hash), the
    files are fetched from there. Their content is pinned by its SHA-256 either way.
    """

    kind: str = setting("jsonl")
    source: str = setting("")
    repository: str | None = setting(None)
    revision: str | None = setting(None)
    prompt: str = setting("{problem}")
    reward: str = setting("", help="as in a chain's recipe")
    validation_share: float = setting(0.0, low=0.0, high=1.0)
    splits: dict[str, Any] = setting({})

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        if not self.splits:
            raise ValueError(f"splits must name at least one of {', '.join(SPLITS)}")
        if bool(self.repository) != bool(self.revision):
            raise ValueError("repository and revision go together")
        unknown_to_pin = self.revision == UNKNOWN and isinstance(self, HubDataset)
        if self.revision and not unknown_to_pin and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ValueError(f"revision must be a full commit hash, 40 hex digits, got {self.revision!r}")
        if self.validation_share and ("train" not in self.splits or "validation" in self.splits):
            raise ValueError("validation_share is carved from train: it needs a train and no validation file")
        if self.validation_share == 1:
            raise ValueError("validation_share 1 leaves no training row")


@dataclass(frozen=True)
class HubDataset(JsonlDataset):
    """Recipe of kind `hub`: {split: HubSplit} of a repository's files, pinned by `entrobench pin`."""

    kind: str = setting("hub")
    revision: str | None = setting(UNKNOWN)
    licence: str = setting("")
    files: dict[str, Any] = setting({})


@dataclass(frozen=True)
class TaskDataset:
    """Recipe of kind `lm_eval`: a task's test rows, pinned by `version` and by what its files hold."""

    kind: str = setting("lm_eval")
    source: str = setting("a task of lm-eval")
    prompt: str = setting("{problem}")
    task: str = setting("")
    version: str = setting("")
    content_sha256: str = setting("")


Spec = ChainDataset | WordProblemDataset | JsonlDataset | HubDataset | TaskDataset
KINDS: dict[str, type[Spec]] = {
    "chain": ChainDataset,
    "word_problems": WordProblemDataset,
    "jsonl": JsonlDataset,
    "hub": HubDataset,
    "lm_eval": TaskDataset,
}


def _check_prompt(prompt: str) -> None:
    if prompt.count("{problem}") != 1:
        raise ValueError(f"prompt must contain {{problem}} exactly once, got {prompt!r}")


def check_spec(name: str, spec: Mapping[str, Any], where: str) -> Spec:
    """Return the validated recipe; `where` names the file in error lines.

    Raises InputError for an unknown kind, key, split or generator setting, and for a value out of range.
    """
    if not isinstance(spec, Mapping):
        raise InputError(f"{where}: dataset {name!r} must be a mapping, got {type(spec).__name__}")
    kind = spec.get("kind")
    if kind not in KINDS:
        raise unknown("kind", str(kind), KINDS, where)
    checked = parse(KINDS[kind], spec, where)
    if isinstance(checked, ChainDataset):
        from .chain import ChainConfig

        return dataclasses.replace(
            checked, chain=dataclasses.asdict(parse(ChainConfig, checked.chain, f"{where}: chain"))
        )
    if isinstance(checked, WordProblemDataset):
        from .word_problems import WordProblemConfig

        own = parse(WordProblemConfig, checked.problems, f"{where}: problems")
        return dataclasses.replace(checked, problems=dataclasses.asdict(own))
    if isinstance(checked, TaskDataset):
        return checked
    for split in checked.splits:
        if split not in SPLITS:
            raise unknown("split", split, SPLITS, where)
    columns = HubSplit if isinstance(checked, HubDataset) else SplitFile
    files = {split: parse(columns, values, f"{where}: splits.{split}") for split, values in checked.splits.items()}
    checked = dataclasses.replace(checked, splits=files)
    if isinstance(checked, HubDataset):
        source_of(name, checked)
    return checked


def source_of(name: str, spec: HubDataset) -> Source:
    """The repository and the pins of a dataset of kind `hub`. Raises InputError for anything wrong with them."""
    return check_source("datasets", name, spec.repository or "", spec.revision or "", spec.files, spec.licence)


def recipe_hash(spec: Spec) -> str:
    """SHA-256 of all that decides the rows: the recipe without its prompt and without where the files come from.

    Keys that a file does not give are not hashed, so that a new optional key changes no hash.
    """
    content = dataclasses.asdict(spec)
    if isinstance(spec, JsonlDataset):
        splits = content["splits"].items()
        content["splits"] = {split: {key: value for key, value in file.items() if value} for split, file in splits}
    return canonical_hash({key: value for key, value in content.items() if key not in NOT_HASHED})


def split_names(spec: Spec) -> list[str]:
    """The splits that `prepare` will write for a recipe, in the order of SPLITS."""
    if isinstance(spec, TaskDataset):
        return ["test"]
    if isinstance(spec, WordProblemDataset):
        return list(SPLITS)
    if isinstance(spec, ChainDataset):
        present = {"train": True, "validation": spec.validation_share > 0, "test": spec.test_share > 0}
    else:
        present = {split: split in spec.splits for split in SPLITS}
        present["validation"] |= spec.validation_share > 0
    return [split for split in SPLITS if present[split]]


def render(prompt: str, problem: str) -> str:
    """Put the problem into a prompt template; braces elsewhere in the template stay as they are."""
    return prompt.replace("{problem}", problem)


def held_out(identifier: str, validation_share: float, test_share: float) -> str:
    """The split of a problem id: the same id always gives the same split, so splits are disjoint."""
    position = int(identifier, 16) / 16**16
    if position < test_share:
        return "test"
    return "validation" if position < test_share + validation_share else "train"


def verify(name: str, spec: Mapping[str, Any]) -> None:
    """Raise InputError where `prepare` would. Reads the sources whole; downloads and writes nothing."""
    where = recipe_place(name, spec)
    checked = check_spec(name, spec, where)
    if not (isinstance(checked, JsonlDataset) and _is_fetched(checked)):
        _read(name, checked, where)


def _is_fetched(spec: JsonlDataset) -> bool:
    """Whether the rows come from a repository."""
    return isinstance(spec, HubDataset) or (spec.repository is not None and not os.environ.get(DATA_VARIABLE))


def recipe_place(name: str, spec: Mapping[str, Any]) -> str:
    """The recipe's file, as error messages name it."""
    return f"lm-eval task {name}" if spec.get("kind") == "lm_eval" else f"config/datasets/{name}.yaml"


def prepare(name: str, spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write <split>.parquet (id, problem, answer) and manifest.json into the folder; return the manifest.

    Every source is checked before anything is written; each file appears by rename, the manifest last. Raises
    InputError, one line with file and row number, for a missing source, wrong hash or count, or an empty answer.
    """
    where = recipe_place(name, spec)
    checked = check_spec(name, spec, where)
    splits, duplicates = _unique(_read(name, checked, where))
    for split in split_names(checked):
        if not splits.get(split):
            raise InputError(f"{where}: the {split} split has no rows")
    manifest = {
        "name": name,
        "kind": checked.kind,
        "source": checked.source,
        "recipe_hash": recipe_hash(checked),
        "recipe": dataclasses.asdict(checked),
    }
    return write_splits(folder, splits, manifest, duplicates)


def write_splits(
    folder: Path, splits: Mapping[str, list[Row]], manifest: dict[str, Any], duplicates: Mapping[str, int]
) -> dict[str, Any]:
    """Write the splits and, last, manifest.json with their counts and hashes; delete other splits in the folder."""
    files = DataFolder(folder)
    make_folder(folder)
    for split in SPLITS:
        if split in splits:
            _write_parquet(splits[split], files.split(split))
        else:
            files.split(split).unlink(missing_ok=True)  # left by an earlier recipe
    manifest["splits"] = {
        split: {
            "rows": len(rows),
            "sha256": sha256_file(files.split(split)),
            "duplicates": duplicates[split],
        }
        for split, rows in sorted(splits.items())
    }
    write_whole(files.manifest, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest


def load_rows(folder: Path, split: str) -> list[Row]:
    """Read one prepared split. Raises InputError if it is missing or differs from the manifest."""
    import pyarrow.parquet

    files = DataFolder(folder)
    path, manifest_path = files.split(split), files.manifest
    if not path.is_file() or not manifest_path.is_file():
        there = files.splits()
        raise InputError(f"{path}: no such split (prepared: {', '.join(there) or 'none'}){nearest(split, there)}")
    listed = json.loads(manifest_path.read_text())["splits"].get(split, {}).get("sha256")
    if listed != sha256_file(path):
        raise InputError(f"{path}: its SHA-256 differs from {manifest_path}; prepare the dataset again")
    table = pyarrow.parquet.read_table(path)
    return [Row(**values) for values in table.to_pylist()]


def _read(name: str, spec: Spec, where: str) -> dict[str, list[Row]]:
    """All rows of a recipe by split, checked."""
    if isinstance(spec, ChainDataset):
        return _generate_chain(spec)
    if isinstance(spec, WordProblemDataset):
        return _generate_word_problems(spec, where)
    if isinstance(spec, TaskDataset):
        return {"test": [Row(problem_id(p), p, a) for p, a in task_pairs(spec.task, where)]}
    if isinstance(spec, HubDataset):
        splits = read_splits(source_of(name, spec), spec.splits)
    else:
        splits = {
            split: read_file(_folder_of(name, spec, file, where), file, f"{where}: splits.{split}")
            for split, file in spec.splits.items()
        }
    if spec.validation_share:
        splits |= _by_hash(splits["train"], spec.validation_share, 0.0)
    return splits


def _folder_of(name: str, spec: JsonlDataset, file: SplitFile, where: str) -> Path:
    """The folder of a file: the user's own, or the one into which the recipe's repository is fetched."""
    if not _is_fetched(spec):
        return data_folder(where)
    source = Source(
        "datasets", name, spec.repository or "", spec.revision or "", {file.file: FilePin(sha256=file.sha256)}
    )
    return Path(str(fetch(source)[file.file]).removesuffix(file.file))


def data_folder(where: str) -> Path:
    """The user's folder of data files, from the environment. Raises InputError if unset or no folder."""
    value = os.environ.get(DATA_VARIABLE)
    if not value:
        raise InputError(f"{where}: needs the environment variable {DATA_VARIABLE}: the folder with its data files")
    if not Path(value).is_dir():
        raise InputError(f"{where}: {DATA_VARIABLE} names no folder: {value}")
    return Path(value)


def _generate_chain(spec: ChainDataset) -> dict[str, list[Row]]:
    from .chain import ChainConfig, rows

    pairs = rows(ChainConfig(**spec.chain))
    return _by_hash([Row(problem_id(p), p, a) for p, a in pairs], spec.validation_share, spec.test_share)


def _generate_word_problems(spec: WordProblemDataset, where: str) -> dict[str, list[Row]]:
    """Rows by the split of their pair; those of a held-out wording are for the test, or for none (validation pairs)."""
    from .word_problems import WordProblemConfig, held_out_wordings, pair_identifier, problems

    try:
        made = problems(WordProblemConfig(**spec.problems))
    except ValueError as error:
        raise InputError(f"{where}: problems: {error}") from None
    kept_back = held_out_wordings()
    splits: dict[str, list[Row]] = {}
    for problem in made:
        split = held_out(pair_identifier(problem.pair), spec.validation_share, spec.test_share)
        if problem.wording in kept_back:
            if split == "validation":
                continue
            split = "test"
        splits.setdefault(split, []).append(Row(problem_id(problem.text), problem.text, str(problem.result)))
    return splits


def _by_hash(rows: Iterable[Row], validation_share: float, test_share: float) -> dict[str, list[Row]]:
    splits: dict[str, list[Row]] = {}
    for row in rows:
        splits.setdefault(held_out(row.id, validation_share, test_share), []).append(row)
    return splits


def _unique(splits: Mapping[str, list[Row]]) -> tuple[dict[str, list[Row]], dict[str, int]]:
    """Rows without repeated problems, and how many were dropped; of train and a held-out split, train loses the row."""
    seen: set[str] = set()
    unique: dict[str, list[Row]] = {}
    for split in (name for name in reversed(SPLITS) if name in splits):
        unique[split] = []
        for row in splits[split]:
            if row.id not in seen:
                unique[split].append(row)
            seen.add(row.id)
    return unique, {split: len(splits[split]) - len(unique[split]) for split in splits}


def _write_parquet(rows: list[Row], path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = [*COLUMNS, "tolerance"] if any(row.tolerance for row in rows) else COLUMNS
    table = pyarrow.table({column: [getattr(row, column) for row in rows] for column in columns})
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer)
    with replacing(path) as draft:
        draft.write_bytes(buffer.getvalue().to_pybytes())
