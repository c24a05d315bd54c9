"""The nine points that every method is held to; `entrobench check-method NAME` prints them.

Points 1, 2, 3, 6 and 7 watch a rehearsal (whole steps in float64 on a tiny real model), point 4 runs the trainer
itself. An exception inside a method's hook is not caught: its traceback tells the author more than a table could.
"""

from __future__ import annotations

import ast
import dataclasses
import io
import shutil
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from entrobench.api import Method, TokenBatch
from entrobench.config import Hardware, parse
from entrobench.errors import InputError
from entrobench.registry import load_method, method_infos
from entrobench.rehearsal import (
    MINIBATCH,
    TRAINER,
    VOCABULARY,
    WHOLE,
    Trace,
    even_words,
    largest,
    padded,
    rehearse,
    reordered,
    tiny_model,
    tiny_tokenizer,
)
from entrobench.trainer import Trainer
from entrobench.update import Memory
from entrobench.watch import Watch, cuts_graph

SAME = 1e-12  # points 1 to 3, float64: sums in another order, nothing more
NEUTRAL = 1e-15  # point 6
SLOPE = 1e-5  # point 5, relative; central differences with steps of 1e-6 reach about 1e-8
SAVED_AT, LAST_STEP = 32, 36  # point 4: beyond the longest default warm-up of a built-in method, 30 steps
UNREASONED = Method.neutral


@dataclass(frozen=True)
class Point:
    """The outcome of one point; `difference` is what was measured against the tolerance, None where nothing was."""

    number: int
    title: str
    outcome: str  # pass, fail, expected (a published method is known to break the rule) or skipped
    difference: float | None
    note: str


@dataclass(frozen=True)
class Subject:
    """The method under test."""

    name: str
    method_class: type[Method]

    def make(self, **values: Any) -> Method:
        """A new instance with its default settings, or these."""
        return self.method_class(parse(self.method_class.Config, values, f"method {self.name}"), TRAINER)


def check_method(name: str) -> list[Point]:
    """Run the nine points on a registered method, a few seconds. Raises InputError for an unknown name."""
    subject = Subject(name, load_method(name, "entrobench check-method"))
    plain = rehearse(subject.make())
    watch = Watch(subject.make())
    rehearse(watch.method)
    return [
        micro_batches(subject, plain),
        padding(subject, plain),
        order(subject, plain),
        resume(subject),
        slopes(subject, watch.tokens),
        neutral(subject),
        side_effects(watch),
        settings(subject),
        golden(subject),
    ]


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


def micro_batches(subject: Subject, plain: Trace) -> Point:
    """Point 1: memory settings change nothing; a method of scope microbatch must break this."""
    title, memories = "micro-batch sizes give the same update", (Memory(1, 3), Memory(3, 8))
    difference = largest([plain.difference(rehearse(subject.make(), memory)) for memory in memories])
    if subject.make().scope != "microbatch":
        note = f"sizes 1, 3 and {MINIBATCH}; output layer in chunks of 3, 8 and all"
        return Point(1, title, _verdict(difference <= SAME), difference, note)
    if not difference <= SAME:
        return Point(1, title, "expected", difference, "not invariant, as published (scope: microbatch)")
    return Point(1, title, "fail", difference, "declares scope 'microbatch' but is invariant: drop the declaration")


def padding(subject: Subject, plain: Trace) -> Point:
    """Point 2: more padding in L and T changes nothing."""
    difference = plain.difference(rehearse(subject.make(), WHOLE, padded))
    return Point(2, "padding changes nothing", _verdict(difference <= SAME), difference, "3 more places in L and T")


def order(subject: Subject, plain: Trace) -> Point:
    """Point 3: the order of sequences inside a minibatch changes nothing."""
    difference = plain.difference(rehearse(subject.make(), WHOLE, reordered))
    title = "order of sequences changes nothing"
    return Point(3, title, _verdict(difference <= SAME), difference, "within minibatches")


def resume(subject: Subject) -> Point:
    """Point 4: a run that goes on from a checkpoint ends with the bits of the uninterrupted one."""
    silence = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(silence), redirect_stderr(silence):
        model_folder, data_folder = _trial_files(Path(folder))
        arguments = (_trial_config(subject), Path(folder) / "run", model_folder, data_folder)
        # the uninterrupted run leaves its checkpoint, from which the second goes on as after a kill
        whole, resumed = (_trial_run(*arguments) for _ in range(2))
    weights = zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    difference = largest([(a - b).detach().abs().max() for a, b in weights])
    state, again = dataclasses.asdict(whole.method.state), dataclasses.asdict(resumed.method.state)
    same = difference == 0 and state == again and _losses(whole) == _losses(resumed)
    title, moved = "resume equals the uninterrupted run", state != dataclasses.asdict(subject.make().state)
    about = "no state" if not state else "its state moved" if moved else "its state did not move in this run"
    note = f"trainer, step {SAVED_AT} of {LAST_STEP}; {about}" + ("" if state == again else f"; {state} but {again}")
    return Point(4, title, _verdict(same), difference, note)


