"""AEnt by hand: the clamped entropy and its gradient, the counts of the published settings, and the controller."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy
import pytest
import torch
from golden_records import ROUNDED, method, slope, summary, token_batch
from torch import Tensor

from entrobench.api import Method
from entrobench.conformance.rehearsal import (
    MINIBATCH,
    TRAINER,
    WHOLE,
    Replay,
    even_words,
    exact_model,
    fixed_prompts,
    tiny_tokenizer,
)
from entrobench.entropy.selection import removed_count

LN2, LN3, LN7 = math.log(2), math.log(3), math.log(7)


def aent(**values: Any) -> Method:
    return method("aent", **values)


def clamped(logits: Tensor, clamp: float) -> Tensor:
    return aent(clamp=clamp).token_stats()["clamped_entropy"](logits)


def dyadic() -> Tensor:
    """Logits of (1/2, 1/4, 1/8, 1/8)."""
    return torch.tensor([[4.0, 2.0, 1.0, 1.0]], dtype=torch.float64).log().requires_grad_()


def test_half_the_vocabulary() -> None:
    # kept (1/2, 1/4) -> (2/3, 1/3): H = log 3 - 2/3·log 2; dH/dz = -q·(log q + H) = -2/9·log 2, +2/9·log 2, 0, 0
    logits = dyadic()
    value = clamped(logits, 0.5)
    assert value.item() == pytest.approx(LN3 - 2 / 3 * LN2, rel=1e-12)
    assert value.item() == pytest.approx(0.6365141682948128, rel=1e-12)
    assert slope(value, logits) == pytest.approx([-2 / 9 * LN2, 2 / 9 * LN2, 0, 0], abs=ROUNDED)


def test_ties_at_the_cut_share_the_last_place() -> None:
    # three places, the third shared by two equals: masses 1/2, 1/4, 1/16, 1/16, in all 7/8. The value is that of
    # (4/7, 2/7, 1/7), as if either had been dropped: log 7 - 10/7·log 2. The two equals get the same slope.
    logits = dyadic()
    value = clamped(logits, 0.25)
    assert value.item() == pytest.approx(LN7 - 10 / 7 * LN2, rel=1e-12)
    found = slope(value, logits)
    one_survivor = -1 / 7 * (-LN7 + value.item())
    assert found[2:] == pytest.approx([one_survivor / 2] * 2, rel=1e-12)
    assert sum(found) == pytest.approx(0, abs=ROUNDED)


def test_all_equal_logits() -> None:
    # any five of ten equals: log 5
    assert clamped(torch.zeros(1, 10, dtype=torch.float64), 0.5).item() == pytest.approx(math.log(5), rel=1e-12)


def test_infinite_logits_carry_no_mass() -> None:
    # kept: three of four, of which one is impossible: two equals, log 2; no slope at the impossible ones
    logits = torch.tensor([[0.0, -math.inf, 0.0, -math.inf]], dtype=torch.float64, requires_grad=True)
    value = clamped(logits, 0.25)
    assert value.item() == pytest.approx(LN2, rel=1e-12)
    assert slope(value, logits) == pytest.approx([0, 0, 0, 0], abs=ROUNDED)


def test_without_clamp_it_is_the_ordinary_entropy() -> None:
    assert clamped(dyadic(), 0.0).item() == pytest.approx(1.75 * LN2, rel=1e-12)
    assert clamped(dyadic(), 0.24).item() == pytest.approx(1.75 * LN2, rel=1e-12)  # floor(0.24·4) = 0 removed


@pytest.mark.parametrize("clamp", [0.0, 0.33, 0.99])
def test_one_token_has_no_entropy(clamp: float) -> None:
    assert clamped(torch.tensor([[-5.0]], dtype=torch.float64), clamp).item() == 0


@pytest.mark.parametrize(
    ("clamp", "vocabulary", "removed"),
    [
        (0.33, 151_936, 50_138),  # 50,138.88: the MATH script
        (0.25, 151_936, 37_984),  # exactly: the OpenR1 script
        (0.29, 100, 29),  # int(100 · 0.29) would be 28
        (0.57, 100, 57),  # int(100 · 0.57) would be 56
        (0.0, 151_936, 0),
        (0.33, 1, 0),
    ],
)
def test_the_counts(clamp: float, vocabulary: int, removed: int) -> None:
    assert removed_count(clamp, vocabulary) == removed


def published_form(logits: numpy.ndarray, removed: int) -> numpy.ndarray:
    """logsumexp over the kept tokens minus the renormalised mean of their logits (the published formula), float64."""
    kept = numpy.sort(logits, axis=-1)[:, removed:]
    top = kept.max(-1, keepdims=True)
    weights = numpy.exp(kept - top)
    log_total = numpy.log(weights.sum(-1)) + top[:, 0]
    return log_total - (weights / weights.sum(-1, keepdims=True) * kept).sum(-1)


@pytest.mark.parametrize(("clamp", "vocabulary", "removed"), [(0.29, 100, 29), (0.33, 151_936, 50_138)])
def test_the_published_form_at_the_published_size(clamp: float, vocabulary: int, removed: int) -> None:
    logits = 4 * numpy.random.default_rng(0).standard_normal((3, vocabulary))
    found = clamped(torch.from_numpy(logits), clamp)
    assert found.tolist() == pytest.approx(published_form(logits, removed).tolist(), rel=1e-10)


def test_the_regularizer_uses_the_state() -> None:
    subject = aent(coefficient=0.002)
    subject.state.coefficient = 0.005
    found = subject.regularizer(token_batch([1.0, 1.0], [1.0, 1.0], clamped_entropy=[0.4, 2.0]))
    assert found is not None
    assert found[0].tolist() == pytest.approx([-0.002, -0.01], rel=1e-12)


def after(subject: Method, step: int, entropy: float) -> float:
    """The coefficient after a step that measured this clamped entropy."""
    subject.after_step(summary(step, clamped_entropy=entropy))
    return float(subject.state.coefficient)


def test_the_controller_of_the_math_script() -> None:
    # λ0 0.002, band [0.15, 0.24], β 0.002, box [0.0006, 0.009], warm-up 30, steps counted from 1
    subject = aent()
    assert after(subject, 1, 0.0) == 0.002
    assert after(subject, 29, 0.0) == 0.002  # the warm-up
    assert after(subject, 30, 0.05) == pytest.approx(0.0022, rel=1e-12)  # + 0.002·0.1
    assert after(subject, 31, 0.15) == pytest.approx(0.0022, rel=1e-12)  # inside the band, both ends included
    assert after(subject, 32, 0.24) == pytest.approx(0.0022, rel=1e-12)
    assert after(subject, 33, 0.34) == pytest.approx(0.002, rel=1e-12)  # - 0.002·0.1
    assert after(subject, 34, 5.24) == 0.0006  # 0.002 - 0.01 is below the box
    assert after(subject, 35, 0.05) == pytest.approx(0.0008, rel=1e-12)  # from the box, not from -0.008


def test_the_upper_side_of_the_box() -> None:
    subject = aent(entropy_low=6.0, entropy_high=7.0, warmup=0)
    assert after(subject, 1, 0.0) == 0.009  # 0.002 + 0.002·6 = 0.014


def test_the_pull_towards_the_start() -> None:
    # inside the band λ <- λ - β·pull·(λ - λ0) = 0.004 - 0.002·0.5·0.002
    subject = aent(pull=0.5, warmup=1)
    subject.state.coefficient = 0.004
    assert after(subject, 1, 0.2) == pytest.approx(0.003998, rel=1e-12)
    # below the band both act: 0.003998 - 0.002·(-0.1 + 0.5·0.001998)
    assert after(subject, 2, 0.05) == pytest.approx(0.004196002, rel=1e-12)


def test_steering_by_the_full_entropy() -> None:
    # the full entropy 0.05 is 0.1 below the band: + 0.002·0.1; what the clamped one says plays no part
    subject = aent(steer="full", warmup=1)
    subject.after_step(dataclasses.replace(summary(1, clamped_entropy=5.0), entropy=0.05))
    assert subject.state.coefficient == pytest.approx(0.0022, rel=1e-12)


def test_a_constant_coefficient() -> None:
    subject = aent(adaptive=False, coefficient=0.02)  # outside the box, which is the controller's alone
    assert after(subject, 99, 0.0) == 0.02


def test_the_state_survives_json_bit_for_bit() -> None:
    subject, restored = aent(warmup=0), aent(warmup=0)
    after(subject, 1, 0.1234567)
    restored.state = restored.State(**json.loads(json.dumps(dataclasses.asdict(subject.state))))
    assert restored.state.coefficient == subject.state.coefficient != 0.002
    assert after(restored, 2, 0.05) == after(subject, 2, 0.05)


def test_the_controller_sees_the_token_mean_over_updates_at_the_sampling_temperature() -> None:
    """Two updates at temperature 0.7 and coefficient 0, against whole logits of the unwrapped model."""
    from entrobench.training.answers import Sampler
    from entrobench.training.experience import Collector
    from entrobench.training.rows import summarise
    from entrobench.training.update import Measures, accumulate_gradients, minibatch_of

    subject = method("aent", coefficient=0.0, adaptive=False)
    model = exact_model()
    sampler = Sampler(tiny_tokenizer(), Replay(), even_words, TRAINER, "0", WHOLE.ranks)
    collector = Collector(model, sampler, subject, WHOLE)
    experience = collector.collect(fixed_prompts(), 1, 0.7, None)
    measures, values = Measures(), []
    for update in range(2):
        rows = torch.arange(update * MINIBATCH, (update + 1) * MINIBATCH)
        batch = minibatch_of(
            experience.batch,
            subject.advantages(experience.batch),
            rows,
            update,
            WHOLE.numbers(experience.sequences.rows(rows).lengths, experience.sequences.prompts[rows].tolist()),
        )
        values += independent_entropies(model, experience.sequences.rows(rows))
        keys = [experience.keys[row] for row in rows.tolist()]
        arguments = (batch, experience.sequences.rows(rows), keys, WHOLE, Tensor.backward)
        measures.include(accumulate_gradients(subject, model, *arguments))
        with torch.no_grad():  # the second update must be measured under its own weights
            for weight in model.parameters():
                weight -= 0.2 * weight.grad
        model.zero_grad()
    found = summarise(experience, measures, 2, TRAINER).stats["clamped_entropy"]
    assert len(values) == 51  # response tokens
    assert found == pytest.approx(sum(values) / len(values), rel=1e-12)
    assert measures.regularizer_loss == 0


def independent_entropies(model: Any, sequences: Any) -> list[float]:
    """Clamped entropy of each response token (p = 0.33 of 32: 10 removed) at temperature 0.7."""
    values = []
    for tokens, prompt, mask in zip(sequences.tokens, sequences.prompt_lengths, sequences.mask, strict=True):
        end = int(prompt) + int(mask.sum())
        with torch.no_grad():
            logits = model(input_ids=tokens[None, :end]).logits[0, int(prompt) - 1 : end - 1]
        values += published_form(logits.numpy() / 0.7, 10).tolist()
    return values
