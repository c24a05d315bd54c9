"""`entrobench pin`: fetch what a recipe names from the hub; write revision, SHA-256 and size of each file into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from entrobench.data.fetch import FilePin, Source, check_path, download, one_line
from entrobench.data.hub import MODEL_FILES, HubModel, model_source
from entrobench.documents import CONFIG, named_files
from entrobench.errors import InputError, unknown
from entrobench.files import write_whole
from entrobench.provenance import sha256_file

from . import named_inputs

REQUIRED_MODEL_FILES = ("config.json", "*.safetensors", "tokenizer*.json")


@dataclass(frozen=True)
class Wanted:
    """A recipe's source and the patterns of the files to take, of which each `required` one must match a file."""

    source: Source
    licence: str
    patterns: Sequence[str]
    required: Sequence[str]


def wanted(name: str) -> list[Wanted]:
    """What a study (its name or path), a base model or a dataset takes from the hub. InputError for other names."""
    from entrobench.data import datasets
    from entrobench.models.model_recipes import check_spec

    from . import study

    where = "entrobench pin"
    model_files, dataset_files = named_files("models"), named_files("datasets")
    if name in model_files or name in dataset_files:
        specs = [("models", name, named_inputs.load_model(name, where).spec)] if name in model_files else []
        specs += [("datasets", name, named_inputs.load_dataset(name, where).spec)] if name in dataset_files else []
    else:
        if name not in named_files("studies") and not Path(name).is_file():
            raise unknown(
                "study, model or dataset", name, {*named_files("studies"), *model_files, *dataset_files}, where
            )
        loaded = study.load_study(name)
        specs = [("models", key, recipe.spec) for key, recipe in loaded.base_models.items()]
        specs += [("datasets", key, recipe.spec) for key, recipe in loaded.datasets.items()]
    found = []
    for kind, key, spec in (item for item in specs if item[2]["kind"] == "hub"):
        place = f"config/{kind}/{key}.yaml"
        if kind == "models":
            model = check_spec(key, spec, place)
            assert isinstance(model, HubModel)
            found.append(Wanted(model_source(key, model), model.licence, MODEL_FILES, REQUIRED_MODEL_FILES))
        else:
            dataset = datasets.check_spec(key, spec, place)
            assert isinstance(dataset, datasets.HubDataset)
            patterns = [split.files for split in dataset.splits.values()]
            found.append(Wanted(datasets.source_of(key, dataset), dataset.licence, patterns, patterns))
    return found


def pin(item: Wanted, show: Callable[[str], None] = print) -> Source:
    """Pin a source to its repository's newest commit: fetch the files that match, then write the pins into its YAML.

    Nothing is written before every file is here. Raises InputError for no network, a gated or missing repository,
    another licence than the recipe states, a pattern without a file, and a file whose content is not what the hub says.
    """
    source = item.source
    revision, listed, licence = _listing(source)
    if licence is not None and licence != item.licence:
        raise InputError(
            f"{source.place}: licence {item.licence!r}, but {source.repository} states {licence!r}: check it, change it"
        )
    for pattern in item.required:
        if not any(fnmatch(path, pattern) for path in listed):
            raise InputError(f"{source.place}: no file of {source.repository} matches {pattern}")
    chosen = [path for path in sorted(listed) if any(fnmatch(path, pattern) for pattern in item.patterns)]
    for path in chosen:
        check_path(path, source.place)
    at_revision = replace(source, revision=revision)
    files = {path: _pinned(at_revision, path, *listed[path], show) for path in chosen}
    write_pins(CONFIG / source.kind / f"{source.name}.yaml", revision, files)
    show(f"{source.place}: pinned {len(files)} files of {source.repository} at {revision}")
    return replace(at_revision, files=files)


def _listing(source: Source) -> tuple[str, dict[str, tuple[int | None, str | None]], str | None]:
    """The newest commit, {path: (size, SHA-256 where the hub gives it)} and the licence on the repository's page."""
    from huggingface_hub import HfApi, constants

    with one_line(source):
        info: Any = HfApi(endpoint=constants.ENDPOINT).repo_info(
            source.repository, repo_type=source.repository_type, files_metadata=True
        )
    listed = {item.rfilename: (item.size, item.lfs.sha256 if item.lfs else None) for item in info.siblings}
    card = info.card_data
    return info.sha, listed, card.get("license") if card is not None else None


def _pinned(source: Source, path: str, size: int | None, sha256: str | None, show: Callable[[str], None]) -> FilePin:
    file = source.folder / path
    if not file.is_file() or (sha256 is not None and sha256_file(file) != sha256):
        file = download(source, path, size, sha256, show)
    return FilePin(sha256=sha256_file(file), bytes=file.stat().st_size)


def write_pins(path: Path, revision: str, files: dict[str, FilePin]) -> None:
    """Replace `revision` and `files` of a YAML file; every other line stays as it is."""
    block = [f"revision: {revision}", "files:"]
    block += [f"  {_key(name)}: {{sha256: {pin.sha256}, bytes: {pin.bytes}}}" for name, pin in files.items()]
    kept, place = _without(path.read_text().splitlines(), ("revision", "files"))
    text = "\n".join([*kept[:place], *block, *kept[place:]]) + "\n"
    write_whole(path, text)


def _without(lines: Iterable[str], keys: tuple[str, ...]) -> tuple[list[str], int]:
    """The lines without these top-level keys and what is indented below them, and where the first of them stood."""
    kept: list[str] = []
    place, inside = None, False
    for line in lines:
        if line[:1] not in (" ", "#", ""):
            inside = line.partition(":")[0] in keys
            if inside and place is None:
                place = len(kept)
        if not (inside and (line[:1] == " " or line.partition(":")[0] in keys)):
            kept.append(line)
    return kept, len(kept) if place is None else place


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][\w./-]*", name) else f'"{name}"'
