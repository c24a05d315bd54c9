"""Recipes of kind `hub`: a base model or a dataset of a public repository, pinned (see fetch.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from entrobench.config import parse, setting
from entrobench.errors import InputError, first_line, nearest
from entrobench.evaluation.grading.replies.boxes import boxes
from entrobench.json_lines import json_lines, read_json

from .fetch import UNKNOWN, Source, check_source, fetch
from .rows import Columns, Row, row_of

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "chat_template.jinja",
    "LICENSE*",
)

SIZES = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")


@dataclass(frozen=True)
class ModelSizes:
    """A decoder's sizes as in its config.json; plans are made with them before the model is fetched."""

    architecture: str = setting("qwen2", source="config.json: model_type")
    hidden_size: int = setting(0, low=1)
    layers: int = setting(0, low=1, source="num_hidden_layers")
    heads: int = setting(0, low=1, source="num_attention_heads")
    kv_heads: int = setting(0, low=1, source="num_key_value_heads")
    intermediate_size: int = setting(0, low=1)
    vocabulary: int = setting(0, low=1, source="vocab_size: rows of the output layer, padding included")
    tied: bool = setting(False, source="tie_word_embeddings")
    head_size: int = setting(0, low=0, source="head_dim; 0 is hidden_size / heads")


@dataclass(frozen=True)
class HubModel:
    """Recipe of kind `hub` of a base model; `shape` is checked against config.json when the model is fetched."""

    kind: str = setting("hub")
    repository: str = setting("")
    revision: str = setting(UNKNOWN)
    licence: str = setting("")
    files: dict[str, Any] = setting({})
    shape: dict[str, Any] = setting({})
    window: int | None = setting(None, low=1, source="config.json: max_position_embeddings; null: not known yet")
    chat: dict[str, Any] = setting({}, source="template, arguments and date of the chat template")


@dataclass(frozen=True)
class HubSplit(Columns):
    """One split: the parquet or JSON-lines files that match `files`, and which of their rows.

    Rows without an answer are left out. `boxed`: the answer is the content of the last \\boxed{} of its column.
    `verified` names a column of lists of truth values, one of which must be true. `take` keeps that many rows, those
    with the smallest ids. `rows` is how many must result.
    """

    files: str = setting("")
    boxed: bool = setting(False)
    verified: str | None = setting(None)
    take: int | None = setting(None, low=1)
    rows: int | None = setting(None, low=1)

    def __post_init__(self) -> None:
        if not self.files:
            raise ValueError("files is required: a pattern such as data/train-*.parquet")


def model_source(name: str, recipe: HubModel) -> Source:
    """The pinned files of a base model. Raises InputError for anything wrong with them, or a wrong `shape`."""
    parse(ModelSizes, recipe.shape, f"config/models/{name}.yaml: shape")
    return check_source("models", name, recipe.repository, recipe.revision, recipe.files, recipe.licence)


def fetch_model(name: str, recipe: HubModel) -> dict[str, Path]:
    """The files of a base model. Raises InputError where config.json contradicts the recipe's `shape`."""
    source = model_source(name, recipe)
    files = fetch(source)
    if "config.json" in files:
        check_sizes(recipe.shape, recipe.window, read_config(files["config.json"]), source.place, "config.json")
    return files


def check_sizes(shape: Mapping[str, Any], window: int | None, config: Mapping[str, Any], where: str, file: str) -> None:
    """Raise InputError where a model's config.json has other sizes than its recipe, with which plans were made.

    `where` is what states `shape` and `window`, `file` the one that contradicts it.
    """
    found = sizes_of(config)
    stated = {f"shape: {key}": (value, getattr(found, key)) for key, value in shape.items()}
    if window is not None:
        stated["window"] = (window, config.get("max_position_embeddings"))
    for key, (value, own) in stated.items():
        if own != value:
            raise InputError(f"{where}: {key} is {own!r} in {file}, not {value!r}")


def read_config(path: Path) -> dict[str, Any]:
    """The decoder's part of a config.json: families with several modalities keep it in `text_config`."""
    config = read_json(path)
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) and inner else config


def config_in(folder: Path) -> dict[str, Any]:
    """The config.json of a model folder, its decoder's part."""
    return read_config(folder / "config.json")


