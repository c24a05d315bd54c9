"""One update: its divisors come from the whole minibatch, its measures are sums over tokens, its draws are keyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch
from golden_records import method, token_batch
from tiny import tiny_model
from torch import Tensor

from entrobench.api import Method, MiniBatch, StepBatch, TokenBatch, TrainerConfig
from entrobench.config import LOSS_AGGREGATIONS
from entrobench.entropy.logits import entropy
from entrobench.training import update
from entrobench.training.forward import Sequences, frozen_forward, pack, token_forward
from entrobench.training.micro_batches import ForwardLimits
from entrobench.training.update import (
    Measures,
    _measure,
    accumulate_gradients,
    clipped_tokens,
    keyed_uniforms,
    minibatch_of,
)

PROMPTS = [[5, 6], [5, 6], [7, 8, 9], [7, 8, 9], [10], [10]]
RESPONSES = [[20, 21, 2], [22, 23, 24, 25, 26, 2], [2], [27, 28], [29, 30, 31, 32], [33, 2]]
KEYS = [f"sequence {row}" for row in range(6)]


def setting(**changes: Any) -> TrainerConfig:
    return TrainerConfig(prompts=2, updates=2, max_response_tokens=8, **changes)


def step_batch(sequences: Sequences, logp: Tensor) -> StepBatch:
    """A record of six answers to three prompts; `logp` is not the model's, so that some ratios are clipped."""
    rewards = torch.tensor([1.0, 0, 0, 1, 1, 0], dtype=torch.float64)
    return StepBatch(
        rewards=rewards,
        group=torch.tensor([0, 0, 1, 1, 2, 2]),
        pass_rate=torch.full((6,), 0.5, dtype=torch.float64),
        truncated=torch.zeros(6, dtype=torch.bool),
        mask=sequences.mask,
        logp_old=logp,
        logp_rollout=None,
        entropy_old=torch.zeros_like(logp),
        stats_old={},
        logp_ref=None,
        step=3,
        total_steps=9,
        temperature=1.0,
    )


class Update:
    """One update of a float64 model with a method, its second of the step."""

    def __init__(self, method: Method, micro_batch: int = 6, update: int = 1) -> None:
        self.model = tiny_model("qwen2").double()
        self.sequences = pack(PROMPTS, RESPONSES, torch.device("cpu"))
        noise = 0.8 * torch.randn(self.sequences.mask.shape, generator=torch.Generator().manual_seed(0))
        now, _ = frozen_forward(self.model, self.sequences, {}, 1.0, ForwardLimits(6, 4096))
        step = step_batch(self.sequences, (now + noise) * self.sequences.mask)
        limits = ForwardLimits(micro_batch, 4096)
        numbers = limits.numbers(self.sequences.lengths, self.sequences.prompts.tolist())
        self.batch = minibatch_of(step, method.advantages(step), torch.arange(6), update, numbers)
        self.measures = accumulate_gradients(
            method, self.model, self.batch, self.sequences, KEYS, limits, lambda loss: loss.backward()
        )
        self.gradient = torch.cat([weight.grad.flatten() for weight in self.model.parameters()])


@pytest.mark.parametrize("loss_agg", LOSS_AGGREGATIONS)
def test_micro_batches_add_up_to_the_whole(loss_agg: str) -> None:
    whole = Update(Method(Method.Config(), setting(loss_agg=loss_agg)))
    for size in (1, 4):
        parts = Update(Method(Method.Config(), setting(loss_agg=loss_agg)), size)
        torch.testing.assert_close(parts.gradient, whole.gradient, atol=1e-12, rtol=0)
        assert parts.measures.policy_loss == pytest.approx(whole.measures.policy_loss, abs=1e-12)
        assert parts.measures.sums == pytest.approx(whole.measures.sums, abs=1e-12)


def test_measures_are_sums_over_response_tokens() -> None:
    made = Update(Method(Method.Config(), setting()), 2)
    batch, mask = made.batch, made.batch.mask
    logp, _ = token_forward(made.model, made.sequences, {}, 1.0, 4096)
    ratio = (logp.detach() - batch.logp_old).exp()
    expected = {
        "kl": float((batch.logp_old - logp.detach())[mask].sum()),
        "clip_low": int(((ratio < 0.8) & (batch.advantages < 0) & mask).sum()),  # GRPO's clip is the study's
        "clip_high": int(((ratio > 1.2) & (batch.advantages > 0) & mask).sum()),
    }
    assert expected["clip_low"] > 0 < expected["clip_high"]
    assert made.measures.sums == pytest.approx(expected)
    assert made.measures.tokens == mask.sum() == 18
    assert made.measures.token_mean("kl") == pytest.approx(expected["kl"] / 18)
    twice = Measures()
    twice.include(made.measures)
    twice.include(made.measures)
    assert twice.token_mean("kl") == pytest.approx(expected["kl"] / 18)
    assert twice.policy_loss == pytest.approx(2 * made.measures.policy_loss)


# ratio, advantage: three of A > 0 beyond DAPO's clip, the study's or none; one of A < 0
TOKENS = [(1.25, 1.0), (1.25, 1.0), (1.5, 1.0), (0.5, -1.0)]


