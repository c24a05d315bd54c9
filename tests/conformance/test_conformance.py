"""Every registered method passes all points, and every point can fail."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from types import ModuleType

import broken_methods
import pytest
import torch
from typer.testing import CliRunner

from entrobench.api import Method
from entrobench.catalogue.registry import MethodInfo, load_method, method_infos
from entrobench.catalogue.template import METHOD
from entrobench.catalogue.variants import load_variant
from entrobench.cli.main import app
from entrobench.conformance import points
from entrobench.conformance.points import check_method, print_points
from entrobench.conformance.rehearsal import largest, rehearse
from entrobench.conformance.subject import Point, Subject, subject_named
from entrobench.conformance.watchers import Watch, cuts_graph
from entrobench.errors import InputError

ROOT = Path(__file__).parents[2]
BUILT_IN = [name for name, info in method_infos().items() if info.origin == "built-in"]


def with_another_contract() -> list[str]:
    """The named variants that ask something else of the trainer than their method's defaults."""
    files = sorted((ROOT / "config" / "methods").glob("*.yaml"))
    variants = [load_variant(path.stem, path) for path in files]
    subjects = {v.name: Subject(v.name, load_method(v.use), v.use, v.values) for v in variants}
    return [v.name for v in variants if subjects[v.name].contract != Subject(v.use, load_method(v.use)).contract]


@pytest.mark.parametrize("name", [*BUILT_IN, *with_another_contract()])
def test_every_method_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    points = check_method(name)
    assert [found.number for found in points] == list(range(1, 14))
    assert not [found for found in points if found.outcome == "fail"]
    published = subject_named(name).make().scope == "microbatch"
    assert [found.number for found in points if found.outcome == "expected"] == [1, 13] * published
    assert points[8].outcome == "pass", "a built-in method has golden numbers"


def test_a_third_partys_method_passes(plug_in: Path) -> None:
    points = check_method("length_bonus")
    assert [found.outcome for found in points] == ["pass"] * 8 + ["skipped"] + ["pass"] * 4
    with pytest.raises(InputError, match="a_module_that_nobody_has"):
        check_method("broken_example")


def subject(method_class: type[Method]) -> Subject:
    return Subject(method_class.__name__, method_class)


def point(number: int, method_class: type[Method]) -> Point:
    """One of the points that need no registered name."""
    under_test = subject(method_class)
    if number == 6:
        return points.neutral(under_test)
    if number == 8:
        return points.settings(under_test)
    if number in (5, 7):
        watch = Watch(under_test.make())
        rehearse(watch.method)
        return points.side_effects(watch) if number == 7 else points.slopes(under_test, watch)
    functions = {1: points.micro_batches, 2: points.padding, 3: points.order, 13: points.processes}
    return functions[number](under_test, rehearse(under_test.make()))


@pytest.mark.parametrize(
    ("name", "number", "note"),
    [
        ("ThresholdPerMicroBatch", 1, "sizes 1, 3 and 6"),
        ("FalselyMicroBatch", 1, "drop the declaration"),
        ("CountsPadding", 2, "L and T"),
        ("FavoursTheFirst", 3, "within minibatches"),
        ("WrongSlope", 5, "wrong: token_stats[square]"),
        ("WrongSlopeOfLoss", 5, "wrong: token_loss by logp"),
        ("NotNeutral", 6, "1e-10"),
        ("SaysNothing", 6, "declare `neutral`"),
        ("MutatesAdvantages", 7, "select changes advantages"),
        ("MutatesLogits", 7, "token_stats[peak] changes its logits"),
        ("DrawsFromTorch", 7, "select draws from torch's global generator"),
        ("DrawsFromNumpy", 7, "keep draws from numpy's global generator"),
        ("DrawsFromPython", 7, "before_updates draws from random's global generator"),
        ("AcceptsAnything", 8, "accepted anything"),
        ("ThresholdPerMicroBatch", 13, "sequences shared"),
    ],
)
def test_a_broken_method_fails_its_point(name: str, number: int, note: str) -> None:
    found = point(number, getattr(broken_methods, name))
    assert (found.number, found.outcome) == (number, "fail")
    assert note in found.note


@pytest.mark.parametrize("name", ["KeyedDraws", "UsesEverything"])
def test_a_right_method_passes(name: str) -> None:
    for number in (1, 2, 3, 5, 6, 7, 8, 13):
        found = point(number, getattr(broken_methods, name))
        assert found.outcome == "pass", found


def test_a_method_of_scope_microbatch_is_expected_to_vary() -> None:
    found = point(1, broken_methods.AsPublished)
    assert found.outcome == "expected"
    assert found.note.startswith("not invariant, as published (scope: microbatch); gradients differ from those of the")
    assert re.search(r"by [1-9]\d*% where each sequence is a micro-batch, by [1-9]\d*% where three are", found.note)
    assert found.difference is not None
    assert found.difference > 1e-3


