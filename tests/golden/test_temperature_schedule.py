"""The temperature of each step by hand, and the switch's memory."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
from golden_records import method, summary

from entrobench.api import Method, Progress
from entrobench.catalogue.registry import load_method
from entrobench.config import parse
from entrobench.errors import InputError


def temperatures(steps: int, **values: Any) -> list[float]:
    subject = method("temperature_schedule", **values)
    return [subject.sampling(Progress(step, steps))["temperature"] for step in range(1, steps + 1)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [1.0] * 5),
        ({"temperatures": [0.8]}, [0.8] * 5),
        ({"schedule": "linear", "temperatures": [1.2, 0.8]}, [1.2, 1.1, 1.0, 0.9, 0.8]),
        ({"schedule": "stepwise", "temperatures": [0.8, 1.2]}, [0.8, 0.8, 0.8, 1.2, 1.2]),
        ({"schedule": "stepwise", "temperatures": [0.7, 1.0, 1.1, 1.2, 1.3]}, [0.7, 1.0, 1.1, 1.2, 1.3]),
    ],
)
def test_the_schedules(values: dict[str, Any], expected: list[float]) -> None:
    assert temperatures(5, **values) == pytest.approx(expected, rel=1e-12)


def test_a_single_step() -> None:
    assert temperatures(1, schedule="linear", temperatures=[1.2, 0.8]) == [1.2]


def switch() -> Method:
    return method("temperature_schedule", schedule="switch", temperatures=[0.8, 1.2], target_entropy=0.5)


def after(subject: Method, entropy: float) -> float:
    """The temperature of the step that follows one of this entropy."""
    subject.after_step(replace(summary(1), entropy=entropy))
    return subject.sampling(Progress(2, 9))["temperature"]


def test_the_switch_is_hot_at_or_below_the_target() -> None:
    subject = switch()
    assert subject.sampling(Progress(1, 9))["temperature"] == 1.2  # nothing measured yet: AEPO starts hot
    assert [after(subject, entropy) for entropy in (0.6, 0.5, 0.2, 0.51)] == [0.8, 1.2, 1.2, 0.8]


def test_the_switch_is_remembered_by_a_checkpoint() -> None:
    subject, restored = switch(), switch()
    after(subject, 0.1)
    restored.state = restored.State(**json.loads(json.dumps(dataclasses.asdict(subject.state))))
    assert restored.sampling(Progress(2, 9))["temperature"] == 1.2


def test_only_the_switch_looks_at_the_entropy() -> None:
    subject = method("temperature_schedule", temperatures=[0.8])
    assert after(subject, 0.0) == 0.8


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"schedule": "linear"}, "schedule linear needs 2 temperatures, got 1"),
        ({"schedule": "stepwise"}, "schedule stepwise needs at least 2 temperatures, got 1"),
        ({"temperatures": [1.0, 2.0]}, "schedule constant needs 1 temperatures, got 2"),
        ({"temperatures": [0.0]}, "finite numbers of at least 0.001, got 0.0"),
        ({"temperatures": [True]}, "got True"),
        ({"temperatures": [float("inf")]}, "got inf"),
    ],
)
def test_wrong_temperatures_are_refused(values: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        parse(load_method("temperature_schedule").Config, values, "here")
