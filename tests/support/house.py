"""Measures the structure of the packages: rooms, imports between them, cycles, sizes, docstrings.

    python tests/support/house.py

prints the figures that tests/test_rooms.py holds. All imports count: statements anywhere in a file, those for types
only, relative ones, and names of modules in strings (`import_module`, entry points, the YAML of tasks).
"""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {"entrobench": "entrobench", "evaluation": "entrobench.evaluation", "methods": "entrobench.methods"}
DOORS = {  # public names that stand outside the room which they open
    "entrobench.logits": "entropy",
    "entrobench.evaluation.graders": "grading",
    "entrobench.__main__": "cli",
}
RUN_CONFIG = "entrobench.run_config"
LOOK_UP = re.compile(r"""\.config\[["']\w+["']\]""")
NAMED = re.compile(r"(?<![\w.])entrobench(?:\.\w+)+")


def order() -> list[list[str]]:
    """The rooms from the ground up, as the README declares them: those between two arrows stand side by side."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^```rooms\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, "README.md has no block ```rooms"
    return [[room.strip() for room in floor.split(",")] for floor in found[1].replace("\n", " ").split("->")]


@dataclass(frozen=True)
class File:
    """One Python file of the packages."""

    path: Path
    module: str

    @property
    def room(self) -> str:
        """The name of its room; files beside entrobench/api.py are the root files."""
        if self.module in DOORS:
            return DOORS[self.module]
        parts = self.module.split(".")[1:]
        if parts[:1] == ["methods"]:
            return "methods"
        if parts[:1] == ["evaluation"]:
            parts = parts[1:]
        inside = parts[:1] if len(parts) > 1 or self.path.name == "__init__.py" else []
        return inside[0] if inside else "root files"

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())


class House:
    """All files of the packages and what each imports."""

    def __init__(self) -> None:
        self.files = {file.module: file for folder in FOLDERS for file in _files(folder)}
        self.imports = {module: self._imports(file) for module, file in self.files.items()}

    def _imports(self, file: File) -> set[str]:
        """The modules of the packages that a file names in any way."""
        found = set(self._named(file))
        return {module for module in found if module != file.module and self.files[module].path.name != "__init__.py"}

    def _named(self, file: File) -> Iterator[str]:
        docstrings = {id(text) for text in _docstrings(file.tree)}
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Import):
                yield from (self._module(alias.name) for alias in node.names if alias.name.startswith("entrobench"))
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, file)
                if base.startswith("entrobench"):
                    yield from (self._module(f"{base}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield from self._in_text(node.value)

    def _in_text(self, text: str) -> Iterator[str]:
        for name in NAMED.findall(text):
            if (module := self._module(name)) in self.files:
                yield module

    def _module(self, name: str) -> str:
        """The longest module of the packages at the start of a dotted name."""
        parts = name.split(".")
        while ".".join(parts) not in self.files and len(parts) > 1:
            parts.pop()
        return ".".join(parts)

    def task_imports(self) -> set[str]:
        """The modules that the YAML files of the benchmarks' tasks name."""
        tasks = (ROOT / "evaluation" / "benchmarks" / "tasks").glob("*.yaml")
        return {module for path in tasks for module in self._in_text(path.read_text())}

    def upward(self) -> list[str]:
        """The imports of a room that stands beside or above."""
        floors = {room: number for number, rooms in enumerate(order()) for room in rooms}
        return sorted(
            f"{module} imports {other}"
            for module, others in self.imports.items()
            for other in others
            if self.files[module].room != self.files[other].room
            and floors[self.files[other].room] >= floors[self.files[module].room]
        )

    def cycles(self) -> list[list[str]]:
        """The groups of files that import each other in a circle."""
        reach = {module: self._reachable(module) for module in self.files}
        groups = {tuple(sorted(other for other in reach[module] if module in reach[other])) for module in self.files}
        return sorted(list(group) for group in groups if group)

    def _reachable(self, module: str) -> set[str]:
        found: set[str] = set()
        ahead = list(self.imports[module])
        while ahead:
            if (other := ahead.pop()) not in found:
                found.add(other)
                ahead += self.imports[other]
        return found

    def folder_sizes(self) -> dict[str, int]:
        """Python files of each folder but methods/, its __init__.py apart."""
        sizes: dict[str, int] = {}
        for file in self.files.values():
            folder = str(file.path.parent.relative_to(ROOT))
            sizes[folder] = sizes.get(folder, 0) + (file.path.name != "__init__.py")
        sizes.pop("methods")
        return sizes

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef]]:
        """(place, function) of all functions and methods."""
        for file in self.files.values():
            for node in ast.walk(file.tree):
                if isinstance(node, ast.FunctionDef):
                    yield f"{file.path.relative_to(ROOT)}:{node.lineno} {node.name}", node

    def function_lengths(self) -> dict[str, int]:
        return {place: (node.end_lineno or 0) - node.lineno + 1 for place, node in self.functions()}

    def parameter_counts(self) -> dict[str, int]:
        """How many parameters each function takes, `self` and `cls` apart; a Triton kernel can take no object."""
        return {
            place: sum(argument.arg not in ("self", "cls") for argument in _arguments(node))
            for place, node in self.functions()
            if "triton.jit" not in map(ast.unparse, node.decorator_list)
        }

    def look_ups(self) -> list[str]:
        """Places that take something out of a config by a string, as if it had no type; the pipeline's rules, too."""
        rules = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
        in_rules = [f"{path.relative_to(ROOT)}: {said}" for path in rules for said in LOOK_UP.findall(path.read_text())]
        return in_rules + [
            f"{file.path.relative_to(ROOT)}:{node.lineno}"
            for file in self.files.values()
            for node in ast.walk(file.tree)
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
            if isinstance(node.slice.value, str) and _name(node.value) == "config"
        ]

    def readers(self, module: str, room: str) -> list[str]:
        """The files of a room that import a module."""
        names = (name for name, imports in self.imports.items() if module in imports)
        return sorted(self.files[name].path.stem for name in names if self.files[name].room == room)

    def file_lengths(self) -> dict[str, int]:
        return {
            str(file.path.relative_to(ROOT)): len(file.path.read_text().splitlines()) for file in self.files.values()
        }

    def undocumented(self) -> list[str]:
        """Public functions, classes and modules without a docstring; hooks of methods inherit theirs."""
        found = []
        for file in self.files.values():
            if ast.get_docstring(file.tree) is None:
                found.append(str(file.path.relative_to(ROOT)))
            for owner, node in _public(file.tree):
                inherits = file.room == "methods" and owner
                trivial = isinstance(node, ast.FunctionDef) and _is_property_or_stub(node)
                if ast.get_docstring(node) is None and not inherits and not trivial:
                    found.append(f"{file.path.relative_to(ROOT)}:{node.lineno} {node.name}")
        return found


