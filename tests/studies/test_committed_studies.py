"""The studies that are committed hold what they promise."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from entrobench.catalogue.registry import method_infos
from entrobench.entropy.selection import removed_count
from entrobench.studies.plan import as_text, plan_study, study_sizes
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


def test_smollm2_compares_on_five_seeds_what_was_tuned_alike() -> None:
    study = load_study("smollm2")
    assert {run.method for run in study.runs} == {"grpo", "entropy_bonus", "clip_higher", "aent", "aent_50"}
    assert len(study.runs) == 25
    assert {run.seed for run in study.runs} == set(range(5))
    assert study.warnings == []
    assert study.tuning is not None
    trials = [run.method.rpartition("-")[0] for run in study.tuning.runs]
    assert {name: trials.count(name) for name in trials} == {"entropy_bonus": 4, "aent": 4, "aent_50": 4}
    assert list(study.tuning.benchmarks) == ["word_problems_small-validation"]
    (sizes,) = study_sizes(study).values()
    kept = {
        run.method: sizes.vocabulary - removed_count(run.config.method.values["clamp"], sizes.vocabulary)
        for run in study.runs
        if "clamp" in run.config.method.values
    }
    assert kept == {"aent": 32_932, "aent_50": 50}
    plan = plan_study(study)
    assert plan.training_tokens == 25 * 40 * 16 * 8 * 16
    assert re.search(r"^tuning, beside it: +12 runs", as_text(study, plan), re.MULTILINE)


def test_smollm2_transfer_takes_the_runs_of_smollm2_and_trains_none() -> None:
    study, transfer = load_study("smollm2"), load_study("smollm2-transfer")
    for own, other in ((study, transfer), (study.tuning, transfer.tuning)):
        assert own is not None
        assert other is not None
        assert {run.key: run.config.hash for run in own.runs} == {run.key: run.config.hash for run in other.runs}
    assert set(transfer.benchmarks) == {"word_problems_small", "svamp", "gsm8k"}


# as committed runs carry them: a change of code, of presets or of study files that keeps settings keeps these
HASHES = {
    "quickstart": {
        "chain-qwen/chain2/grpo/seed0": "529c50512e9f0a81863b928bcb4039e19ef37c3a2abdb411fb3a97ce7dafdae6",
        "chain-qwen/chain2/entropy_bonus/seed0": "d0aeefd3164bbe787f14d89c756e3bc979e2643b6e48bcdafd3a059b1caed1df",
    },
    "smoke": {
        "chain-tiny/chain2/grpo/seed0": "528fcffc73aa7eaa33677c6031b8e1485becbb6d383dc09bfbefc37c97475351",
        "chain-tiny/chain2/entropy_bonus/seed0": "a2d0cdf1a2df021ec5fb9c5a346b480138c6aee1d5dde4f01d7870ee3486632e",
        "chain-tiny/chain2/clip_higher/seed0": "2623bd561f56e2467d0cf32d2a9ad02820abb0067c2afe48aad4f9b39c9bce74",
    },
    "paper-math": {
        "qwen2.5-math-1.5b/math_train/grpo/seed0": "e575a1bd9b66a0854d4f72275de13a1df1c13ae0c20f75c75dcd767695296de7"
    },
    "paper-openr1": {
        "r1-distill-qwen-1.5b/openr1_math_40k/grpo/seed0": (
            "ca463812e4a55e3cae6ed83cbf8b5be8282b26a778f5f366f347e306110364ba"
        )
    },
    "ablation-clamp": {
        "qwen2.5-math-1.5b/math_train/grpo/seed0": "e575a1bd9b66a0854d4f72275de13a1df1c13ae0c20f75c75dcd767695296de7"
    },
}


@pytest.mark.parametrize("name", HASHES)
def test_config_hashes_stay(name: str) -> None:
    hashes = {run.key: run.config.hash for run in load_study(name).runs}
    assert {key: hashes[key] for key in HASHES[name]} == HASHES[name]
