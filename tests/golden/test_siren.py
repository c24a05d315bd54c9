"""SIREN by hand and against its published code's formula in float64: nucleus, selection, anchor and square."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch
from golden_records import ROUNDED, method, mini_batch, no_draws, padded, slope, step_batch, token_batch
from torch import Tensor

LN2, LN3 = math.log(2), math.log(3)


def nucleus_entropy(logits: Tensor, **values: Any) -> Tensor:
    return method("siren", **values).token_stats()["nucleus_entropy"](logits)


def test_the_crossing_token_is_left_out() -> None:
    # 0.5 + 0.25 < 0.8 < 0.5 + 0.25 + 0.15: kept (0.5, 0.25) -> (2/3, 1/3); dH/dz = -q·(log q + H)
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]], dtype=torch.float64).log().requires_grad_()
    value = nucleus_entropy(logits)
    assert value.item() == pytest.approx(LN3 - 2 / 3 * LN2, rel=1e-12)
    assert slope(value, logits) == pytest.approx([-2 / 9 * LN2, 2 / 9 * LN2, 0, 0], abs=ROUNDED)


def test_a_token_that_fills_the_nucleus_alone_leaves_nothing() -> None:
    logits = torch.tensor([[0.9, 0.06, 0.04]], dtype=torch.float64).log().requires_grad_()
    value = nucleus_entropy(logits)
    assert value.item() == 0
    assert slope(value, logits) == [0, 0, 0]


def published_form(logits: numpy.ndarray, nucleus: float) -> list[float]:
    """Softmax, sort, cumulate, cut before the mass is reached, renormalise with 1e-12: the published steps."""
    values = []
    for row in logits:
        masses = numpy.sort(numpy.exp(row) / numpy.exp(row).sum())[::-1]
        kept = masses[: numpy.searchsorted(numpy.cumsum(masses), nucleus)]
        kept = kept / (kept.sum() + 1e-12)
        values.append(float(-(kept * numpy.log(kept + 1e-12)).sum()))
    return values


def test_the_published_form() -> None:
    logits = 2 * numpy.random.default_rng(0).standard_normal((50, 40))
    found = nucleus_entropy(torch.from_numpy(logits)).tolist()
    assert found == pytest.approx(published_form(logits, 0.8), abs=1e-9)  # its 1e-12 moves the value by some 1e-11


# responses of 6, 1 and 2 tokens; the 0.8 quantiles lie at places 4, 0 and 0.8: 5, 7 and 2.6. Strictly above: 6, none, 3
ENTROPIES = [[1.0, 2.0, 6.0, 3.0, 4.0, 5.0], [7.0], [1.0, 3.0]]
MEAN = (6 + 0 + 3) / 3  # over all responses, as in the authors' code; the one without a selected token counts 0


def test_the_anchor_is_the_first_steps_value() -> None:
    subject = method("siren")
    step = replace(step_batch([1, 0, 0], [0, 0, 0], [6, 1, 2]), stats_old={"nucleus_entropy": padded(ENTROPIES)})
    subject.before_updates(step)
    assert subject.state.anchor == pytest.approx(MEAN, rel=1e-12)
    subject.before_updates(replace(step, step=2, stats_old={"nucleus_entropy": 2 * padded(ENTROPIES)}))
    assert subject.state.anchor == pytest.approx(MEAN, rel=1e-12)
    assert method("siren", anchor=0.3).state.anchor == 0.3


def test_the_regularizer_is_the_square_and_has_its_slope() -> None:
    # token mean over 9 tokens = 0.005·(3 - 2)²; slope 2·0.005·1 times 1/3 for each of the two selected tokens
    subject = method("siren", anchor=2.0)
    batch = mini_batch([[1.0] * 6, [1.0], [1.0] * 2], fresh={"nucleus_entropy": padded(ENTROPIES)})
    extras = subject.select(batch, no_draws)
    current = padded(ENTROPIES).requires_grad_()
    tokens = replace(token_batch([1.0], [1.0]), stats={"nucleus_entropy": current}, extras=extras, mask=batch.mask)
    found = subject.regularizer(tokens)
    assert found is not None
    mean = (found * batch.mask).sum() / 9
    assert mean.item() == pytest.approx(0.005, rel=1e-12)
    (gradient,) = torch.autograd.grad(mean, current)
    expected = padded([[0, 0, 0.01 / 3, 0, 0, 0], [0], [0, 0.01 / 3]])
    assert gradient.flatten().tolist() == pytest.approx(expected.flatten().tolist(), abs=ROUNDED)


def test_responses_that_select_nothing_stay_in_the_mean() -> None:
    # 384 answers, of which 323 of one token select nothing: 61 times (1 + 9)/2, the tokens above the quantile, over 384
    short, long = [[1.0]] * 323, [[0.0] * 8 + [1.0, 9.0]] * 61
    step = step_batch([1.0] * 384, [0] * 384, [1] * 323 + [10] * 61)
    subject = method("siren")
    subject.before_updates(replace(step, stats_old={"nucleus_entropy": padded([*short, *long])}))
    assert subject.state.anchor == pytest.approx(61 * 5 / 384, rel=1e-12)
