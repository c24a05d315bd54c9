"""A user's own rewards: a function of a Python file, or an entry point of the group `entrobench.rewards`.

`FILE.py:NAME` is a function of a file, `FILE.py` the only public one that the file defines. It takes any of PARAMETERS,
by name, and returns the reward, a finite number. An answer that earns RIGHT or more counts as right.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from entrobench.errors import InputError, deepest_line, in_one_line, nearest, unknown
from entrobench.provenance import distribution_of, sha256_file

GROUP = "entrobench.rewards"  # of entry points
PARAMETERS = ("response", "gold", "finished", "key", "problem")  # what the built-in rewards are called with
RIGHT = 1.0  # ours: what the built-in rewards give a right answer


@dataclass(frozen=True)
class Earned:
    """What an answer earned; it counts as right from RIGHT on."""

    reward: float

    @property
    def correct(self) -> bool:
        return self.reward >= RIGHT

    @property
    def outcome(self) -> str:
        return "correct" if self.correct else "wrong"


@dataclass(frozen=True)
class OwnReward:
    """A function that gives rewards: its name in a run's config.json, and the file that holds it."""

    name: str  # FILE.py:NAME, the file as seen from the working directory, or the name of an entry point
    function: Callable[..., Any]
    source: Path
    origin: str  # "file", or the distribution and its version
    wanted: tuple[str, ...]  # those of PARAMETERS that it takes

    @property
    def code(self) -> dict[str, str]:
        """What pins it in a run's config.json."""
        return {"origin": self.origin, "sha256": sha256_file(self.source)}

    def __call__(self, response: str, gold: str, finished: bool, key: str = "", problem: str = "") -> Earned:
        """What the function gives; InputError with its line where it raises, or returns no finite number."""
        given = dict(zip(PARAMETERS, (response, gold, finished, key, problem), strict=True))
        try:
            value = self.function(**{name: given[name] for name in self.wanted})
        except Exception as error:  # it is the user's code and may raise anything
            raise InputError(f"{self._place(error)}: {in_one_line(error)} (gold answer {gold[:40]!r})") from error
        if not isinstance(value, Real) or not math.isfinite(value):
            raise InputError(
                f"{self._place()}: returned {value!r:.60}, not a finite number (gold answer {gold[:40]!r})"
            )
        return Earned(float(value))

    def _place(self, error: Exception | None = None) -> str:
        """File, function and the line of the file at which it raised, or at which the function begins."""
        line = _line(self.source, error) if error else None
        return f"{self.source}: {self.function.__name__}, line {line or _first_line(self.function)}"


def own_reward(name: str, folder: Path, where: str, built_in: Iterable[str]) -> OwnReward:
    """Find and import the reward that a file in `folder` (a study's, say) calls `name`.

    Raises InputError for a file, function or name that is not there, for code that cannot be imported, and for a
    function that asks for something else than PARAMETERS.
    """
    points = announced(tuple(built_in))
    if name.partition(":")[0].endswith(".py"):
        return _of_file(name, folder, where)
    if name not in points:
        raise unknown("reward", name, [*built_in, *points, "FILE.py"], where)
    function = _imported(points[name].load, Path(points[name].module), where)
    source = Path(inspect.getsourcefile(function) or "") if inspect.isfunction(function) else None
    if source is None:
        raise InputError(f"{where}: reward {name!r}: {points[name].value} is not a function")
    return OwnReward(name, function, source, distribution_of(points[name]), _wanted(function, f"{where}: {name}"))


@cache
def announced(built_in: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """The rewards of installed packages by name. Raises InputError where one has a name that is taken."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in found or point.name in built_in:
            first = distribution_of(found[point.name]) if point.name in found else "entrobench itself"
            said = f"two rewards are named {point.name!r}: of {first} and of {distribution_of(point)}"
            raise InputError(f"{said}; rename or uninstall one")
        found[point.name] = point
    return found


def _of_file(name: str, folder: Path, where: str) -> OwnReward:
    """The function of a file below the working directory, where the jobs of a study find it again."""
    file, _, wanted = name.partition(":")
    path = (folder / file).resolve()
    if not path.is_file():
        there = [found.name for found in sorted(path.parent.glob("*.py"))]
        raise InputError(f"{where}: reward: there is no file {folder / file}{nearest(path.name, there)}")
    if not path.is_relative_to(Path.cwd()):
        raise InputError(f"{where}: reward: {path} must lie below {Path.cwd()}, where the study's jobs read it")
    shown = path.relative_to(Path.cwd())
    module = _imported(lambda: _module(path), shown, where)
    functions = {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not key.startswith("_")
    }
    if wanted and wanted not in functions:
        raise unknown("function", wanted, functions, f"{where}: reward: {shown}")
    if not wanted and len(functions) != 1:
        listed = ", ".join(functions) or "none"
        raise InputError(f"{where}: reward: {shown} defines not one public function but {listed}: say {file}:NAME")
    wanted = wanted or next(iter(functions))
    parameters = _wanted(functions[wanted], f"{where}: reward: {shown}: {wanted}")
    return OwnReward(f"{shown.as_posix()}:{wanted}", functions[wanted], shown, "file", parameters)


def _module(path: Path) -> ModuleType:
    """A file run as a module of its own name; each call runs it anew."""
    spec = spec_from_file_location(f"entrobench_reward_{path.stem}", path)
    assert spec is not None  # of a path that ends in .py there is one
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def _imported(load: Callable[[], Any], source: Path, where: str) -> Any:
    try:
        return load()
    except Exception as error:  # it is the user's code and may raise anything
        line = error.lineno if isinstance(error, SyntaxError) else _line(source, error)
        place = f"{source}, line {line}" if line else str(source)
        raise InputError(f"{where}: reward: {place}: cannot be imported: {in_one_line(error)}") from error


def _wanted(function: Callable[..., Any], where: str) -> tuple[str, ...]:
    """The parameters that a function takes. Raises InputError for one that it needs and nobody gives."""
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    wanted = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in PARAMETERS and parameter.kind in by_name:
            wanted.append(name)
        elif parameter.default is inspect.Parameter.empty:
            raise InputError(f"{where}: takes {name!r} (given: {', '.join(PARAMETERS)}){nearest(name, PARAMETERS)}")
    return tuple(wanted)


def _line(source: Path, error: Exception) -> int | None:
    """The line of a file at which an error arose, or passed through."""
    found = deepest_line(error, {source.resolve()})
    return found.lineno if found else None


def _first_line(function: Callable[..., Any]) -> int:
    return inspect.unwrap(function).__code__.co_firstlineno
