"""The wheel carries every .py and .yaml of the three packages and nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = {"entrobench": "entrobench", "methods": "entrobench/methods", "evaluation": "entrobench/evaluation"}


def tree() -> set[str]:
    """Package files as they should lie in the wheel."""
    files = set()
    for folder, target in PACKAGES.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".html", ".css", ".js"):
                files.add(f"{target}/{path.relative_to(ROOT / folder).as_posix()}")
    return files


def test_sdist_and_wheel_hold_the_tree_and_work_on_their_own(tmp_path: Path) -> None:
    """The wheel is built from the sdist, and its command runs from nothing but the wheel and the dependencies."""
    source = tmp_path / "source"
    source.mkdir()
    files = ["pyproject.toml", "README.md", "LICENSE", *PACKAGES]
    subprocess.run(["cp", "-r", *(str(ROOT / name) for name in files), str(source)], check=True)
    sdist = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", sdist, str(tmp_path)], cwd=source, check=True, stdout=subprocess.DEVNULL)
    (packed,) = tmp_path.glob("*.tar.gz")
    build = ["wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", *build, str(packed)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "alone")
    assert names == tree()
    command = [sys.executable, "-m", "entrobench", "methods", "aent"]
    environment = {"PYTHONPATH": str(tmp_path / "alone"), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "aent" in done.stdout, done.stderr


def test_methods_folder_refuses_its_own_name() -> None:
    done = subprocess.run([sys.executable, "-c", "import methods"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "import entrobench.methods, not methods" in done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("*.py")), ids=lambda path: path.name)
def test_method_files_import_only_the_protocol_at_module_level(path: Path) -> None:
    body = [node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {node.module for node in body if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name and name.startswith("entrobench")} <= {"entrobench.api"}


def test_methods_folder_holds_method_files_and_a_readme_only() -> None:
    names = {path.name for path in (ROOT / "methods").iterdir() if path.name != "__pycache__"}
    assert {name for name in names if not name.endswith(".py")} <= {"README.md"}


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock_lines() -> list[str]:
    return [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", ["train", "analysis"])
def test_conda_environments_pin_what_the_lock_file_pins(name: str) -> None:
    content = yaml.safe_load((ROOT / "workflow" / "envs" / f"{name}.yaml").read_text())
    assert set(content["dependencies"][-1]["pip"]) <= set(lock_lines())


def test_lock_file_names_every_dependency_exactly() -> None:
    lines = lock_lines()
    locked = {normal(line.partition("==")[0]) for line in lines}
    assert all(re.fullmatch(r"[\w.-]+==[\w.!]+(; .+)?", line) for line in lines)  # no local suffix, no address
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {normal(re.match(r"[\w.-]+", line)[0]) for line in wanted}
    assert names <= locked


def test_every_locked_package_has_hashes_and_a_licence() -> None:
    """torch apart, whose build depends on the machine: the Makefile installs it first."""
    entries = re.split(r"\n(?=\w)", (ROOT / "requirements.hashes").read_text())[1:]
    hashed = {entry.partition(" ")[0] for entry in entries if re.search(r"\n    --hash=sha256:[0-9a-f]{64}", entry)}
    exact = {line.partition(";")[0].strip() for line in lock_lines()}
    names = {f"{normal(name)}=={version}" for name, version in (line.split("==") for line in exact)}
    assert {name for name in names if not name.startswith("torch==")} == hashed
    licences = (ROOT / "docs" / "licences.md").read_text()
    for line in exact:
        name, _, version = line.partition("==")
        assert re.search(rf"^\| {re.escape(name)} \| {re.escape(version)} \| \S.* \|$", licences, re.MULTILINE), line
