"""The points that every method is held to; `entrobench check-method NAME` prints them.

Points 1, 2, 3, 6, 7, 11 and 13 watch a rehearsal (whole steps in float64 on a tiny real model), points 4 and 12 (see
`loop_points`) run the trainer itself.
"""

from __future__ import annotations

import ast
import dataclasses
import io
import shutil
import textwrap
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from entrobench.api import Method, TokenBatch
from entrobench.catalogue.registry import load_method, method_infos
from entrobench.config import parse
from entrobench.errors import InputError
from entrobench.models.language_model import make_deterministic
from entrobench.results import RESULTS
from entrobench.training.hook_checks import HookError
from entrobench.training.micro_batches import ForwardLimits

from .hooks import acting, effect, names
from .loop_points import idle_step, processes, resume, trials
from .rehearsal import MINIBATCH, VOCABULARY, WHOLE, Trace, largest, padded, rehearse, reordered
from .subject import Point, Subject, subject_named, verdict
from .watchers import Watch, cuts_graph

SLOPE = 1e-5  # point 5, relative; central differences with steps of 1e-6 reach about 1e-8
UNREASONED = Method.neutral


def check_method(name: str, run_golden_tests: bool = False) -> list[Point]:
    """Run all points on a method or a named variant, a few seconds.

    Raises InputError for an unknown name, and for a hook that raises or returns what it must not.
    """
    make_deterministic(torch.device("cpu"))
    subject = subject_named(name)
    try:
        plain = rehearse(subject.make())
        watch = Watch(subject.make())
        rehearse(watch.method)
        runs = trials(subject)
        return [
            micro_batches(subject, plain),
            padding(subject, plain),
            order(subject, plain),
            resume(subject, runs),
            slopes(subject, watch),
            neutral(subject),
            side_effects(watch),
            settings(subject),
            golden(subject, run_golden_tests),
            names(subject),
            effect(subject, plain),
            idle_step(subject, runs),
            processes(subject, plain),
        ]
    except HookError as error:
        raise InputError(f"entrobench check-method: method {name!r}: {error}{_logged(name, error)}") from error


def _logged(name: str, error: HookError) -> str:
    """Where the traceback of an exception inside a hook is kept; "" where a hook returned what it must not."""
    if error.__cause__ is None:
        return ""
    log = RESULTS.log(f"check_method/{name}")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(traceback.format_exception(error.__cause__)))
    return f"; traceback in {log}"


def print_points(points: list[Point]) -> bool:
    """Print the points as a table; returns whether nothing failed."""
    width = max(len(point.title) for point in points)
    print(f"point  {'what':<{width}}  outcome   difference  note")
    room = max(shutil.get_terminal_size().columns - width - 31, 40)
    for p in points:
        difference = "" if p.difference is None else f"{p.difference:.1e}"
        first, *more = textwrap.wrap(p.note, room) or [""]
        print(f"{p.number:<5}  {p.title:<{width}}  {p.outcome:<8}  {difference:<10}  {first}".rstrip())
        for line in more:
            print(" " * (width + 31) + line)
    return all(point.outcome != "fail" for point in points)


FEW_AT_A_TIME = (ForwardLimits(1, 3), ForwardLimits(3, 8))  # micro-batches of 1 and 3, output layer in chunks


def micro_batches(subject: Subject, plain: Trace) -> Point:
    """Point 1: memory settings change nothing; a method of scope microbatch must break this."""
    title = "micro-batch sizes give the same update"
    if subject.make().scope == "microbatch":
        return _as_published(subject, plain, title)
    traces = [rehearse(subject.make(), limits, leader=plain) for limits in FEW_AT_A_TIME]
    difference = largest([plain.difference(trace) for trace in traces])
    note = f"sizes 1, 3 and {MINIBATCH}; output layer in chunks of 3, 8 and all"
    return Point(1, title, verdict(difference <= plain.rounding), difference, note)


def _as_published(subject: Subject, plain: Trace, title: str) -> Point:
    """Point 1 of scope microbatch: micro-batches matter under some values under which the method acts."""
    difference = 0.0
    for values, whole in acting(subject, plain):
        traces = [rehearse(subject.make(**values), limits, leader=whole) for limits in FEW_AT_A_TIME]
        difference = largest([whole.difference(trace) for trace in traces])
        if not difference <= whole.rounding:
            shares = [mean(map(_share, trace.gradients, whole.gradients)) for trace in traces]
            note = (
                "not invariant, as published (scope: microbatch); gradients differ from those of the whole minibatch, "
                f"the exact scope, by {shares[0]:.0%} where each sequence is a micro-batch, by {shares[1]:.0%} where "
                "three are"
            )
            return Point(1, title, "expected", difference, note)
    return Point(1, title, "fail", difference, "declares scope 'microbatch' but is invariant: drop the declaration")