@pytest.mark.parametrize(
    ("name", "values", "high", "low"),
    [
        ("grpo", {}, 3, 1),
        ("clip_higher", {}, 1, 1),  # 1.25 lies within 1 + 0.28
        ("ce_gppo", {}, 0, 0),  # every token keeps a gradient
        ("cispo", {}, 0, 0),
    ],
)
def test_clip_shares_are_those_of_the_methods_own_clip(name: str, values: dict[str, Any], high: int, low: int) -> None:
    subject = method(name, **values)
    ratios, advantages = (list(column) for column in zip(*TOKENS, strict=True))
    tokens = token_batch(ratios, advantages)
    clipped = clipped_tokens(subject.token_loss(tokens), tokens)
    assert int((clipped & (tokens.advantages > 0)).sum()) == high
    assert int((clipped & (tokens.advantages < 0)).sum()) == low


def test_a_sequence_is_clipped_as_a_whole() -> None:
    tokens = token_batch([0.2, 1.1, 0.9], [-1.0] * 3)  # the geometric mean 0.58 is below 1 - 3e-4
    assert clipped_tokens(method("gspo").token_loss(tokens), tokens).tolist() == [[True] * 3]


def test_tokens_that_are_left_out_are_not_clipped() -> None:
    tokens = replace(token_batch([1.5, 1.5], [1.0, 1.0]), extras={"selected": torch.tensor([[1.0, 0.0]])})
    assert clipped_tokens(method("forking_tokens").token_loss(tokens), tokens).tolist() == [[True, False]]


def test_the_logged_share_is_a_third() -> None:
    tokens = token_batch([1.25, 1.25, 1.5], [1.0] * 3)
    measures = Measures(tokens=3)
    _measure(measures, tokens, clipped_tokens(method("clip_higher").token_loss(tokens), tokens))
    assert measures.token_mean("clip_high") == pytest.approx(1 / 3)


class Half(Method):
    """A regularizer, and a divisor of the selected tokens."""

    divisor = "selected"

    def token_stats(self) -> Any:
        return {"entropy": entropy}

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        return {"selected": (torch.arange(6) % 2)[:, None] * batch.mask}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["selected"]

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return 0.5 * tokens.stats["entropy"]


def test_the_policy_may_divide_by_selected_tokens_the_regularizer_by_all() -> None:
    made = Update(Half(Half.Config(), setting()), 2)
    batch = made.batch
    odd = (torch.arange(6) % 2 == 1)[:, None] & batch.mask
    logp, stats = token_forward(made.model, made.sequences, {"entropy": entropy}, 1.0, 4096)
    entropies = stats["entropy"][batch.mask]
    ratio = (logp - batch.logp_old).exp()
    losses = -torch.minimum(ratio * batch.advantages, ratio.clamp(0.8, 1.2) * batch.advantages)
    assert made.measures.policy_loss == pytest.approx(losses[odd].mean().item())
    assert made.measures.regularizer_loss == pytest.approx(0.5 * entropies.mean().item())
    assert made.measures.sums["stat/entropy"] == pytest.approx(entropies.sum().item())
    assert made.measures.sums["extra/selected"] == int(odd.sum())
    made.model.zero_grad()
    (losses[odd].mean() + 0.5 * entropies.mean()).backward()
    expected = torch.cat([weight.grad.flatten() for weight in made.model.parameters()])
    torch.testing.assert_close(made.gradient, expected, atol=1e-12, rtol=0)


class RecordsOnly(Method):
    """One statistic of the record alone, one of the updates."""

    old_stats = ("peak",)

    def token_stats(self) -> Any:
        def peak(logits: Tensor) -> Tensor:
            raise AssertionError("an update computes it")

        return {"peak": peak, "entropy": entropy}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        with pytest.raises(KeyError, match="'peak' is none of an update's statistics: name it in token_stats"):
            tokens.stats["peak"]
        return 0.5 * tokens.stats["entropy"]


def test_an_update_does_not_compute_what_is_only_recorded() -> None:
    made = Update(RecordsOnly(RecordsOnly.Config(), setting()))
    assert "stat/entropy" in made.measures.sums
    assert "stat/peak" not in made.measures.sums


def test_the_first_update_has_ratio_one_whatever_was_recorded() -> None:
    made = Update(Method(Method.Config(), setting()), update=0)
    assert made.measures.sums == {"kl": 0.0, "clip_low": 0.0, "clip_high": 0.0}


def test_draws_are_keyed_by_sequence_step_update_and_number() -> None:
    def draw(keys: list[str], step: int = 1, update: int = 0, number: int = 0, length: int = 50) -> Tensor:
        return keyed_uniforms(keys, step, update, torch.Size((len(keys), length)), torch.device("cpu"))(number)

    numbers = draw(KEYS)
    assert torch.equal(draw(KEYS[::-1]), numbers.flip(0))
    assert torch.equal(draw(KEYS[2:4], length=20), numbers[2:4, :20])
    assert 0 <= float(numbers.min()) < 0.1
    assert 0.9 < float(numbers.max()) < 1
    for other in (draw(KEYS, step=2), draw(KEYS, update=1), draw(KEYS, number=1)):
        assert not torch.isin(other, numbers).any()


def test_a_draw_is_below_one_where_float32_would_round_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Edge:
        def random(self, count: int) -> numpy.ndarray:
            return numpy.array([1 - 1e-12, 0.25, 0.0])[:count]

    monkeypatch.setattr(update, "keyed_generator", lambda key: Edge())
    numbers = keyed_uniforms(["a"], 1, 0, torch.Size((1, 3)), torch.device("cpu"))(0)
    assert numbers.tolist() == [[1 - 2**-24, 0.25, 0.0]]