def test_a_stop_gradient_is_named_not_failed() -> None:
    found = point(5, broken_methods.StopsGradient)
    assert found.outcome == "pass"
    assert "stop-gradient" in found.note
    assert "token_loss by logp" in found.note


def register(monkeypatch: pytest.MonkeyPatch, name: str, origin: str = "fixture 1.0") -> None:
    info = MethodInfo(name, "", (), Path(str(broken_methods.__file__)), origin, f"broken_methods:{name}")
    monkeypatch.setitem(method_infos(), name, info)


def test_a_forgotten_state_fails_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "ForgetsItsState")
    points = check_method("ForgetsItsState")
    assert [found.number for found in points if found.outcome == "fail"] == [4, 12]  # both resume
    assert points[3].difference is not None
    assert points[3].difference > 0
    assert (points[8].outcome, "plug-in" in points[8].note) == ("skipped", True)


def test_a_state_that_moves_without_an_update_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "CountsSteps")
    counting = subject(broken_methods.CountsSteps)
    found = points.idle_step(counting, points.trials(counting))
    assert (found.number, found.outcome) == (12, "fail")
    assert found.note == "its state moves from {'steps': 1} to {'steps': 2}"


def test_a_reference_and_a_state_survive_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "UsesEverything")
    everything = subject(broken_methods.UsesEverything)
    found = points.resume(everything, points.trials(everything))
    assert (found.outcome, found.difference) == ("pass", 0.0)
    assert "its state moved" in found.note


def test_a_built_in_method_without_golden_numbers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "KeyedDraws", origin="built-in")
    found = points.golden(subject(broken_methods.KeyedDraws), run=False)
    assert found.outcome == "skipped"
    assert "write tests/golden/test_KeyedDraws.py" in found.note


def test_a_hook_that_returns_nonsense_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "ReturnsNothing")
    with pytest.raises(InputError, match=r"'ReturnsNothing': token_loss must return a tensor \[b,T\], got NoneType"):
        check_method("ReturnsNothing")


def test_golden_tests_are_run_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = points.golden(Subject("grpo", load_method("grpo")), run=True)
    assert found.outcome == "pass"
    assert re.fullmatch(r"\d+ tests in tests/golden/test_grpo\.py, run now: \d+ cases pass", found.note)
    wrong = tmp_path / "test_wrong.py"
    wrong.write_text("def test_right():\n    pass\n\n\ndef test_wrong():\n    assert 1 == 2\n")
    assert points._run_tests(wrong) == (1, ["test_wrong"])
    wrong.write_text("import a_module_that_nobody_has\n")
    assert points._run_tests(wrong)[1] != []


def test_the_command_exits_with_1_where_a_point_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "SaysNothing")
    result = CliRunner().invoke(app, ["check-method", "SaysNothing"])
    assert result.exit_code == 1
    assert "declare `neutral`" in result.output


def test_the_template_of_new_methods_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("template_of_new_methods")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where dataclasses look up annotations
    exec(METHOD.format(title="Fresh", name="Fresh"), vars(module))
    for number in (1, 2, 3, 5, 6, 7, 8, 13):
        found = point(number, module.Fresh)
        assert found.outcome == "pass", found


def test_a_difference_that_is_no_number_is_not_overlooked() -> None:
    assert math.isnan(largest([0.0, math.nan, 1.0]))
    assert largest([0.5, torch.tensor(2.0)]) == 2.0


def test_an_unknown_method_is_one_line() -> None:
    with pytest.raises(InputError, match=r"unknown method 'aet'.*did you mean 'aent'\?"):
        check_method("aet")


def test_the_table_says_whether_anything_failed(capsys: pytest.CaptureFixture[str]) -> None:
    good = Point(1, "micro-batches", "pass", 1.5e-14, "sizes")
    assert print_points([good, Point(6, "neutral", "skipped", None, "why")])
    assert not print_points([good, Point(7, "side effects", "fail", None, "draws")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["point", "what", "outcome", "difference", "note"]
    assert lines[1].split() == ["1", "micro-batches", "pass", "1.5e-14", "sizes"]
    assert "fail" in lines[-1]


def test_ways_to_cut_a_graph_are_seen() -> None:
    def inside_no_grad(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            weight = x.exp()
        return weight * x

    at = torch.randn(3, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert cuts_graph(inside_no_grad, at)
    assert cuts_graph(lambda x: x.detach() * x, at)
    assert cuts_graph(lambda x: x.data * x, at)
    assert not cuts_graph(lambda x: x.exp() * x, at)