def _share(gradient: Tensor, exact: Tensor) -> float:
    """|gradient - exact| / |exact|."""
    return float((gradient - exact).norm() / exact.norm())


def padding(subject: Subject, plain: Trace) -> Point:
    """Point 2: more padding in L and T changes nothing."""
    difference = plain.difference(rehearse(subject.make(), WHOLE, padded, plain))
    return Point(
        2, "padding changes nothing", verdict(difference <= plain.rounding), difference, "3 more places in L and T"
    )


def order(subject: Subject, plain: Trace) -> Point:
    """Point 3: the order of sequences inside a minibatch changes nothing."""
    difference = plain.difference(rehearse(subject.make(), WHOLE, reordered, plain))
    title = "order of sequences changes nothing"
    return Point(3, title, verdict(difference <= plain.rounding), difference, "within minibatches")


def slopes(subject: Subject, watch: Watch) -> Point:
    """Point 5: gradients of statistics, loss and regularizer match central differences at the end of a rehearsal."""
    logits = 2 * torch.randn(4, len(VOCABULARY), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gaps, cut = {}, []
    method, tokens = subject.make(), watch.tokens
    method.state = watch.method.state
    for name, function in _differentiable(method, tokens):
        point = logits if name.startswith("token_stats") else _input(tokens, name)
        gap = slope_gap(function, point)
        if not gap <= SLOPE and cuts_graph(function, point):
            cut.append(name)
        else:
            gaps[name] = gap
    wrong = [name for name, gap in gaps.items() if not gap <= SLOPE]  # NaN is wrong, too
    note = f"wrong: {', '.join(wrong)}" if wrong else f"checked: {', '.join(gaps) or 'none'}"
    note += f"; stop-gradient, so its closed form is a golden test's: {', '.join(cut)}" if cut else ""
    return Point(5, "gradients match finite differences", verdict(not wrong), max(gaps.values(), default=None), note)


def _differentiable(method: Method, tokens: TokenBatch) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """(name, function of one tensor) for each statistic, and for loss and regularizer by each of their inputs."""
    for name, stat in method.token_stats().items():
        yield f"token_stats[{name}]", stat
    hooks: list[Any] = [method.token_loss, method.regularizer]
    for hook in (hook for hook in hooks if hook(tokens) is not None):
        for name in ("logp", *tokens.stats):
            yield f"{hook.__name__} by {name}", partial(_masked, hook, tokens, name)


def _input(tokens: TokenBatch, name: str) -> Tensor:
    name = name.rsplit(" by ")[-1]
    return tokens.logp if name == "logp" else tokens.stats[name]


def _masked(hook: Callable[[TokenBatch], Tensor], tokens: TokenBatch, name: str, value: Tensor) -> Tensor:
    """What a hook returns where one of its inputs has this value; 0 outside the mask."""
    changed = {"logp": value} if name == "logp" else {"stats": {**tokens.stats, name: value}}
    return hook(replace(tokens, **changed)) * tokens.mask


def slope_gap(function: Callable[[Tensor], Tensor], point: Tensor, step: float = 1e-6) -> float:
    """Largest gap between autograd and central differences, relative to the largest slope (at least 1e-3).

    The outputs are weighted unequally before they are added, so that errors cannot cancel.
    """

    def total(x: Tensor) -> Tensor:
        value = function(x)
        return (value * torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).view(value.shape)).sum()

    leaf = point.detach().clone().requires_grad_()
    value = total(leaf)
    exact = torch.zeros_like(leaf)
    if value.requires_grad:
        exact = torch.autograd.grad(value, leaf, materialize_grads=True)[0]
    shifts = step * torch.eye(leaf.numel(), dtype=leaf.dtype).view(-1, *leaf.shape)
    with torch.no_grad():
        numeric = torch.stack([(total(point + d) - total(point - d)) / (2 * step) for d in shifts]).view(leaf.shape)
    return float((exact - numeric).abs().max() / numeric.abs().max().clamp(min=1e-3))


