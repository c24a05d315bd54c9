"""Settings that make a method work hard on the few tokens of a rehearsal: invariant, and never without effect."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import pytest
import torch

from entrobench.catalogue.registry import load_method, method_infos
from entrobench.conformance.rehearsal import WHOLE, Trace, padded, rehearse, reordered
from entrobench.conformance.subject import Subject
from entrobench.conformance.watchers import Watch
from entrobench.training.update import ForwardLimits

BUILT_IN = [name for name, info in method_infos().items() if info.origin == "built-in"]

HARD: list[tuple[str, dict[str, Any]]] = [
    ("asym_grpo", {}),
    ("clip_b", {"deviations": 0.3}),
    ("clip_v", {"deviations": 0.1, "share": 0.3}),
    ("fade", {"target": 9.0}),
    ("flexible_clip", {"schedule": "fall-rise-fall", "clip_low": 0.02, "clip_high": 0.02, "slope": 3.0}),
    ("flexible_clip", {"schedule": "oscillating", "clip_low": 0.02, "clip_high": 0.02}),
    ("lp_reg", {"fraction": 1.0, "floor": 0.1, "coefficient": 3.0}),
    ("positive_reweighting", {"schedule": "epoch"}),
    ("positive_reweighting", {"target": 9.0, "rate": 0.5}),
    ("repo_r", {"coefficient": 0.1}),
    ("sent", {"fraction": 0.4, "coefficient": 0.3}),
    ("stare", {"variant": "C2", "target": 9.0, "fraction": 0.4, "adaptive": True, "rate": 0.2}),
    ("wapo", {"clip_high": 0.05}),
    ("archer", {"quantile": 0.5, "low_entropy_clip": 0.05, "low_entropy_kl": 0.3, "high_entropy_kl": 0.1}),
    ("bapo", {"target": 1.5, "lower_start": 0.5, "upper_max": 3.0}),
    ("ce_gppo", {"clip_low": 0.05, "clip_high": 0.05}),
    ("clip_cov", {"fraction": 0.2, "covariance_low": 0.0, "covariance_high": 1e3}),
    ("cispo", {"clip_low": 0.1, "clip_high": 0.1}),
    ("dppo", {"threshold_low": 0.01, "threshold_high": 0.01}),
    ("dppo", {"divergence": "kl", "threshold_low": 1e-3, "threshold_high": 1e-3, "against": "old"}),
    ("dppo", {"against": "recompute", "threshold_low": 0.01, "threshold_high": 0.01}),
    ("entropic", {"probability": 0.1, "integral": 0.5}),
    ("entrocraft", {"low_start": 2.9, "low_end": 2.9, "high_start": 3.0, "high_end": 3.0}),
    ("entropy_advantage", {"coefficient": 0.1}),
    ("entropy_bonus", {"coefficient": 0.1, "final_coefficient": 0.02}),
    ("erc", {"ratio_low": 0.9, "ratio_high": 1.1}),
    ("erc", {"base": "gppo", "ratio_low": 0.5, "ratio_high": 2.0, "clip_low": 0.05, "clip_high": 0.05}),
    ("forking_tokens", {"scope": "response", "divisor": "selected"}),
    ("forking_tokens", {"entropy": "old", "fraction": 0.5}),
    ("gspo", {"clip_low": 0.05, "clip_high": 0.05}),
    ("gspo", {"clip_low": 0.2, "clip_high": 0.2, "loss_agg": "seq-mean-token-sum"}),
    ("kl_cov", {"fraction": 0.3}),
    ("magic", {"target": 9.0, "coefficient": 0.3, "coefficient_high": 1.0, "estimator": "analytic"}),
    ("qae", {"quantile": 0.6}),
    ("qae", {"interpolation": "linear"}),
    ("reference_kl", {"coefficient": 0.3, "estimator": "k2"}),
    ("reference_kl", {"coefficient": 0.03, "ratio_weighted": True}),
    ("sapo", {"gate_positive": 4.0, "gate_negative": 6.0}),
    ("siren", {"coefficient": 0.1, "quantile": 0.3, "anchor": 1.0}),
    ("steer", {"weight_low": 0.2, "weight_high": 3.0}),
    ("steer", {"mapping": "exponential", "weight_low": 0.1}),
    ("temperature_schedule", {"schedule": "linear", "temperatures": [1.3, 0.7]}),
    ("temperature_schedule", {"schedule": "switch", "temperatures": [0.8, 1.2], "target_entropy": 9.0}),
    ("vespo", {"power_positive": 4.0, "decay_negative": 4.0}),
    ("w_reinforce", {"positive_weight": 0.0}),
]
PER_MICRO_BATCH: list[tuple[str, dict[str, Any]]] = [
    ("bapo", {"scope": "microbatch"}),
    ("clip_cov", {"fraction": 0.2, "covariance_low": 0.0, "covariance_high": 1e3, "scope": "microbatch"}),
    ("forking_tokens", {"scope": "microbatch"}),
    ("kl_cov", {"fraction": 0.3, "scope": "microbatch"}),
    ("lp_reg", {"fraction": 0.7, "scope": "microbatch"}),
    ("sent", {"fraction": 0.4, "scope": "microbatch"}),
    ("stare", {"target": 9.0, "weight_positive": 2.0, "scope": "microbatch"}),
    ("steer", {"scope": "microbatch"}),
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
    others = [(ForwardLimits(1, 3),), (WHOLE, padded), (WHOLE, reordered)]
    for other in others:
        assert plain.difference(rehearse(subject(name).make(**values), *other, leader=plain)) <= plain.rounding
    assert float((plain.weights - grpo().weights).abs().max()) > 1e-4


@pytest.mark.parametrize("case", PER_MICRO_BATCH, ids=names)
def test_a_selection_per_micro_batch_depends_on_memory(case: tuple[str, dict[str, Any]]) -> None:
    name, values = case
    assert subject(name).make(**values).scope == "microbatch"
    one, three = (rehearse(subject(name).make(**values), ForwardLimits(size, 4096)) for size in (1, 3))
    assert one.difference(three) > 1e-4
    exact = rehearse(subject(name).make(**{**values, "scope": "minibatch"}))
    assert exact.difference(rehearse(subject(name).make(**values), WHOLE)) == 0  # one micro-batch is the minibatch


INERT: list[tuple[str, dict[str, Any]]] = [
    ("bapo", {"target": 9.0}),
    ("cispo", {}),
    ("clip_higher", {"clip_high": 0.3}),
    ("erc", {"clip_high": 0.3}),
    ("flexible_clip", {"clip_high": 0.3}),
    ("kl_cov", {"fraction": 0.5}),
    ("sent", {"fraction": 0.5}),
    ("vespo", {}),
]


@pytest.mark.parametrize("case", INERT, ids=names)
def test_inert_on_policy_means_the_same_bits(case: tuple[str, dict[str, Any]]) -> None:
    """The first update of all has the gradient of GRPO; later steps start from other weights."""
    method = subject(case[0]).make(**case[1])
    assert method.inert_on_policy
    assert bool((rehearse(method).gradients[0] == grpo().gradients[0]).all())


SHARES = [name for name in BUILT_IN if "fraction" in {f.name for f in dataclasses.fields(load_method(name).Config)}]


@pytest.mark.parametrize("name", SHARES)
def test_a_fraction_of_nothing_selects_nothing(name: str) -> None:
    """Whether a method leaves tokens out, weighs them or penalises them: at 0 there are none."""
    watch = Watch(subject(name).make(fraction=0.0))
    rehearse(watch.method)
    idle = {"kept": 1.0, "weight": 1.0, "selected": 0.0, "regularized": 0.0, "strength": 0.0}
    found = {key: value[watch.tokens.mask] for key, value in watch.tokens.extras.items() if key in idle}
    assert found
    for key, value in found.items():
        assert torch.equal(value.double(), torch.full_like(value.double(), idle[key])), key
