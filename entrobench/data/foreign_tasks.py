"""Tasks of lm-eval that are not ours: found by name, checked without importing lm-eval, their rows prepared once.

They are the user's own files config/tasks/*.yaml and the tasks that come with lm-eval. A task's prompts, few-shot
examples included, become the problems of the prepared dataset `lm-eval.<task>`, its targets the gold answers. Jobs read
that dataset, never a shared cache. Stop strings are kept; filters and metrics are not used, since our grader decides.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from entrobench.config import canonical_hash
from entrobench.documents import CONFIG
from entrobench.errors import InputError, first_line, nearest
from entrobench.provenance import sha256_file

PREFIX = "lm-eval."  # before the name of a prepared dataset, and of a task that has the name of one of ours
FEW_SHOT_SEED = 1234  # lm-eval's default
_TASK = re.compile(rb"^task:[ \t]*[\"']?([\w.+-]+)[\"']?[ \t\r]*(?:#.*)?$", re.MULTILINE)
_FUNCTION = re.compile(r"!function\s+([\w.]+)\.\w+")


class _Loader(yaml.SafeLoader):
    """Reads `!function module.name` as its text."""


_Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]


def task_file(name: str) -> Path | None:
    """The YAML file that defines a task; the user's files come first."""
    return dict(_defined(CONFIG / "tasks")).get(name) or packaged_tasks().get(name)


@cache
def packaged_tasks() -> dict[str, Path]:
    """The tasks that come with lm-eval, by name. Its folder of some 14,000 files is searched, which takes a second."""
    package = importlib.util.find_spec("lm_eval")  # does not import it
    folders = package.submodule_search_locations if package is not None else None
    return {name: path for folder in folders or () for name, path in _defined(Path(folder) / "tasks")}


def _defined(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, _, files in os.walk(folder):
        for file in sorted(files):
            if file.endswith(".yaml") and (found := _TASK.search(Path(place, file).read_bytes())):
                yield found[1].decode(), Path(place, file)


def read_task(path: Path) -> dict[str, Any]:
    """A task's keys, with those of the files that it includes."""
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    included = content.pop("include", [])
    merged: dict[str, Any] = {}
    for name in [included] if isinstance(included, str) else included:
        if not (path.parent / name).is_file():
            there = sorted(found.name for found in path.parent.glob("*.yaml"))
            raise InputError(f"{path}: include: no file {name} beside it; copy it there, too{nearest(name, there)}")
        merged |= read_task(path.parent / name)
    return merged | content


def content_sha256(path: Path) -> str:
    """SHA-256 (hex) of all that a task's folder says of it: its file, those that it includes, and its functions'."""
    return canonical_hash({file.name: sha256_file(file) for file in _files_of(path)})


def _files_of(path: Path) -> Iterator[Path]:
    """A task's file, those that it includes, and the Python files beside them whose functions it names."""
    yield path
    text = path.read_text(encoding="utf-8")
    modules = {path.parent / f"{name}.py" for name in _FUNCTION.findall(text)}
    yield from sorted(module for module in modules if module.is_file())
    included = yaml.load(text, _Loader).get("include", [])
    for name in [included] if isinstance(included, str) else included:
        yield from _files_of(path.parent / name)


def check_task(name: str, task: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a task that text cannot answer."""
    kind = task.get("output_type", "generate_until")
    if kind != "generate_until":
        raise InputError(f"{where}: {name} is a task of output_type {kind}; only generate_until can be sampled")
    if "class" in task or "doc_to_image" in task or "doc_to_audio" in task:
        raise InputError(f"{where}: {name} is no plain text task: it has a class, images or sounds of its own")


def task_pairs(name: str, where: str) -> list[tuple[str, str]]:
    """All (prompt, gold answer) of a task's test rows, as lm-eval makes them.

    Raises InputError where its rows cannot be loaded, and, with the row's number, for a gold answer that is no text.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from lm_eval.tasks import TaskManager

    try:
        (task,) = TaskManager(include_defaults=False).load([str(task_file(name))])["tasks"].values()
    except OSError as error:  # no such file, no such dataset, no network
        raise InputError(f"{where}: its rows cannot be loaded: {first_line(error)}") from None
    task.set_fewshot_seed(FEW_SHOT_SEED)
    shots = task.config.num_fewshot or 0
    pairs = []
    for number, row in enumerate((row for _, row in task.doc_iterator()), start=1):
        prompt = task.fewshot_context(row, num_fewshot=shots, gen_prefix=task.doc_to_prefix(row))
        pairs.append((prompt, _gold(task.doc_to_target(row), f"{where}: row {number}")))
    return pairs


def _gold(target: Any, where: str) -> str:
    """A target as text. A list must have a single element, since several may mean `all of` or `any of`."""
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    if isinstance(target, bool) or not isinstance(target, (str, int, float)):
        raise InputError(f"{where}: the gold answer must be text, got {target!r:.60}")
    if not str(target).strip():
        raise InputError(f"{where}: the gold answer is empty")
    return str(target)
