"""Every method and preset under the settings of a study that recipes ask for, and among two processes."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from entrobench.catalogue.registry import load_method, method_infos
from entrobench.catalogue.variants import load_variant
from entrobench.config import TrainerConfig
from entrobench.conformance import points
from entrobench.conformance.rehearsal import TRAINER, Trace, rehearse
from entrobench.conformance.subject import Subject

PRESETS = sorted((Path(__file__).parents[2] / "config" / "methods").glob("*.yaml"))
BUILT_IN = [name for name, info in method_infos().items() if info.origin == "built-in"]
STUDY: dict[str, dict[str, Any]] = {
    "two epochs": {"epochs": 2},
    "dynamic sampling": {"dynamic_sampling": True, "max_sampling_batches": 1},
    "truncated out of the loss": {"mask_truncated": "loss"},
    "truncated out of the group": {"mask_truncated": "group"},
    "leave one out, no scale": {"advantage_baseline": "leave_one_out", "advantage_scale": "none"},
    "scale of the batch": {"advantage_scale": "batch"},
    "IcePop": {"rollout_correction": 5.0, "rollout_floor": 0.5, "rollout_mode": "token_mask"},
    "sequence mask": {"rollout_correction": 3.0, "rollout_mode": "sequence_mask"},
    "geometric mask": {"rollout_correction": 3.0, "rollout_mode": "geometric_mask"},
    "off-policy sequences": {"off_policy_mask": 0.01},
    "KL in the reward": {"kl_reward": 0.05, "kl_reward_estimator": "k3"},
}
SAMPLE = ("grpo", "vespo", "reference_kl")


def under(subject: Subject, setting: str) -> Subject:
    return replace(subject, trainer=replace(TRAINER, **STUDY[setting]))


def holds(subject: Subject) -> Trace:
    """The points that a rehearsal shows, whatever the settings; returns the plain one."""
    plain = rehearse(subject.make())
    found = [point(subject, plain) for point in (points.padding, points.order, points.processes)]
    assert not [point for point in found if point.outcome == "fail"]
    return plain


@pytest.mark.parametrize("setting", STUDY)
def test_a_setting_acts_and_holds(setting: str) -> None:
    grpo = Subject("grpo", load_method("grpo"))
    plain, changed = rehearse(grpo.make()), holds(under(grpo, setting))
    assert len(changed.gradients) == len(plain.gradients) * STUDY[setting].get("epochs", 1)
    assert float((changed.weights - plain.weights).abs().max()) > 1e-6


@pytest.mark.parametrize("name", SAMPLE[1:])
@pytest.mark.parametrize("setting", ["two epochs", "IcePop", "KL in the reward"])
def test_a_few_methods_hold(name: str, setting: str) -> None:
    holds(under(Subject(name, load_method(name)), setting))


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_method_holds_under_every_setting(name: str) -> None:
    for setting in STUDY:
        holds(under(Subject(name, load_method(name)), setting))


@pytest.mark.slow
@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_holds(path: Path) -> None:
    variant = load_variant(path.stem, path)
    subject = Subject(variant.name, load_method(variant.use), variant.use, variant.values)
    for setting in ("two epochs", "dynamic sampling"):
        holds(under(subject, setting))
    assert points.idle_step(subject, points.trials(subject)).outcome == "pass"


def test_the_second_epoch_meets_real_ratios_and_the_first_update_alone_is_on_policy() -> None:
    """Four updates of two cuts: as many as `updates: 2` twice, the third of which is not on policy again."""
    once = Subject("grpo", load_method("grpo"))
    twice = replace(once, trainer=replace(TRAINER, epochs=2))
    one, two = rehearse(once.make()), rehearse(twice.make())
    for update in range(2):  # the first pass is the same
        assert bool((one.gradients[update] == two.gradients[update]).all())
    inert = replace(twice, name="clip_higher", method_class=load_method("clip_higher"), values={"clip_high": 0.0})
    clipped = rehearse(inert.make())
    assert bool((clipped.gradients[0] == two.gradients[0]).all()), "on policy no clip acts"
    assert not bool((clipped.gradients[2] == two.gradients[2]).all()), "in the second epoch it does"


def test_the_study_of_these_tests_names_every_setting_that_recipes_added() -> None:
    tested = {name for values in STUDY.values() for name in values}
    added = {f.name for f in dataclasses.fields(TrainerConfig) if f.metadata["added"]}
    plateau = {"plateau_gain", "plateau_window"}  # when a run ends: no part of a rehearsal
    assert added - tested == {"overlong_buffer", "overlong_factor", *plateau}