def window_in(folder: Path) -> int | None:
    """The longest sequence that a model folder allows, in tokens; None where its config.json does not say."""
    window = config_in(folder).get("max_position_embeddings")
    if window is not None and not isinstance(window, int):
        raise InputError(f"{folder}/config.json: max_position_embeddings must be a whole number, got {window!r:.60}")
    return window


def sizes_in(folder: Path) -> ModelSizes:
    """The sizes of a model folder."""
    return sizes_of(config_in(folder), f"{folder}/config.json")


def sizes_of(stated: Mapping[str, Any], where: str = "config.json") -> ModelSizes:
    """The sizes in a transformers config.json. Raises InputError where one is missing or no size."""
    for key in SIZES:
        if key not in stated:
            raise InputError(f"{where}: the key {key!r} is missing: this is no decoder of text as we know it")
    sizes = {
        "architecture": stated["model_type"],
        "hidden_size": stated["hidden_size"],
        "layers": stated["num_hidden_layers"],
        "heads": stated["num_attention_heads"],
        "kv_heads": stated.get("num_key_value_heads") or stated["num_attention_heads"],
        "intermediate_size": stated["intermediate_size"],
        "vocabulary": stated["vocab_size"],
        "tied": bool(stated.get("tie_word_embeddings", False)),
        "head_size": stated.get("head_dim") or 0,
    }
    return parse(ModelSizes, sizes, where)


def read_splits(source: Source, splits: Mapping[str, HubSplit]) -> dict[str, list[Row]]:
    """The rows of a dataset's splits, fetched where they are not here. Raises InputError naming file and row."""
    files = fetch(source)
    return {split: _read_split(files, values, f"{source.place}: splits.{split}") for split, values in splits.items()}


def _read_split(files: Mapping[str, Path], split: HubSplit, where: str) -> list[Row]:
    paths = sorted(path for path in files if fnmatch(path, split.files))
    read = (row for path in paths for row in _rows(files[path], split, where))
    rows = sorted(read, key=lambda row: row.id)[: split.take] if split.take else list(read)
    if split.rows not in (None, len(rows)):
        raise InputError(f"{where}: expected {split.rows} rows, found {len(rows)}")
    return rows


def _rows(path: Path, split: HubSplit, where: str) -> Iterator[Row]:
    for number, values in enumerate(_records(path, split, where), start=1):
        if split.verified is not None and not any(values[split.verified] or ()):
            continue
        if split.boxed:
            values = {**values, split.answer: boxed_answer(str(values[split.answer] or ""))}
        if values[split.answer] in (None, "", []):  # not 0, which is an answer
            continue
        row = row_of(values, split, f"{path}: row {number}")
        if row is not None:
            yield row


def _records(path: Path, split: HubSplit, where: str) -> Iterator[dict[str, Any]]:
    """The file's records with the columns that are read: the others may be huge."""
    if path.suffix != ".parquet":
        for place, values in json_lines(path):
            for column in (split.answer, *filter(None, (split.verified,))):
                if column not in values:
                    raise InputError(
                        f"{place}: no column {column!r} (there: {', '.join(values)}){nearest(column, values)}"
                    )
            yield values
        return
    import pyarrow
    import pyarrow.parquet

    wanted = {split.problem, split.answer, *split.only, *filter(None, (split.unit, split.tolerance, split.verified))}
    try:
        file = pyarrow.parquet.ParquetFile(path)
        there = file.schema_arrow.names
        for column in sorted(wanted):
            if column not in there:
                raise InputError(f"{where}: {path} has no column {column!r}{nearest(column, there)}")
        for batch in file.iter_batches(columns=sorted(wanted)):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # in its footer, a page or a text
        raise InputError(f"{where}: {path} is not readable as Parquet: {first_line(error)}") from None


def boxed_answer(text: str) -> str:
    """What the last \\boxed{...} of a text holds, braces balanced; "" where there is none.

    >>> boxed_answer("so \\\\boxed{1} or \\\\boxed{\\\\frac{1}{2}}.")
    '\\\\frac{1}{2}'
    """
    found = boxes(text)
    return str(found[-1][2]).strip() if found else ""
