"""Rewards that a study or a dataset brings: named beside its file, pinned in every run, the built-in ones as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_study import STUDY, load, refused

from entrobench.config import TrainerConfig
from entrobench.engines.rollout import Completion
from entrobench.errors import InputError
from entrobench.evaluation.grading.own_rewards import Earned
from entrobench.provenance import sha256_file
from entrobench.run_config import read_config
from entrobench.studies.lock import lock_run
from entrobench.studies.named_inputs import refuse_changed
from entrobench.studies.runs import Run
from entrobench.training.answers import Answer, Prompt, mixed, reward_of

MINE = Path("config/studies/mine.py")


@pytest.fixture(autouse=True)
def _project(project: Path) -> None:
    MINE.write_text("def points(response, gold): return 0.5\n")


def first_run(**trainer: Any) -> Run:
    """The first run of a study with these values of the trainer."""
    return load({**STUDY, "trainer": {"steps": 2, **trainer}}).runs[0]


def test_a_file_beside_the_study_is_pinned_in_the_runs_config() -> None:
    run = first_run(reward="mine.py")
    assert run.config.trainer.reward == "config/studies/mine.py:points"
    assert run.config.reward_code == {"origin": "file", "sha256": sha256_file(MINE)}
    lock_run(run)
    assert read_config(run.folder) == run.config
    before = run.config.hash
    MINE.write_text("def points(response, gold): return 0.25\n")
    assert first_run(reward="mine.py").config.hash != before
    with pytest.raises(InputError, match=r"the reward config/studies/mine.py:points has changed since this was locked"):
        refuse_changed(read_config(run.folder), "here")


def test_a_built_in_reward_adds_nothing_to_a_config() -> None:
    for run in (first_run(), first_run(reward="entrobench")):
        assert "reward_code" not in run.config.content
    assert first_run(reward="boxed").config == first_run().config


def test_a_datasets_reward_holds_where_the_study_names_none() -> None:
    recipe = Path("config/datasets/chain2.yaml")
    before = first_run()
    recipe.write_text(recipe.read_text() + "reward: chain\n")
    assert first_run().config.trainer.reward == "chain"
    assert first_run(reward="boxed").config == before.config, "no row of the data has changed"
    Path("config/datasets/own.py").write_text("def points(): return 1\n")
    recipe.write_text(recipe.read_text().replace("reward: chain", "reward: own.py"))
    assert first_run().config.trainer.reward == "config/datasets/own.py:points"
    recipe.write_text(recipe.read_text().replace("reward: own.py", "reward: owm.py"))
    with pytest.raises(InputError, match=r"^config/datasets/chain2.yaml: reward: .* did you mean 'own.py'"):
        first_run()


def test_faults_name_the_study(plug_in: Path) -> None:
    for name, words in (
        ("bxed", "unknown reward 'bxed'"),
        ("bxed", "did you mean 'boxed'"),
        ("ened", "did you mean 'ended'"),
        ("mime.py", "there is no file config/studies/mime.py; did you mean 'mine.py'"),
    ):
        assert words in refused({**STUDY, "trainer": {"reward": name}})
    assert first_run(reward="ended").config.reward_code["origin"] == "entrobench-example 1.2"
    assert json.loads(json.dumps(first_run(reward="ended").config.content))["trainer"]["reward"] == "ended"


def test_any_number_is_earned_and_makes_a_group_mixed() -> None:
    def answer(earned: float, length: int = 1) -> Answer:
        return Answer(Prompt("id", [1], "7", ""), Completion([5] * length, [0.0] * length, "stop"), Earned(earned), "")

    config = TrainerConfig(max_response_tokens=10, overlong_buffer=4, overlong_factor=0.5)
    assert [reward_of(answer(value), config) for value in (0.25, -3.0, 2.0)] == [0.25, -3.0, 2.0]
    assert reward_of(answer(0.25, 8), config) == 0.25 - 0.5 * 2 / 4
    assert mixed([answer(0.25), answer(0.5)])
    assert not mixed([answer(0.25), answer(0.25, 9)]), "the length penalty makes no group mixed"
