"""Which methods exist: files of the methods folder, and entry points of installed packages.

Listing reads source text only. A plug-in is imported when a study or a check names it, so a broken one affects no other
method. The registry name of a built-in method is its file's name, that of a plug-in its entry point's name.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from entrobench.api import Method
from entrobench.errors import InputError, in_one_line, unknown
from entrobench.provenance import distribution_of

GROUP = "entrobench.methods"  # of entry points, and the package of the built-in methods
NOT_HOOKS = {"initial_state"}
HOOKS = [name for name, value in vars(Method).items() if callable(value) and not name.startswith("_")]
HOOKS = [name for name in HOOKS if not isinstance(vars(Method)[name], type) and name not in NOT_HOOKS]


@dataclass(frozen=True)
class MethodInfo:
    """What a method's source says about it, without importing it."""

    name: str
    paper: str
    hooks: tuple[str, ...]  # those that it overrides
    source: Path  # relative to the working directory where it lies below it
    origin: str  # "built-in" or "distribution version"
    target: str  # "module:Class"
    problem: str = ""  # why it cannot be loaded, if the source already shows that
    constants: Mapping[str, Any] = field(default_factory=dict)  # what the class assigns: paper, loss_agg, ...

    @property
    def summary(self) -> str:
        return f"broken: {self.problem}" if self.problem else self.paper


@cache
def method_infos() -> dict[str, MethodInfo]:
    """Describe all methods by name, built-in ones first. Raises InputError if two sources claim one name."""
    infos: dict[str, MethodInfo] = {}
    for info in [*_built_in(), *_plug_ins()]:
        if info.name in infos:
            first, second = infos[info.name], info
            raise InputError(
                f"two methods are named {info.name!r}: {first.source} ({first.origin}) and "
                f"{second.source} ({second.origin}); rename or uninstall one"
            )
        infos[info.name] = info
    return infos


def load_method(name: str, where: str = "entrobench methods") -> type[Method]:
    """Import a method's class. Raises InputError for an unknown name and for a plug-in that does not import."""
    infos = method_infos()
    if name not in infos:
        raise unknown("method", name, infos, where)
    info = infos[name]
    if info.problem:
        raise InputError(f"{where}: method {name!r} ({info.source}): {info.problem}")
    module, _, attribute = info.target.partition(":")
    try:
        loaded = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a plug-in is other people's code and may raise anything
        reason = in_one_line(error)
        raise InputError(f"{where}: method {name!r} ({info.source}) cannot be imported: {reason}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise InputError(f"{where}: method {name!r}: {info.target} is not a subclass of entrobench.api.Method")
    return loaded


def _built_in() -> list[MethodInfo]:
    """The files directly in the methods package."""
    folder = Path(str(importlib.import_module(GROUP).__file__)).parent
    files = sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return [_describe(path.stem, path, f"{GROUP}.{path.stem}", None, "built-in") for path in files]


def _plug_ins() -> list[MethodInfo]:
    """The entry points of installed distributions."""
    infos = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        source = _module_source(point.module)
        infos.append(_describe(point.name, source, point.module, point.attr, distribution_of(point)))
    return infos


def _module_source(module: str) -> Path | None:
    """Find a module's file without importing its parents, as importlib.util.find_spec would."""
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for depth in range(len(parts)):
        path = spec.submodule_search_locations if spec else None
        spec = _find_spec(".".join(parts[: depth + 1]), path)
        if spec is None:
            return None
    return Path(spec.origin) if spec and spec.origin else None


def _find_spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    found = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in found if spec), None)


def _describe(name: str, source: Path | None, module: str, attribute: str | None, origin: str) -> MethodInfo:
    """Read paper and hooks from a source file; `attribute` is the class, None for the only method of the file."""
    if source is None:
        return MethodInfo(name, "", (), Path(module), origin, f"{module}:{attribute}", "its module is not installed")
    shown = source.relative_to(Path.cwd()) if source.is_relative_to(Path.cwd()) else source
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except SyntaxError as error:
        problem = f"line {error.lineno}: {error.msg}"
        return MethodInfo(name, "", (), shown, origin, f"{module}:{attribute}", problem)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    names = [attribute] if attribute else _method_classes(classes)
    if len(names) != 1:
        problem = f"expected one class derived from Method, found {', '.join(names) or 'none'}"
        return MethodInfo(name, "", (), shown, origin, f"{module}:", problem)
    node = classes.get(names[0])  # None where a plug-in's module only re-exports the class
    hooks, constants = (_hooks(node), _constants(node, classes)) if node else ((), {})
    paper = str(constants.get("paper", ""))
    return MethodInfo(name, paper, hooks, shown, origin, f"{module}:{names[0]}", constants=constants)


def _method_classes(classes: dict[str, ast.ClassDef]) -> list[str]:
    """Public classes with a base class, except those from which another class of the file is derived."""
    bases = {base.id for node in classes.values() for base in node.bases if isinstance(base, ast.Name)}
    return [name for name, node in classes.items() if node.bases and name not in bases and not name.startswith("_")]


def _hooks(node: ast.ClassDef) -> tuple[str, ...]:
    defined = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    return tuple(hook for hook in HOOKS if hook in defined)


def _constants(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> dict[str, Any]:
    """Plain constants (texts, numbers, True, None) assigned in the class, or in a base class of the same file."""
    found: dict[str, Any] = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found |= _constants(classes[base.id], classes)
    for item in node.body:
        targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        value = getattr(item, "value", None)
        if isinstance(value, ast.Constant):
            found |= dict.fromkeys(names, value.value)
    return found
