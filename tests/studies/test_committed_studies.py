"""The studies that are committed hold what they promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from entrobench.catalogue.registry import method_infos
from entrobench.studies.study import load_study

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_all_methods_names_every_built_in_method_on_five_seeds() -> None:
    study = load_study("all-methods")
    built_in = {name for name, info in method_infos().items() if info.origin == "built-in"}
    assert {run.config.method.use for run in study.runs} == built_in
    assert {(run.model, run.dataset) for run in study.runs} == {("chain-qwen", "chain2")}
    assert {run.seed for run in study.runs} == set(range(5))
    assert study.warnings == [], "no method is inert"


def test_the_control_differs_in_its_reward_alone() -> None:
    study, control = load_study("all-methods"), load_study("control-random-reward")
    methods = {run.method: run.config.method for run in study.runs}
    assert methods == {run.method: run.config.method for run in control.runs}
    settings = {run.config.trainer.reward for run in control.runs}
    assert settings == {"random"}
    for run in control.runs:
        assert replace(run.config.trainer, reward="boxed") == study.runs[0].config.trainer
