"""A step's experience: which prompts, and records that are right for every token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from golden_records import step_batch
from tiny import END, coin_reward, run_config, tiny_model, tiny_tokenizer

from entrobench.api import Method, TrainerConfig
from entrobench.engines.rollout import NativeEngine
from entrobench.entropy.logits import entropy
from entrobench.errors import InputError
from entrobench.models.replies import decode
from entrobench.training.answers import Sampler
from entrobench.training.experience import (
    Collector,
    Experience,
    Prompt,
    Sampled,
    draw_prompts,
    minibatches,
    update_rows,
)
from entrobench.training.forward import pack
from entrobench.training.micro_batches import ForwardLimits

PROMPTS = [Prompt(f"id{number}", [1, 4 + number % 10, 14, 5, 17], str(number % 10), "") for number in range(23)]
CONFIG = TrainerConfig(steps=9, prompts=4, group_size=3, updates=2, max_response_tokens=7)


def ids(seed: int, step: int) -> list[str]:
    return [prompt.id for prompt in draw_prompts(PROMPTS, CONFIG, f"tiny/{seed}", step)]


def test_every_epoch_uses_a_prompt_at_most_once_and_steps_never_span_epochs() -> None:
    for epoch in range(3):
        used = [name for step in range(5 * epoch + 1, 5 * epoch + 6) for name in ids(0, step)]
        assert len(used) == len(set(used)) == 20
    assert ids(0, 1) != ids(0, 6), "epochs are shuffled differently"


def test_stream_and_step_alone_decide_the_prompts() -> None:
    assert ids(3, 7) == ids(3, 7)
    assert ids(3, 7) != ids(4, 7)


def test_runs_of_one_seed_share_their_numbers_within_a_cell_only() -> None:
    """Methods of a model and dataset pair; other cells draw apart, or they would not be independent."""
    run = run_config("grpo", seed=3)
    assert run.stream == run_config("aent", seed=3).stream
    elsewhere = replace(run, model=replace(run.model, name="n")), replace(run, dataset=replace(run.dataset, name="e"))
    others = [*elsewhere, replace(run, seed=4)]
    assert len({other.stream for other in [run, *others]}) == 4
    orders = [[p.id for p in draw_prompts(PROMPTS, CONFIG, other.stream, 7)] for other in [run, *others]]
    assert all(order != orders[0] for order in orders[1:])


class Plain(Method):
    """GRPO with one statistic under the sampling policy."""

    old_stats = ("mean_logit",)

    def token_stats(self) -> Any:
        return {"mean_logit": lambda logits: logits.mean(-1)}


def collector(model: Any, engine: Any, method: Method, config: TrainerConfig) -> Collector:
    limits = ForwardLimits(5, 4096)
    sampler = Sampler(tiny_tokenizer(), engine, coin_reward, config, "0", limits.ranks)
    return Collector(model, sampler, method, limits)


@dataclass
class Setup:
    model: Any
    collector: Collector


@pytest.fixture(scope="module")
def setup() -> Setup:
    model = tiny_model("qwen2")
    engine = NativeEngine(model, [END], torch.float32)
    method = Plain(Plain.Config(), CONFIG)
    return Setup(model, collector(model, engine, method, CONFIG))


@pytest.mark.parametrize("temperature", [1.0, 0.8])
def test_records_equal_those_of_whole_logits(setup: Setup, temperature: float) -> None:
    prompts = PROMPTS[:4]
    base = tiny_model("qwen2", seed=9)
    experience = setup.collector.collect(prompts, 1, temperature, base)
    batch, tokens = experience.batch, experience.sequences
    at_one = []
    for row in range(12):
        size = int(batch.mask[row].sum())
        start = len(prompts[row // 3].tokens)
        line = tokens.tokens[row : row + 1, : start + size]
        with torch.no_grad():
            logits, reference = (model(line).logits[0, start - 1 : -1].double() for model in (setup.model, base))
        labels = line[0, start:, None]
        expected = {
            "logp_old": (logits / temperature).log_softmax(-1).gather(1, labels)[:, 0],
            "entropy_old": entropy(logits / temperature),
            "logp_ref": (reference / temperature).log_softmax(-1).gather(1, labels)[:, 0],
        }
        for name, values in expected.items():
            torch.testing.assert_close(getattr(batch, name)[row, :size].double(), values, atol=1e-5, rtol=0)
        scaled = (logits / temperature).mean(-1)
        torch.testing.assert_close(batch.stats_old["mean_logit"][row, :size].double(), scaled, atol=1e-5, rtol=0)
        at_one.append(entropy(logits))
    assert experience.entropy_t1 == pytest.approx(float(torch.cat(at_one).mean()), abs=1e-5)
    assert batch.logp_rollout is not None
    torch.testing.assert_close(batch.logp_rollout, batch.logp_old, atol=1e-5, rtol=0)
    assert 0 < experience.rollout["rollout_mismatch"] < 1e-5
    assert batch.temperature == temperature


class Stale(NativeEngine):
    """An engine that never takes over new weights."""

    tolerance = 1e-3

    def load(self, model: Any) -> None:
        if not hasattr(self, "model"):
            super().load(model)


def test_an_engine_with_other_weights_stops_the_run() -> None:
    model = tiny_model("qwen2")
    engine = Stale(model, [END], torch.float32)
    corrected = replace(CONFIG, rollout_correction=2.0)
    method = Method(Method.Config(), corrected)
    watched = collector(model, engine, method, corrected)
    right = watched.collect(PROMPTS[:4], 1, 1.0, None).rollout
    assert right["rollout_mismatch"] < 1e-5
    assert right["rollout_weight"] == pytest.approx(1, abs=1e-5)
    assert 1 <= right["rollout_weight_max"] < 1 + 1e-4
    with torch.no_grad():
        model.lm_head.weight.mul_(1.01)  # the size of a few updates
    with pytest.raises(
        InputError, match=r"engine: native: at step 2 .* nats per token from the trainer's \(at most 0.001"
    ):
        watched.collect(PROMPTS[4:8], 2, 1.0, None)
    engine.tolerance = 1.0
    apart = watched.collect(PROMPTS[4:8], 2, 1.0, None)
    assert apart.batch.logp_rollout is not None
    ratios = (apart.batch.logp_old - apart.batch.logp_rollout)[apart.batch.mask].exp()
    assert apart.rollout["rollout_weight"] == pytest.approx(float(ratios.mean()), rel=1e-6)
    assert apart.rollout["rollout_weight_max"] == pytest.approx(float(ratios.max()), rel=1e-6)


@pytest.fixture(scope="module")
def plain(setup: Setup) -> Experience:
    return setup.collector.collect(PROMPTS[:4], 2, 1.0, None)


def test_rewards_and_groups(setup: Setup, plain: Experience) -> None:
    batch = plain.batch
    assert batch.group.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    for row in range(12):
        prompt = PROMPTS[row // 3]
        response = plain.sequences.tokens[row, 5 : 5 + int(batch.mask[row].sum())].tolist()
        finished = response[-1] == END
        assert bool(batch.truncated[row]) is not finished
        text = decode(setup.collector.sampler.tokenizer, response)
        assert float(batch.rewards[row]) == coin_reward(text, prompt.answer, finished, "", "").correct
        assert plain.sequences.tokens[row, :5].tolist() == prompt.tokens
    assert 0 < float(batch.rewards.mean()) < 1
    for group in range(4):
        rates = batch.pass_rate[batch.group == group]
        torch.testing.assert_close(rates, batch.rewards[batch.group == group].mean().expand(3))
    assert plain.sampled.shares == pytest.approx(
        {"correct": float(batch.rewards.mean()), "wrong": 1 - float(batch.rewards.mean())}
    )
    assert batch.logp_ref is None


def test_what_was_sampled_depends_on_step_prompt_and_draw_alone(setup: Setup, plain: Experience) -> None:
    again = setup.collector.collect(PROMPTS[:4][::-1], 2, 1.0, None)
    turned = torch.arange(12).view(4, 3).flip(0).flatten()
    assert torch.equal(again.batch.mask[turned], plain.batch.mask)
    assert torch.equal(again.sequences.tokens[turned], plain.sequences.tokens)
    assert [again.keys[row] for row in turned.tolist()] == plain.keys
    assert len(set(plain.keys)) == 12
    later = setup.collector.collect(PROMPTS[:4], 3, 1.0, None)
    assert later.sequences.tokens.shape != plain.sequences.tokens.shape or not torch.equal(
        later.sequences.tokens, plain.sequences.tokens
    )


def planned(groups: int, answers: int, updates: int, prompts: int, dropped: tuple[int, ...] = ()) -> list[list[int]]:
    """The groups of each update, where so many are left of the prompts that the step was planned for."""
    config = TrainerConfig(prompts=prompts, group_size=answers, updates=updates)
    group = torch.arange(groups).repeat_interleave(answers)
    batch = step_batch([0.0] * len(group), group.tolist(), [2] * len(group))
    keep = ~torch.isin(torch.arange(len(group)), torch.tensor(dropped, dtype=torch.long))
    parts = update_rows(batch, keep, config)
    assert sorted(row for part in parts for row in part.tolist()) == keep.nonzero()[:, 0].tolist()
    return [group[part].tolist() for part in parts]


def test_what_dynamic_sampling_leaves_is_spread_over_fewer_updates() -> None:
    """10 rows where 4 updates of 4 were planned: 2 of 6 and 4 rows, and not 3, 3, 3, 1 that split groups."""
    assert planned(5, 2, updates=4, prompts=8) == [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4]]
    assert planned(8, 2, updates=4, prompts=8) == [[g, g, g + 1, g + 1] for g in (0, 2, 4, 6)]
    assert planned(1, 2, updates=4, prompts=8) == [[0, 0]]
    assert planned(7, 3, updates=2, prompts=8) == [[0] * 3 + [1] * 3 + [2] * 3 + [3] * 3, [4] * 3 + [5] * 3 + [6] * 3]


def test_a_group_is_never_split_whatever_is_dropped() -> None:
    assert planned(4, 3, updates=2, prompts=4, dropped=(1, 2, 3, 4, 5, 6)) == [[0, 2, 2], [3, 3, 3]]
    assert planned(4, 3, updates=2, prompts=4, dropped=tuple(range(12))) == []


@pytest.mark.parametrize(
    ("mask_truncated", "expected"),
    [
        ("none", [0.75, -0.25, -0.25, -0.25]),
        ("loss", [0.75, -0.25, -0.25]),  # the fourth answer still counts in the mean
        ("group", [2 / 3, -1 / 3, -1 / 3]),
    ],
)
def test_truncated_answers_leave_the_loss_and_where_asked_their_group(
    mask_truncated: str, expected: list[float]
) -> None:
    config = TrainerConfig(prompts=1, group_size=4, updates=1, mask_truncated=mask_truncated, advantage_scale="none")
    batch = replace(step_batch([1.0, 0, 0, 0], [0] * 4, [2, 1, 3, 3]), truncated=torch.arange(4) == 3)
    sequences = pack([[1]] * 4, [[5, 2], [2], [5, 5, 2], [5, 5, 5]], torch.device("cpu"))
    experience = Experience(sequences, batch, ["a", "b", "c", "d"], Sampled(), 0.0, {}, {})
    ((found, rows, keys),) = minibatches(Method(Method.Config(), config), experience, ForwardLimits(4, 64))
    assert found.advantages[:, 0].tolist() == pytest.approx(expected, rel=1e-12)
    assert len(rows.mask) == len(keys) == len(found.mask) == len(expected)
    assert bool(found.truncated.any()) == (mask_truncated == "none")


@pytest.mark.parametrize(("estimator", "of"), [("k1", lambda d: d), ("k2", lambda d: d**2 / 2)])
def test_kl_in_the_reward_is_that_of_the_whole_answer(setup: Setup, estimator: str, of: Any) -> None:
    config = replace(CONFIG, kl_reward=0.5, kl_reward_estimator=estimator)
    engine = NativeEngine(setup.model, [END], torch.float32)
    method = Method(Method.Config(), config)
    assert method.uses_reference
    batch = (
        collector(setup.model, engine, method, config).collect(PROMPTS[:4], 1, 1.0, tiny_model("qwen2", seed=9)).batch
    )
    plain = setup.collector.collect(PROMPTS[:4], 1, 1.0, None).batch
    assert batch.logp_ref is not None
    distances = (of(batch.logp_old - batch.logp_ref) * batch.mask).sum(1)
    assert torch.equal(batch.rewards, plain.rewards - 0.5 * distances)
    assert torch.equal(batch.pass_rate, plain.pass_rate), "right is right"


def test_epochs_repeat_the_updates_and_count_on() -> None:
    config = TrainerConfig(prompts=2, group_size=2, updates=2, epochs=3)
    batch = step_batch([1.0, 0, 0, 1.0], [0, 0, 1, 1], [1] * 4)
    sequences = pack([[1]] * 4, [[2]] * 4, torch.device("cpu"))
    experience = Experience(sequences, batch, ["a", "b", "c", "d"], Sampled(), 0.0, {}, {})
    parts = list(minibatches(Method(Method.Config(), config), experience, ForwardLimits(4, 64)))
    assert [part[0].update for part in parts] == list(range(6))
    assert [part[2] for part in parts] == [["a", "b"], ["c", "d"]] * 3
