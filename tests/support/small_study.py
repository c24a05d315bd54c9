"""A small study file in the fixture project, and the line with which one like it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrobench.errors import InputError
from entrobench.studies.runs import Study
from entrobench.studies.study import load_study

STUDY: dict[str, Any] = {
    "models": ["tiny"],
    "datasets": ["chain2"],
    "methods": {"grpo": None, "aent": {"warmup": 5}},
    "seeds": [0, 1],
    "benchmarks": ["chain2"],
}


def write(content: Mapping[str, Any], name: str = "mine") -> None:
    Path(f"config/studies/{name}.yaml").write_text(yaml.safe_dump(dict(content), sort_keys=False))


def load(content: Mapping[str, Any]) -> Study:
    write(content)
    return load_study("mine")


def refused(content: Mapping[str, Any]) -> str:
    """The line with which a study is refused."""
    with pytest.raises(InputError) as caught:
        load(content)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("config/")
    return line
