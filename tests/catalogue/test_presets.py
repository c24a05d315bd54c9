"""The named variants of config/methods: each resolves, and each value stands beside the place it comes from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from entrobench.catalogue.registry import method_infos
from entrobench.catalogue.variants import load_variant

PRESETS = sorted((Path(__file__).parents[2] / "config" / "methods").glob("*.yaml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_valid_and_every_value_has_its_place(path: Path) -> None:
    assert load_variant(path.stem, path).use in method_infos()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    values = lines[lines.index("values:") + 1 :]
    assert values
    assert not [line for line in values if not re.fullmatch(r"  \w+: [^#]+ # \S.*", line)]


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_whose_results_depend_on_memory_says_so(path: Path) -> None:
    variant = load_variant(path.stem, path)
    described = "not invariant" in path.read_text(encoding="utf-8")
    assert described == (variant.values.get("scope") == "microbatch")
