"""`entrobench new-method` writes a method that is listed, loads, and resolves in a study with its own defaults."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from entrobench.catalogue.template import METHOD, new_method
from entrobench.errors import InputError

ROOT = Path(__file__).parents[2]


def test_written_method_works_in_a_study(project: Path) -> None:
    shutil.copytree(ROOT / "entrobench", "site/entrobench")
    for name in ("methods", "evaluation"):
        shutil.copytree(ROOT / name, f"site/entrobench/{name}")
    script = (
        "from entrobench.catalogue.template import METHOD, new_method\n"
        "from entrobench.catalogue.registry import method_infos, load_method\n"
        "path = new_method('my_bonus')\n"
        "print(path)\n"
        "path.write_text(path.read_text().replace('setting(0.001', 'setting(0.5'))\n"
        "method_infos.cache_clear()\n"
        "print(method_infos()['my_bonus'].hooks, load_method('my_bonus').neutral)\n"
        "from entrobench.catalogue.variants import resolve\n"
        "print(*((v.name, v.use, v.values) for v in resolve(['my_bonus'], 'here')))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(project / "site")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files, described, variant = done.stdout.splitlines()
    assert files == f"{project}/site/entrobench/methods/my_bonus.py"
    assert not list(Path("config").glob("methods/*")), "no second file holds values"
    assert described == "('regularizer',) {'coefficient': 0.0}"
    assert variant == "('my_bonus', 'my_bonus', {'coefficient': 0.5})", "the default that its author wrote"
    formatted = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "120", files]
    assert subprocess.run(formatted, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", ["MyBonus", "1st", "a-b", "class", "", "../x"])
def test_names_that_are_no_identifier(name: str, project: Path) -> None:
    with pytest.raises(InputError, match="is no name for a method"):
        new_method(name)


def test_taken_names(project: Path) -> None:
    with pytest.raises(InputError, match=r"the method 'aent' exists already: .*aent\.py"):
        new_method("aent")
    Path("config/methods").mkdir()
    Path("config/methods/mine.yaml").write_text("use: aent\n")
    with pytest.raises(InputError, match=r"the named variant config/methods/mine\.yaml has that name already"):
        new_method("mine")


def test_the_readmes_method_is_the_one_that_is_written() -> None:
    text = (ROOT / "README.md").read_text()
    snippet = text[text.index("```python\n") + len("```python\n") :]
    snippet = snippet[: snippet.index("```")]
    assert _code(snippet) == _code(METHOD.format(title="Mine", name="Mine"))


def _code(source: str) -> str:
    """A source without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)
