"""Dynamic sampling and overlong shaping: what is kept, what it costs, and the same bits after a kill."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from test_trainer import figures, kill_before
from tiny import END, Judged, coin_reward, tiny_model, tiny_tokenizer, weights

from entrobench.api import Method, TrainerConfig
from entrobench.config import parse, stored
from entrobench.distributed.ranks import Ranks
from entrobench.engines.rollout import Completion, NativeEngine
from entrobench.errors import InputError
from entrobench.training.answers import Answer, Prompt, Sampler, reward_of

PROMPTS = [Prompt(f"id{number}", [1, 4 + number % 10, 14, 5, 17], str(number % 10), "") for number in range(40)]
DYNAMIC = TrainerConfig(steps=9, prompts=4, group_size=3, updates=2, max_response_tokens=7, dynamic_sampling=True)


def rare_reward(response: str, gold: str, finished: bool, key: str, problem: str) -> Judged:
    """Right for the answers to prompts of an even number, drawn by key; never for the others."""
    correct = int(gold) % 2 == 0 and coin_reward(key, gold, finished, key, problem).correct
    return Judged(correct, "correct" if correct else "wrong")


@pytest.fixture(scope="module")
def engine() -> NativeEngine:
    return NativeEngine(tiny_model("qwen2"), [END], torch.float32)


def sampler(engine: Any, config: TrainerConfig = DYNAMIC, reward: Any = rare_reward) -> Sampler:
    return Sampler(tiny_tokenizer(), engine, reward, config, "0", Ranks())


def batches() -> Any:
    return iter([PROMPTS[start : start + 4] for start in range(0, 40, 4)])


def test_groups_without_variance_are_replaced_by_mixed_ones(engine: Any) -> None:
    refill = batches()
    found = sampler(engine).sample(next(refill), 1, 1.0, refill)
    assert len(found.kept) == 12
    for start in range(0, 12, 3):
        group = found.kept[start : start + 3]
        assert len({answer.prompt.id for answer in group}) == 1
        assert {answer.verdict.correct for answer in group} == {True, False}
        assert int(group[0].prompt.answer) % 2 == 0
    assert found.trainable
    assert found.batches > 2, "at most two of four prompts can be mixed"
    assert found.count == 12 * found.batches
    assert found.tokens > sum(len(answer.completion.tokens) for answer in found.kept)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["correct"] == found.correct / found.count
    assert len({answer.key for answer in found.kept}) == 12


def test_off_it_keeps_all_of_one_batch(engine: Any) -> None:
    plain = sampler(engine, TrainerConfig(prompts=4, group_size=3, updates=2, max_response_tokens=7))
    found = plain.sample(PROMPTS[:4], 1, 1.0, batches())
    assert (found.batches, found.count, len(found.kept)) == (1, 12, 12)
    assert found.tokens == sum(len(answer.completion.tokens) for answer in found.kept)
    first = sampler(engine).sample(PROMPTS[:4], 1, 1.0, iter([PROMPTS[4:8]] * 10))
    own = {answer.key: answer for answer in found.kept}
    shared = [answer for answer in first.kept if answer.key in own]
    assert shared
    assert all(answer.completion.tokens == own[answer.key].completion.tokens for answer in shared)


def test_a_prompt_that_comes_again_within_a_step_gets_other_answers(engine: Any) -> None:
    found = sampler(engine).sample(PROMPTS[:4], 1, 1.0, iter([PROMPTS[:4]] * 20))
    repeated: dict[str, list[Answer]] = {}
    for answer in found.kept:
        repeated.setdefault(answer.prompt.id, []).append(answer)
    groups = max(repeated.values(), key=len)
    assert len(groups) > 3
    assert len({answer.key for answer in groups}) == len(groups)
    assert groups[0].completion.tokens != groups[3].completion.tokens


def test_it_ends_at_max_sampling_batches_with_what_is_mixed(engine: Any) -> None:
    config = TrainerConfig(**{**vars(DYNAMIC), "max_sampling_batches": 2})
    found = sampler(engine, config).sample(PROMPTS[:4], 1, 1.0, iter([PROMPTS[:4]] * 20))
    assert found.batches == 2
    assert 0 < len(found.kept) < 12
    never = sampler(engine, config, lambda *_: Judged(False, "wrong")).sample(PROMPTS[:4], 1, 1.0, batches())
    assert (never.trainable, len(never.kept), never.batches, never.correct) == (False, 12, 2, 0)


def test_a_killed_run_goes_on_bit_for_bit(make_trainer: Any) -> None:
    settings = {"steps": 6, "group_size": 2, "dynamic_sampling": True, "overlong_buffer": 2}
    whole = make_trainer("aent", "whole", hardware={"checkpoint_every": 100}, **settings)
    whole.run()
    drawn = [row["sampling_batches"] for row in whole.position.rows]
    assert max(drawn) > 1
    assert whole.position.batches == sum(drawn), "the next step goes on where the last one stopped drawing"
    assert [row["mixed_groups"] for row in whole.position.rows] == [1.0] * 6
    assert all(0 < row["sampled_accuracy"] < 1 for row in whole.position.rows)
    kill_before(make_trainer("aent", "killed", hardware={"checkpoint_every": 3}, **settings), 5)
    resumed = make_trainer("aent", "killed", hardware={"checkpoint_every": 3}, **settings)
    resumed.run()
    assert torch.equal(weights(resumed), weights(whole))
    assert figures(resumed) == figures(whole)
    assert resumed.position.batches == whole.position.batches


def test_a_step_without_a_mixed_group_makes_no_update(
    make_trainer: Any, use_method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pull(Method):
        def regularizer(self, tokens: Any) -> Any:
            return tokens.logp

    use_method(Pull)
    trainer = make_trainer(steps=2, dynamic_sampling=True, max_sampling_batches=3)
    trainer.parts.collector.sampler.reward = lambda *_: Judged(True, "correct")
    before = weights(trainer).clone()
    trainer.run()
    assert torch.equal(weights(trainer), before)
    assert [row["updates"] for row in trainer.position.rows] == [0, 0]
    assert [row["sampling_batches"] for row in trainer.position.rows] == [3, 3]
    assert trainer.position.rows[0]["tokens"] > 3 * 16, "dropped answers cost tokens, too"


CONTROLLERS = [
    ("aent", {"warmup": 1}),
    ("entropic", {}),
    ("magic", {"target": 9.0}),
    ("magic", {"target": 9.0, "switch": "previous"}),
    ("siren", {}),
    ("temperature_schedule", {"schedule": "switch", "temperatures": [0.8, 1.2]}),
    ("reference_kl", {"patience": 2}),
]


@pytest.mark.parametrize(("name", "values"), CONTROLLERS)
def test_a_controller_stays_where_it_is_without_an_update(make_trainer: Any, name: str, values: dict[str, Any]) -> None:
    """Three steps of right answers alone: a target of 9 nats would raise MAGIC's coefficient three times."""
    trainer = make_trainer(name, values=values, steps=3, dynamic_sampling=True, max_sampling_batches=1)
    trainer.parts.collector.sampler.reward = lambda *_: Judged(True, "correct")
    state = dataclasses.replace(trainer.parts.method.state)
    trainer.run()
    assert trainer.parts.method.state == state


