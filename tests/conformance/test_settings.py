"""Settings that make a method work hard on the few tokens of a rehearsal: invariant, and never without effect."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from entrobench.conformance import SAME, Subject
from entrobench.registry import load_method
from entrobench.rehearsal import WHOLE, Trace, padded, rehearse, reordered
from entrobench.update import Memory

HARD: list[tuple[str, dict[str, Any]]] = [
    ("ce_gppo", {"clip_low": 0.05, "clip_high": 0.05}),
    ("clip_cov", {"fraction": 0.2, "covariance_low": 0.0, "covariance_high": 1e3}),
    ("entropic", {"probability": 0.1, "integral": 0.5}),
    ("entrocraft", {"low_start": 2.9, "low_end": 2.9, "high_start": 3.0, "high_end": 3.0}),
    ("entropy_advantage", {"coefficient": 0.1}),
    ("entropy_bonus", {"coefficient": 0.1, "final_coefficient": 0.02}),
    ("erc", {"ratio_low": 0.9, "ratio_high": 1.1}),
    ("erc", {"base": "gppo", "ratio_low": 0.5, "ratio_high": 2.0, "clip_low": 0.05, "clip_high": 0.05}),
    ("forking_tokens", {"scope": "response", "divisor": "selected"}),
    ("forking_tokens", {"entropy": "old", "fraction": 0.5}),
    ("kl_cov", {"fraction": 0.3}),
    ("magic", {"target": 9.0, "coefficient": 0.3, "coefficient_high": 1.0, "estimator": "analytic"}),
    ("siren", {"coefficient": 0.1, "quantile": 0.3, "anchor": 1.0}),
]
PER_MICRO_BATCH: list[tuple[str, dict[str, Any]]] = [
    ("clip_cov", {"fraction": 0.2, "covariance_low": 0.0, "covariance_high": 1e3, "scope": "microbatch"}),
    ("forking_tokens", {"scope": "microbatch"}),
    ("kl_cov", {"fraction": 0.3, "scope": "microbatch"}),
]


def names(case: tuple[str, dict[str, Any]]) -> str:
    return "-".join([case[0], *map(str, case[1].values())])


def subject(name: str) -> Subject:
    return Subject(name, load_method(name))


@cache
def grpo() -> Trace:
    return rehearse(subject("grpo").make())


@pytest.mark.parametrize("case", HARD, ids=names)
def test_hard_settings_are_invariant_and_do_something(case: tuple[str, dict[str, Any]]) -> None:
    name, values = case
    plain = rehearse(subject(name).make(**values))
    assert plain.difference(rehearse(subject(name).make(**values), Memory(1, 3))) <= SAME
    assert plain.difference(rehearse(subject(name).make(**values), WHOLE, padded)) <= SAME
    assert plain.difference(rehearse(subject(name).make(**values), WHOLE, reordered)) <= SAME
    assert float((plain.weights - grpo().weights).abs().max()) > 1e-4


@pytest.mark.parametrize("case", PER_MICRO_BATCH, ids=names)
def test_a_selection_per_micro_batch_depends_on_memory(case: tuple[str, dict[str, Any]]) -> None:
    name, values = case
    assert subject(name).make(**values).scope == "microbatch"
    one, three = (rehearse(subject(name).make(**values), Memory(size, 4096)) for size in (1, 3))
    assert one.difference(three) > 1e-4
    exact = rehearse(subject(name).make(**{**values, "scope": "minibatch"}))
    assert exact.difference(rehearse(subject(name).make(**values), WHOLE)) == 0  # one micro-batch is the minibatch


@pytest.mark.parametrize("name", ["ce_gppo", "clip_higher", "erc", "kl_cov"])
def test_inert_on_policy_means_the_same_bits(name: str) -> None:
    """The first update of all has the gradient of GRPO; later steps start from other weights."""
    method = subject(name).make(clip_high=0.3) if name != "kl_cov" else subject(name).make(fraction=0.5)
    assert method.inert_on_policy
    assert bool((rehearse(method).gradients[0] == grpo().gradients[0]).all())
