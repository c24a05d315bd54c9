"""Whether a method does anything: its hooks bear the protocol's names, and its settings change the update."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cache
from typing import Any

from entrobench.api import EVIDENCE, Method
from entrobench.catalogue.registry import HOOKS, load_method
from entrobench.errors import InputError, nearest

from .rehearsal import Trace, rehearse
from .subject import Point, Subject, verdict

BASELINE = "grpo"  # the one method that changes nothing
FACTORS = (10, 100, 0.1, 2)  # by which a number is multiplied, in search of a value that acts


def names(subject: Subject) -> Point:
    """Point 10: every public name is one of the protocol's, and some hook is overridden.

    A misspelt hook is never called: the method would train plain GRPO, or without a part of itself.
    """
    method_class, faults = subject.method_class, []
    allowed = {*dir(Method), "config", "state", "trainer"}
    own = {name for base in method_class.__mro__ if issubclass(base, Method) for name in vars(base)}
    for name in sorted(name for name in own - allowed if not name.startswith("_")):
        faults.append(f"{name!r} is no hook or declaration{nearest(name, [n for n in allowed if n[0] != '_'])}")
    if faults:
        faults.append("a helper's name starts with '_'")
    overridden = [hook for hook in HOOKS if getattr(method_class, hook) is not getattr(Method, hook)]
    if not overridden and subject.method_name != BASELINE:
        faults.append(f"no hook is overridden: it trains plain GRPO (hooks: {', '.join(HOOKS)})")
    if method_class.evidence not in ("", *EVIDENCE):
        faults.append(f"evidence {method_class.evidence!r} is none of {', '.join(EVIDENCE)}")
    note = "; ".join(faults) or f"overrides {', '.join(overridden) or 'none, the baseline'}"
    return Point(10, "names are the protocol's", verdict(not faults), None, note)


def effect(subject: Subject, plain: Trace) -> Point:
    """Point 11: under its own settings, or one changed at a time, some update of a rehearsal differs from GRPO's."""
    title = "its settings change the update"
    if subject.method_name == BASELINE:
        return Point(11, title, "skipped", None, "the baseline")
    found = next(acting(subject, plain), None)
    if found is None:
        tried = sum(1 for _ in _tried(subject))
        return Point(11, title, "fail", 0.0, f"all updates equal GRPO's under each of the {tried} settings tried")
    values, trace = found
    where = ", ".join(f"{key}: {value}" for key, value in values.items()) or "its own settings"
    return Point(11, title, "pass", _difference(trace), f"under {where}")


def acting(subject: Subject, plain: Trace) -> Iterator[tuple[dict[str, Any], Trace]]:
    """Values under which the rehearsal is not GRPO's, with their traces; the subject's own come first, as {}.

    A method may wait for what a rehearsal does not have, such as a low entropy, until its threshold is moved.
    """
    for values in _tried(subject):
        trace = rehearse(subject.make(**values)) if values else plain
        if not _difference(trace) <= baseline().rounding:
            yield values, trace


@cache
def baseline() -> Trace:
    """GRPO's rehearsal."""
    return rehearse(Subject(BASELINE, load_method(BASELINE)).make())


def _difference(trace: Trace) -> float:
    """The largest difference of any gradient from GRPO's; infinite where the numbers of updates differ."""
    if len(trace.gradients) != len(baseline().gradients):
        return float("inf")
    return baseline().difference(trace)


def _tried(subject: Subject) -> Iterator[dict[str, Any]]:
    """The subject's own settings, then each setting changed alone, as far as the method accepts the value."""
    yield {}
    config = subject.make().config
    for declared in dataclasses.fields(config):
        for value in _other_values(declared, getattr(config, declared.name)):
            try:
                subject.make(**{declared.name: value})
            except InputError:
                continue
            yield {declared.name: value}


def _other_values(declared: dataclasses.Field[Any], value: Any) -> Iterator[Any]:
    """Values that a setting might have instead of this one; some may be out of its range."""
    if isinstance(value, bool):
        yield not value
        return
    yield from declared.metadata.get("choices") or ()
    bounds = [bound for bound in map(declared.metadata.get, ("low", "high")) if bound is not None]
    yield from bounds
    if isinstance(value, float) and len(bounds) == 2:
        yield sum(bounds) / 2  # of a share neither none nor all, which choose nothing
    if isinstance(value, (int, float)) or value is None:
        yield from (type(value)(value * factor) for factor in FACTORS) if value else (1, 1.0)
    if isinstance(value, list):
        yield [2 * item for item in value if isinstance(item, (int, float))]
