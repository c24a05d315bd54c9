"""The registry lists without importing, loads on demand, and a broken plug-in harms only those who name it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from entrobench.api import Method
from entrobench.catalogue.registry import HOOKS, load_method, method_infos
from entrobench.errors import InputError


def test_built_in_methods_are_the_files_of_the_methods_folder() -> None:
    folder = Path(__file__).parents[2] / "methods"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    built_in = {name for name, info in method_infos().items() if info.origin == "built-in"}
    assert built_in == files
    assert {"grpo", "entropy_bonus", "clip_higher", "aent"} <= files


def test_description_is_read_from_the_source() -> None:
    info = method_infos()["aent"]
    assert info.hooks == ("token_stats", "regularizer", "after_step")
    assert "2509.03493" in info.paper
    assert info.target == "entrobench.methods.aent:AEnt"
    assert not info.problem
    assert method_infos()["grpo"].hooks == ()


def test_description_agrees_with_the_loaded_class() -> None:
    for name, info in method_infos().items():
        method = load_method(name)
        assert issubclass(method, Method)
        assert info.paper == method.paper
        assert info.hooks == tuple(hook for hook in HOOKS if hook in vars(method))


def test_hooks_are_those_of_the_protocol() -> None:
    assert HOOKS == [
        "renews_reference",
        "sampling",
        "keep",
        "advantages",
        "before_updates",
        "token_stats",
        "select",
        "token_loss",
        "regularizer",
        "after_step",
    ]


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown method 'aet' \(allowed: .*\); did you mean 'aent'\?"):
        load_method("aet")


def test_plug_in_is_listed_without_import_and_loaded_on_demand(plug_in: Path) -> None:
    info = method_infos()["length_bonus"]
    assert info.origin == "entrobench-example 1.2"
    assert info.hooks == ("advantages",)
    assert info.source == plug_in / "entrobench_example" / "length_bonus.py"
    assert "entrobench_example" not in sys.modules
    method = load_method("length_bonus")
    assert method.Config().coefficient == 0.1


def test_broken_plug_in_is_listed_and_fails_only_when_named(plug_in: Path) -> None:
    assert "broken_example" in method_infos()
    assert load_method("grpo")
    with pytest.raises(InputError, match=r"study.yaml: method 'broken_example' .*a_module_that_nobody_has") as caught:
        load_method("broken_example", "study.yaml")
    assert "\n" not in str(caught.value)


def test_syntax_error_in_a_plug_in_is_listed_as_broken(plug_in: Path) -> None:
    (plug_in / "entrobench_example" / "length_bonus.py").write_text("class LengthBonus(Method:\n")
    assert method_infos()["length_bonus"].summary.startswith("broken: line 1")
    with pytest.raises(InputError, match="length_bonus"):
        load_method("length_bonus")


def test_one_name_from_two_sources_names_both(plug_in: Path) -> None:
    entry_points = next(plug_in.glob("*.dist-info")) / "entry_points.txt"
    entry_points.write_text(entry_points.read_text().replace("length_bonus =", "aent ="))
    with pytest.raises(InputError, match=r"two methods are named 'aent': .*aent\.py \(built-in\) and .*example 1\.2"):
        method_infos()


def test_entry_point_that_is_no_method_is_refused(plug_in: Path) -> None:
    module = plug_in / "entrobench_example" / "length_bonus.py"
    module.write_text("class LengthBonus:\n    pass\n")
    with pytest.raises(InputError, match=r"not a subclass of entrobench.api.Method"):
        load_method("length_bonus")
