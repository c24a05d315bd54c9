"""The pages people read name files that exist, and the first study of the tutorial is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from entrobench.studies.study import load_study

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(ROOT / folder / "README.md" for folder in ("config", "methods", "results", "speed")),
    ROOT / "config" / "TUTORIAL.md",
]
LINK = re.compile(r"\]\(([^)#:]+)\)")
NAMED = re.compile(r"`((?:entrobench|evaluation|methods|config|tests|speed|workflow|profiles)/[\w./-]+)`")
MADE = {  # by the reader
    "config/tasks/",
    "config/studies/first.yaml",
    "config/studies/second.yaml",
    "config/studies/short.py",
    "config/datasets/mine.yaml",
    "config/models/NAME.yaml",
    "config/models/mine.yaml",
    "methods/mine.py",
    "config/methods/mine.yaml",
    "methods/NAME.py",
    "config/methods/NAME.yaml",
    "tests/golden/test_NAME.py",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_named_file_is_there(page: Path) -> None:
    text = page.read_text()
    paths = [page.parent / link for link in LINK.findall(text)]
    paths += [ROOT / name for name in NAMED.findall(text) if name not in MADE]
    assert [str(path) for path in paths if not path.exists()] == []


def test_the_first_study_of_the_tutorial_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word, and with the additions of its fifth section."""
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```yaml\n(.*?)```", Path("config/TUTORIAL.md").read_text(), re.DOTALL)
    path = tmp_path / "first.yaml"
    path.write_text(blocks[0])
    assert len(load_study(str(path)).runs) == 6
    content = yaml.safe_load(blocks[0])
    content["methods"] |= yaml.safe_load(blocks[1])
    content["seeds"].append(2)
    path.write_text(yaml.safe_dump(content))
    assert len(load_study(str(path)).runs) == 12