def _trial_run(config: dict[str, Any], folder: Path, model_folder: Path, data_folder: Path) -> Trainer:
    hardware = Hardware(device="cpu", micro_batch=MINIBATCH, checkpoint_every=SAVED_AT)
    identity = {"config_hash": config["hash"], "method_source": config["method"]["use"]}
    trainer = Trainer(config, folder, model_folder, data_folder, hardware, even_words, identity)
    trainer.run()
    return trainer


def _trial_config(subject: Subject) -> dict[str, Any]:
    return {
        "dataset": {"name": "trial", "prompt": "{problem}"},
        "method": {"name": subject.name, "use": subject.name, "values": {}},
        "seed": 0,
        "trainer": dataclasses.asdict(replace(TRAINER, steps=LAST_STEP)),
        "hash": "trial",
    }


def _trial_files(folder: Path) -> tuple[Path, Path]:
    """A model folder and a data folder for the trainer."""
    from entrobench.data import prepare

    model_folder, data_folder = folder / "model", folder / "data"
    tiny_model().save_pretrained(model_folder)
    tiny_tokenizer().save_pretrained(model_folder)
    prepare("trial", {"kind": "chain", "chain": {"operations": 1}}, data_folder)
    return model_folder, data_folder


def _losses(trainer: Trainer) -> list[dict[str, float]]:
    """The logged rows without their clocks."""
    return [{k: v for k, v in row.items() if k != "time" and not k.startswith("seconds_")} for row in trainer.rows]


def slopes(subject: Subject, tokens: TokenBatch) -> Point:
    """Point 5: gradients of statistics, loss and regularizer match central differences; `tokens` from a rehearsal."""
    logits = 2 * torch.randn(4, len(VOCABULARY), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gaps, cut = {}, []
    for name, function in _differentiable(subject.make(), tokens):
        point = logits if name.startswith("token_stats") else _input(tokens, name)
        gap = slope_gap(function, point)
        if not gap <= SLOPE and cuts_graph(function, point):
            cut.append(name)
        else:
            gaps[name] = gap
    wrong = [name for name, gap in gaps.items() if not gap <= SLOPE]  # NaN is wrong, too
    note = f"wrong: {', '.join(wrong)}" if wrong else f"checked: {', '.join(gaps) or 'none'}"
    note += f"; stop-gradient, so its closed form is a golden test's: {', '.join(cut)}" if cut else ""
    return Point(5, "gradients match finite differences", _verdict(not wrong), max(gaps.values(), default=None), note)


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
    """What a hook gives where one of its inputs has this value; 0 outside the mask."""
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
    """Point 6: the declared neutral settings give GRPO's gradients, or the method says why it has none."""
    title, declared = "neutral settings reproduce GRPO", subject.method_class.neutral
    if declared == UNREASONED:
        return Point(6, title, "fail", None, "declare `neutral`: settings that equal GRPO, or why there are none")
    if isinstance(declared, str):
        return Point(6, title, "skipped", None, declared)
    grpo = rehearse(Subject("grpo", load_method("grpo")).make())
    ours = rehearse(subject.make(**declared))
    difference = replace(grpo, state={}).difference(ours)
    return Point(6, title, _verdict(difference <= NEUTRAL), difference, f"{dict(declared)}")


def side_effects(watch: Watch) -> Point:
    """Point 7: hooks draw from no global generator and change no input."""
    title, found = "no global random state, no input changed", sorted(set(watch.offences))
    return Point(7, title, _verdict(not found), None, "; ".join(found) or f"{len(watch.called)} hooks watched")


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
    return Point(8, "wrong settings are refused", _verdict(not accepted), None, note)


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


def golden(subject: Subject) -> Point:
    """Point 9: which tests hold numbers that were derived independently of the code."""
    title, file = "golden numbers", Path(__file__).parent.parent / "tests" / "golden" / f"test_{subject.name}.py"
    if file.exists():
        names = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
        tests = [name.removeprefix("test_").replace("_", " ") for name in names if name.startswith("test_")]
        return Point(9, title, _verdict(bool(tests)), None, f"{len(tests)} in {file.name}: {'; '.join(tests)}")
    if method_infos()[subject.name].origin != "built-in":
        return Point(9, title, "skipped", None, "a plug-in keeps its golden tests with itself; not looked for")
    if not file.parent.exists():
        return Point(9, title, "skipped", None, "this installation has no tests; see the repository")
    return Point(9, title, "skipped", None, f"none yet: write tests/golden/{file.name}, derived without the code")


def _verdict(passed: bool) -> str:
    return "pass" if passed else "fail"