def _files(folder: str) -> Iterator[File]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT / folder).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        yield File(path, ".".join([FOLDERS[folder], *parts]))


def _absolute(node: ast.ImportFrom, file: File) -> str:
    if not node.level:
        return node.module or ""
    package = file.module if file.path.name == "__init__.py" else file.module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def _arguments(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _name(node: ast.expr) -> str:
    """The last part of a dotted name: `config` of run.config."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """(class, definition) of all public definitions of a module and of its public classes."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield "", node
            inside = node.body if isinstance(node, ast.ClassDef) else []
            for member in inside:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield node.name, member


def _is_property_or_stub(node: ast.FunctionDef) -> bool:
    """A property says by its name what it is; a member of a protocol has no body."""
    names = {getattr(decorator, "id", "") for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property"}) or isinstance(node.body[-1], ast.Expr)


def main() -> None:
    house = House()
    lengths, files = house.function_lengths(), house.file_lengths()
    print(f"imports of a room beside or above: {len(house.upward())}")
    print(f"circles of files:                  {len(house.cycles())}")
    print(f"most files in a folder:            {max(house.folder_sizes().values())} ({len(house.files)} files in all)")
    print(f"longest file, lines:               {max(files.values())} ({max(files, key=lambda name: files[name])})")
    print(
        f"longest function, lines:           {max(lengths.values())} (median {statistics.median(lengths.values()):g})"
    )
    print(f"public without a docstring:        {len(house.undocumented())}")
    counts = house.parameter_counts()
    print(f"most parameters of a function:     {max(counts.values())} ({max(counts, key=lambda name: counts[name])})")
    print(f"look-ups in a config by a string:  {len(house.look_ups())}")
    print(f"files of training with RunConfig:  {', '.join(house.readers(RUN_CONFIG, 'training'))}")
    for line in [*house.upward(), *map(str, house.cycles()), *house.undocumented()]:
        print(f"  {line}")


if __name__ == "__main__":
    main()
