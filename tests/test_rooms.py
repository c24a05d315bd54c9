"""The house: rooms import one way only, nothing runs in circles, and no room, file or function is too large."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from house import RUN_CONFIG, House, order

ROOMS = [room for floor in order() for room in floor]


@pytest.fixture(scope="module")
def house() -> House:
    return House()


def test_rooms_import_only_what_stands_below(house: House) -> None:
    assert house.upward() == []


def test_no_files_import_each_other_in_a_circle(house: House) -> None:
    assert house.cycles() == []


def test_every_room_is_declared_and_every_declared_room_is_there(house: House) -> None:
    assert {file.room for file in house.files.values()} == set(ROOMS)


def test_a_rooms_init_says_what_it_is_for_and_imports_nothing(house: House) -> None:
    for file in house.files.values():
        if file.path.name == "__init__.py" and file.room != "methods":
            assert ast.get_docstring(file.tree), file.path
            assert len(file.tree.body) == 1, f"{file.path} does more than say what the room is for"


def test_sizes(house: House) -> None:
    assert {folder: files for folder, files in house.folder_sizes().items() if files > 15} == {}
    assert {name: lines for name, lines in house.file_lengths().items() if lines > 400} == {}
    assert {place: lines for place, lines in house.function_lengths().items() if lines > 60} == {}


def test_every_public_function_and_class_has_a_docstring(house: House) -> None:
    """Hooks of methods inherit theirs from `api.Method`."""
    assert house.undocumented() == []


def test_functions_take_few_parameters(house: House) -> None:
    """Commands are apart: each parameter is an option that a user sees."""
    counts = {place: count for place, count in house.parameter_counts().items() if "entrobench/cli/" not in place}
    assert {place: count for place, count in counts.items() if count > 7} == {}


def test_a_runs_config_has_types_and_never_reaches_the_loop(house: House) -> None:
    """`assembly` makes the parts of the run from it, `refusals` holds it against the machine, `trainer` hands it on."""
    assert house.look_ups() == []
    assert house.readers(RUN_CONFIG, "training") == ["assembly", "refusals", "trainer"]


def test_imports_in_strings_types_and_functions_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way of naming a module is seen: the test of the order can fail."""
    import house as measured

    (tmp_path / "entrobench" / "entropy").mkdir(parents=True)
    (tmp_path / "entrobench" / "cli").mkdir()
    for room in ("entropy", "cli"):
        (tmp_path / "entrobench" / room / "__init__.py").write_text('"""Room."""\n')
    (tmp_path / "entrobench" / "cli" / "main.py").write_text("")
    (tmp_path / "README.md").write_text("```rooms\nroot files -> entropy -> cli\n```\n")
    monkeypatch.setattr(measured, "ROOT", tmp_path)
    monkeypatch.setattr(measured, "FOLDERS", {"entrobench": "entrobench"})
    ways = (
        "import entrobench.cli.main",
        "from entrobench.cli import main",
        "def f():\n    from ..cli import main",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from entrobench.cli.main import app",
        "import importlib\nimportlib.import_module('entrobench.cli.main')",
        "COMMAND = ['-m', 'entrobench.cli.main']",
    )
    for way in ways:
        (tmp_path / "entrobench" / "entropy" / "logits.py").write_text(way + "\n")
        assert House().upward() == ["entrobench.entropy.logits imports entrobench.cli.main"], way