def neutral(subject: Subject) -> Point:
    """Point 6: the declared neutral values give GRPO's gradients, or the method says why it has none."""
    title, declared = "neutral settings reproduce GRPO", subject.method_class.neutral
    if declared == UNREASONED:
        return Point(6, title, "fail", None, "declare `neutral`: settings that equal GRPO, or why there are none")
    if isinstance(declared, str):
        return Point(6, title, "skipped", None, declared)
    grpo = rehearse(Subject("grpo", load_method("grpo"), trainer=subject.trainer).make())
    ours = rehearse(subject.make(**declared), leader=grpo)
    difference = grpo.difference(ours)
    return Point(6, title, verdict(difference <= grpo.rounding), difference, f"{dict(declared)}")


def side_effects(watch: Watch) -> Point:
    """Point 7: hooks draw from no global generator and change no input."""
    title, found = "no global random state, no input changed", sorted(set(watch.offences))
    return Point(7, title, verdict(not found), None, "; ".join(found) or f"{len(watch.called)} hooks watched")


def settings(subject: Subject) -> Point:
    """Point 8: unknown keys and values of a wrong type or range raise InputError."""
    config, accepted = subject.method_class.Config, []
    wrong = [("no_such_setting", 1), *_wrong_values(config)]
    for key, value in wrong:
        try:
            parse(config, {key: value}, "method")
        except InputError:
            continue
        accepted.append(f"{key}: {value!r}")
    note = f"accepted {', '.join(accepted)}" if accepted else f"{len(wrong)} wrong settings refused"
    free = [f.name for f in dataclasses.fields(config) if type(f.default) in (int, float) and not _bounded(f)]
    note += f"; no range declared: {', '.join(free)}" if free else ""
    return Point(8, "wrong settings are refused", verdict(not accepted), None, note)


def _wrong_values(config: type) -> Iterator[tuple[str, Any]]:
    """For each field a value of the wrong type, one beyond each bound, and none of the choices."""
    for declared in dataclasses.fields(config):
        yield declared.name, object()
        if declared.metadata.get("low") is not None:
            yield declared.name, declared.metadata["low"] - 1
        if declared.metadata.get("high") is not None:
            yield declared.name, declared.metadata["high"] + 1
        if declared.metadata.get("choices") is not None:
            yield declared.name, "no such choice"
        if isinstance(declared.default, float):
            yield declared.name, float("nan")


def _bounded(declared: dataclasses.Field[Any]) -> bool:
    return any(declared.metadata.get(bound) is not None for bound in ("low", "high", "choices"))


def golden(subject: Subject, run: bool) -> Point:
    """Point 9: the tests with numbers derived independently of the code, and whether they pass."""
    name, title = subject.method_name, "golden numbers"
    file = Path(__file__).parents[2] / "tests" / "golden" / f"test_{name}.py"
    if file.exists():
        functions = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
        tests = [function for function in functions if function.startswith("test_")]
        found = f"{len(tests)} tests in tests/golden/{file.name}"
        if not run:
            return Point(9, title, verdict(bool(tests)), None, found)
        passed, failed = _run_tests(file)
        note = found + (f"; failed: {', '.join(failed)}" if failed else f", run now: {passed} cases pass")
        return Point(9, title, verdict(bool(passed) and not failed), None, note)
    if method_infos()[name].origin != "built-in":
        return Point(9, title, "skipped", None, "a plug-in keeps its golden tests with itself; not looked for")
    if not file.parent.exists():
        return Point(9, title, "skipped", None, "this installation has no tests; see the repository")
    return Point(9, title, "skipped", None, f"none yet: write tests/golden/{file.name}, derived without the code")


def _run_tests(file: Path) -> tuple[int, list[str]]:
    """Run a file of tests in this process; returns how many cases passed, and the names of those that did not."""
    import pytest

    class Outcomes:
        passed, failed = 0, list[str]()

        def pytest_runtest_logreport(self, report: Any) -> None:
            self.passed += report.passed and report.when == "call"
            self.failed += [report.nodeid.rpartition("::")[2]] if report.failed else []

    outcomes, silence = Outcomes(), io.StringIO()
    with redirect_stdout(silence), redirect_stderr(silence):
        status = pytest.main([str(file), "-q", "-p", "no:cacheprovider"], plugins=[outcomes])
    failed = outcomes.failed or ([] if status == 0 else [f"pytest ended with status {int(status)}"])
    return outcomes.passed, failed