@pytest.mark.parametrize(("length", "penalty"), [(1, 0), (6, 0), (7, 0.25), (8, 0.5), (10, 1)])
def test_overlong_shaping_is_linear_over_the_buffer(length: int, penalty: float) -> None:
    """DAPO eq. 13 with L_max 10 and a buffer of 4: 0 up to 6 tokens, -1 at 10."""
    config = TrainerConfig(max_response_tokens=10, overlong_buffer=4)
    for correct in (True, False):
        answer = Answer(PROMPTS[0], Completion([5] * length, [0.0] * length, "stop"), Judged(correct, ""), "")
        assert reward_of(answer, config) == pytest.approx(correct - penalty)
        doubled = TrainerConfig(max_response_tokens=10, overlong_buffer=4, overlong_factor=2.0)
        assert reward_of(answer, doubled) == pytest.approx(correct - 2 * penalty)


def test_pass_rates_count_right_answers_whatever_their_length(make_trainer: Any) -> None:
    trainer = make_trainer(steps=1, overlong_buffer=6)
    seen = []
    advantages = trainer.parts.method.advantages
    trainer.parts.method.advantages = lambda step: seen.append(step) or advantages(step)
    trainer.run()
    (step,) = seen
    penalty = (step.mask.sum(1) / 6).clamp(max=1)
    correct = step.rewards + penalty
    torch.testing.assert_close(correct, correct.round())
    torch.testing.assert_close(step.pass_rate, correct.view(4, 4).mean(1).repeat_interleave(4))


def test_settings_added_later_change_no_hash() -> None:
    assert "dynamic_sampling" not in stored(TrainerConfig())
    assert stored(DYNAMIC)["dynamic_sampling"] is True
    assert "max_sampling_batches" not in stored(DYNAMIC)
    assert parse(TrainerConfig, stored(DYNAMIC), "") == DYNAMIC


def test_a_buffer_beyond_the_longest_answer_is_refused() -> None:
    with pytest.raises(InputError, match=r"overlong_buffer \(30\) is above max_response_tokens \(24\)"):
        parse(TrainerConfig, {"overlong_buffer": 30}, "study.yaml: trainer")
