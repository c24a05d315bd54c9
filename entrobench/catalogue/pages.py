"""What `entrobench methods` prints: the list of methods and named variants, and the page of one of them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.api import Method
from entrobench.catalogue.marks import marks_of
from entrobench.config import range_text
from entrobench.documents import named_files, read_yaml
from entrobench.errors import unknown
from entrobench.run_config import Variant
from entrobench.text import table

from .registry import MethodInfo, load_method, method_infos
from .variants import load_variant

WIDTH = 100


def catalogue() -> str:
    """All methods, then all named variants; reads their sources without importing them."""
    infos, variants = method_infos(), [_written(path) for path in named_files("methods").values()]
    methods = table(("method", "known from", "marks", "hooks", "origin", "paper"), map(_row, infos.values()))
    rows = [(w.variant.name, w.variant.use, _marks(w.variant.use, w.variant.values), w.description) for w in variants]
    named = table(("named variant", "method", "marks", "what it is"), rows)
    built_in = sum(info.origin == "built-in" for info in infos.values())
    counts = f"{built_in} methods are built in, {len(infos) - built_in} installed; {len(variants)} named variants."
    end = f"{counts}\n`entrobench methods NAME` shows settings, ranges, sources and values."
    return "\n\n".join([methods, named, end] if variants else [methods, end])


def _row(info: MethodInfo) -> tuple[str, ...]:
    """A method's line in the list."""
    known = str(info.constants.get("evidence", "")) or "not stated"
    return info.name, known, _marks(info.name, {}), ", ".join(info.hooks) or "none", info.origin, info.summary


def page(name: str) -> str:
    """All about one method or one named variant. Raises InputError for an unknown name."""
    files = named_files("methods")
    if name not in method_infos() and name not in files:
        raise unknown("method", name, {*method_infos(), *files}, "entrobench methods")
    return "\n".join(_method_page(name) if name in method_infos() else _variant_page(files[name]))


def _method_page(name: str) -> Iterator[str]:
    info, method = method_infos()[name], load_method(name)
    yield f"{name} ({info.origin}, {info.source})"
    module = inspect.getdoc(inspect.getmodule(method)) or ""
    for text in (module, inspect.getdoc(method) or ""):
        yield from ("", *text.splitlines())
    yield ""
    yield from _facts(method, info.hooks)
    yield ""
    settings = [(f.name, _shown(default(f)), _range(f), f.metadata.get("source", "")) for f in _fields(method)]
    yield table(("setting", "default", "range", "source"), settings) if settings else "No settings."
    for path in named_files("methods").values():
        if _written(path).variant.use == name:
            yield from ("", *_values(path, method))


def _facts(method: type[Method], hooks: tuple[str, ...]) -> Iterator[str]:
    neutral = method.neutral
    if not isinstance(neutral, str):
        neutral = ", ".join(f"{key}: {_shown(value)}" for key, value in neutral.items()) or "always"
    facts = {
        "paper": method.paper,
        "known from": method.evidence or "not stated",
        "provisional": method.provisional,
        "hooks": ", ".join(hooks) or "none",
        "at one update per step": "does nothing: inert on policy" if method.inert_on_policy else "acts",
        "equals GRPO": neutral,
    }
    for label, text in facts.items():
        if text:
            first, *more = textwrap.wrap(text, WIDTH - 24)
            yield f"{label + ':':<24}{first}"
            yield from (" " * 24 + line for line in more)


def _variant_page(path: Path) -> Iterator[str]:
    use = load_variant(path.stem, path).use
    yield from _values(path, load_method(use))
    yield ""
    yield f"The method itself: entrobench methods {use}"


def _values(path: Path, method: type[Method]) -> Iterator[str]:
    """A named variant's values beside the method's defaults, each with the comment that its file gives."""
    written = _written(path)
    marks = _marks(written.variant.use, written.variant.values)
    yield f"{path.stem} ({path}): {written.description}" + (f" [{marks}]" if marks else "")
    defaults, comments = {f.name: default(f) for f in _fields(method)}, written.comments
    values = load_variant(path.stem, path).values
    rows = [(key, _shown(value), _shown(defaults[key]), comments.get(key, "")) for key, value in values.items()]
    yield table(("setting", "value", "default", "source"), rows)


@dataclass(frozen=True)
class Written:
    """A variant's file as text, unchecked: its method may be missing, or fail to import."""

    variant: Variant
    description: str
    comments: Mapping[str, str]  # behind the values


def _written(path: Path) -> Written:
    content = read_yaml(path)
    variant = Variant(path.stem, str(content.get("use")), content.get("values") or {})
    comments = dict(re.findall(r"^  (\w+):[^#\n]*# (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))
    return Written(variant, " ".join(str(content.get("description", "")).split()), comments)


def default(declared: dataclasses.Field[Any]) -> Any:
    """A field's default, made by its factory where it has one."""
    made = declared.default_factory
    return declared.default if made is dataclasses.MISSING else made()


def _fields(method: type[Method]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(method.Config)


def _range(declared: dataclasses.Field[Any]) -> str:
    choices, low, high = (declared.metadata.get(key) for key in ("choices", "low", "high"))
    if choices is not None:
        return ", ".join(choices)
    if isinstance(default(declared), bool):
        return "true, false"
    return "" if low is None and high is None else range_text(low, high)


def _shown(value: Any) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _marks(use: str, values: Mapping[str, Any]) -> str:
    marks = marks_of(use, values)
    return ", ".join(marks if use in method_infos() else (f"broken: no method {use}", *marks))
