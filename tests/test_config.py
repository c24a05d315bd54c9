"""Typed settings: ranges, types and choices, one line for each fault, and a hash that depends on content alone."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrobench.config import EvaluationConfig, Hardware, TrainerConfig, canonical_hash, parse, setting
from entrobench.errors import InputError, nearest, unknown


@dataclass(frozen=True)
class Example:
    """One field of each kind."""

    rate: float = setting(0.5, low=0.0, high=1.0)
    steps: int = setting(3, low=1)
    mode: str = setting("plain", choices=("plain", "wide"))
    limit: float | None = setting(None, low=1.0)
    names: list[str] = setting([])
    on: bool = setting(True)


def test_defaults_and_values() -> None:
    assert parse(Example, None, "here") == Example()
    assert parse(Example, {"rate": 1, "limit": 2, "on": False}, "here") == Example(rate=1.0, limit=2.0, on=False)
    assert isinstance(parse(Example, {"rate": 1}, "here").rate, float)


def test_number_that_yaml_reads_as_text() -> None:
    assert parse(Example, {"rate": "1e-3"}, "here").rate == 1e-3


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"rat": 1}, "here: unknown key 'rat' (allowed: rate, steps, mode, limit, names, on); did you mean 'rate'?"),
        ({"rate": 1.5}, "here: rate must be between 0.0 and 1.0, got 1.5"),
        ({"rate": -0.1}, "here: rate must be between 0.0 and 1.0, got -0.1"),
        ({"rate": float("nan")}, "here: rate must be between 0.0 and 1.0, got nan"),
        ({"rate": "much"}, "here: rate must be float, got 'much'"),
        ({"rate": True}, "here: rate must be float, got True"),
        ({"steps": 0}, "here: steps must be at least 1, got 0"),
        ({"steps": 2.5}, "here: steps must be int, got 2.5"),
        ({"steps": None}, "here: steps must be int, got None"),
        ({"mode": "wid"}, "here: mode must be one of plain, wide, got 'wid'; did you mean 'wide'?"),
        ({"limit": 0.5}, "here: limit must be at least 1.0, got 0.5"),
        ({"limit": float("inf")}, "here: limit must be finite and at least 1.0, got inf"),
        ({"names": "a"}, "here: names must be list, got 'a'"),
        ({"on": 1}, "here: on must be bool, got 1"),
        (["rate"], "here: expected a mapping of settings, got list"),
    ],
)
def test_faults_are_one_line(values: Any, line: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(Example, values, "here")
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"group_size": 1}, "group_size must be at least 2"),
        ({"top_p": 0.9}, "top_p must be 1 and top_k 0"),
        ({"top_k": 5}, "top_p must be 1 and top_k 0"),
        ({"prompts": 3, "updates": 2}, "must be a multiple of updates"),
        ({"loss_agg": "token-men"}, "did you mean 'token-mean'?"),
    ],
)
def test_trainer_faults(values: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError, match=part.replace("?", r"\?")):
        parse(TrainerConfig, values, "study.yaml: trainer")


@pytest.mark.parametrize(
    "values", [{"pass_k": [16]}, {"pass_k": [1, 1]}, {"pass_k": [0]}, {"samples": 2, "pass_k": [4]}, {"samples": 0}]
)
def test_evaluation_faults(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"study\.yaml: evaluation: (pass_k|samples)"):
        parse(EvaluationConfig, values, "study.yaml: evaluation")


def test_every_setting_names_the_source_of_its_default() -> None:
    for cls in (TrainerConfig, EvaluationConfig, Hardware):
        for field in dataclasses.fields(cls):
            assert field.metadata["source"], f"{cls.__name__}.{field.name}"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_hash_ignores_order_and_survives_json(content: dict[str, Any]) -> None:
    backwards = dict(reversed(list(content.items())))
    assert canonical_hash(content) == canonical_hash(backwards) == canonical_hash(json.loads(json.dumps(content)))


@given(st.dictionaries(st.text(), st.integers(), min_size=1), st.integers(min_value=1))
def test_hash_sees_every_change(content: dict[str, int], change: int) -> None:
    for key in content:
        assert canonical_hash(content) != canonical_hash({**content, key: content[key] + change})


def test_nearest_name() -> None:
    assert nearest("aet", ["aent", "grpo"]) == "; did you mean 'aent'?"
    assert nearest("zzz", ["aent", "grpo"]) == ""
    assert str(unknown("seed", "x", ["b", "a"], "f.yaml")) == "f.yaml: unknown seed 'x' (allowed: a, b)"
