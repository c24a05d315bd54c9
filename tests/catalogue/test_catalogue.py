"""`entrobench methods`: marks, the page of a method and of a named variant, and that nothing broken spoils the list."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from entrobench.api import EVIDENCE
from entrobench.catalogue.marks import marks_of
from entrobench.catalogue.pages import catalogue, page
from entrobench.catalogue.registry import method_infos
from entrobench.errors import InputError

ROOT = Path(__file__).parents[2]
VARIANT = """\
# A named variant.
description: >-
  Warmer,
  later
use: aent
values:
  warmup: 7 # steps, ours
  adaptive: false # the ablation: constant
"""


@pytest.fixture
def variant(project: Path) -> Path:
    folder = project / "config" / "methods"
    folder.mkdir()
    (folder / "late.yaml").write_text(VARIANT)
    return folder / "late.yaml"


def lines_of(text: str, start: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.startswith(start)]


def test_a_methods_page_holds_settings_ranges_sources_and_its_variants(variant: Path) -> None:
    text = page("aent")
    assert text.startswith("aent (built-in, ")
    assert "AEnt: a bonus on the entropy of the most likely tokens" in text, "what the file says"
    assert "loss - λ·H̃" in text, "what the class says"
    assert "does nothing" not in text
    rows = lines_of(text, "clamp ")
    assert [row[:5] for row in rows] == [["clamp", "0.33", "between", "0.0", "and"]]
    assert "p 0.33" in " ".join(rows[0])
    assert "late (config/methods/late.yaml): Warmer, later" in text
    assert lines_of(text, "warmup  ")[-1] == ["warmup", "7", "30", "steps,", "ours"]


def test_a_variants_page_sets_its_values_beside_the_defaults(variant: Path) -> None:
    lines = page("late").splitlines()
    assert lines[0] == "late (config/methods/late.yaml): Warmer, later"
    assert lines[1].split() == ["setting", "value", "default", "source"]
    assert lines[3].split() == ["adaptive", "false", "true", "the", "ablation:", "constant"]
    assert lines[-1] == "The method itself: entrobench methods aent"


def test_a_method_without_settings_and_an_inert_one(project: Path) -> None:
    assert page("grpo").endswith("No settings.")
    assert "equals GRPO:            always" in page("grpo")
    assert "does nothing: inert on policy" in page("clip_higher")


def test_marks(plug_in: Path) -> None:
    module = plug_in / "entrobench_example" / "length_bonus.py"
    module.write_text(module.read_text().replace("    paper =", '    provisional = "abstract only"\n    paper ='))
    assert marks_of("length_bonus", {}) == ("provisional",)
    assert marks_of("length_bonus", {"scope": "microbatch", "loss_agg": "token-mean"}) == (
        "provisional",
        "not invariant",
        "loss: token-mean",
    )
    assert marks_of("clip_higher", {}) == ("inert on policy",)
    assert marks_of("aent", {}) == ()
    assert "abstract only" in page("length_bonus")


def test_an_installed_method_is_listed_and_a_broken_one_spoils_nothing(
    plug_in: Path, project: Path, variant: Path
) -> None:
    (variant.parent / "of_broken.yaml").write_text("use: broken_example\nvalues: {a: 1}\n")
    (variant.parent / "of_nothing.yaml").write_text("use: no_such_method\n")
    text = catalogue()
    assert lines_of(text, "length_bonus ")[0][:6] == [
        "length_bonus",
        "not",
        "stated",
        "advantages",
        "entrobench-example",
        "1.2",
    ]
    assert re.search(r"^\d+ methods are built in, 2 installed; 3 named variants\.$", text, re.MULTILINE)
    assert lines_of(text, "of_broken ") == [["of_broken", "broken_example"]]
    assert "broken: no method no_such_method" in text
    assert not [name for name in sys.modules if name.startswith("entrobench_example")], "nothing is imported"
    assert "late" in page("aent")
    with pytest.raises(InputError, match="a_module_that_nobody_has"):
        page("broken_example")


def test_every_built_in_method_says_how_its_formula_is_known(project: Path) -> None:
    known = {n: info.constants.get("evidence") for n, info in method_infos().items() if info.origin == "built-in"}
    assert set(known.values()) == set(EVIDENCE)
    assert lines_of(catalogue(), "aent ")[0][:3] == ["aent", "code", "read"]
    assert "known from:             third-party note" in page("fade")
    third_party = {name for name, evidence in known.items() if evidence == EVIDENCE[-1]}
    unsure = {name for name in third_party if "provisional" not in marks_of(name, {})}
    assert unsure <= {"cispo", "sapo"}, "read in several frameworks that agree"


def test_the_readmes_numbers_of_methods_and_settings() -> None:
    built_in = [name for name, info in method_infos().items() if info.origin == "built-in"]
    variants = list((ROOT / "config" / "methods").glob("*.yaml"))
    sentence = f"{len(built_in)} methods are built in, with some {len(variants) // 10 * 10} named settings"
    assert sentence in " ".join((ROOT / "README.md").read_text().split())
    index = (ROOT / "methods" / "README.md").read_text()
    for name in built_in:
        assert re.search(rf"^\| `{name}` \|", index, re.MULTILINE), f"{name} has no row in methods/README.md"
        assert f"\n## {name}\n" in index, f"{name} has no section in methods/README.md"
    assert re.findall(r"^\| `(\w+)` \| .*test_\w+\.py` \|$", index, re.MULTILINE) == built_in
    assert f"- {len(built_in)} methods, each a file" in (ROOT / "CHANGELOG.md").read_text()


def test_an_unknown_name_is_one_line(variant: Path) -> None:
    with pytest.raises(InputError, match=r"unknown method 'lat' \(allowed: .*\); did you mean 'late'\?"):
        page("lat")
