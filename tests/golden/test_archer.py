"""Archer by hand: in a response of six tokens the 0.8-quantile is the fifth entropy, so that one token is above it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, slope, token_batch

from entrobench.api import MiniBatch, TokenBatch
from entrobench.catalogue.registry import load_method
from entrobench.config import parse
from entrobench.errors import InputError

ENTROPY = [[0.3, 0.9, 0.1, 0.5, 0.7, 0.2], [2.0, 1.0, 3.0]]


def batch() -> MiniBatch:
    return mini_batch([[0.0] * len(row) for row in ENTROPY], fresh={"entropy": padded(ENTROPY)})


def test_the_quantile_is_that_of_each_response() -> None:
    # place 0.8·5 = 4: exactly 0.7, not above itself; place 0.8·2 = 1.6 between 2 and 3: 2.6, so 3.0 is above
    found = method("archer").select(batch(), no_draws)["high_entropy"]
    assert found.tolist() == [[0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]


def test_the_quantile_interpolates() -> None:
    # place 0.5·5 = 2.5 between 0.3 and 0.5: 0.4
    found = method("archer", quantile=0.5).select(batch(), no_draws)["high_entropy"]
    assert found[0].tolist() == [0, 1, 0, 1, 1, 0]


def test_each_kind_of_token_has_a_mean_of_its_own() -> None:
    # nine tokens, two of high entropy: 9/7 and 9/2 turn the mean over nine into means over seven and over two
    found = method("archer", high_entropy_kl=0.01).select(batch(), no_draws)["kl_weight"]
    low, high = 0.001 * 9 / 7, 0.01 * 9 / 2
    assert found[0].tolist() == pytest.approx([low, high, low, low, low, low], rel=1e-12)
    assert found[1].tolist() == pytest.approx([low, low, high, 0, 0, 0], rel=1e-12)


def test_a_minibatch_without_tokens_of_high_entropy() -> None:
    found = method("archer", quantile=1.0).select(batch(), no_draws)
    assert not found["high_entropy"].any()
    assert found["kl_weight"][batch().mask].tolist() == pytest.approx([0.001] * 9, rel=1e-12)


def marked(ratios: list[float], advantages: list[float], high: list[float]) -> TokenBatch:
    tokens = token_batch(ratios, advantages)
    extras = {"high_entropy": torch.tensor([high]).double(), "kl_weight": torch.tensor([[2.0, 0.5]]).double()}
    return replace(tokens, extras=extras)


# ratio, advantage, of high entropy -> loss and slope with the clips 0.2 and 0.5
SURROGATE = [
    (1.3, 1.0, 0.0, -1.2, 0.0),
    (1.3, 1.0, 1.0, -1.3, -1.3),
    (1.6, 1.0, 1.0, -1.5, 0.0),
    (0.6, -1.0, 0.0, 0.8, 0.0),
    (0.6, -1.0, 1.0, 0.6, 0.6),
    (0.4, -1.0, 1.0, 0.5, 0.0),
]


def test_the_two_clips() -> None:
    ratios, advantages, high, losses, slopes = (list(column) for column in zip(*SURROGATE, strict=True))
    tokens = marked(ratios, advantages, high)
    found = method("archer").token_loss(tokens)
    assert found[0].tolist() == pytest.approx(losses, rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx(slopes, rel=1e-12)


def test_the_penalty_is_the_weight_times_k3() -> None:
    # d = log 2: 1/2 - 1 + log 2, slope 1/2; d = -log 2: 2 - 1 - log 2, slope -1
    tokens = marked([1.0, 1.0], [1.0, 1.0], [0.0, 0.0])
    reference = tokens.logp.detach() - torch.tensor([[math.log(2), -math.log(2)]], dtype=torch.float64)
    tokens = replace(tokens, logp_ref=reference)
    found = method("archer").regularizer(tokens)
    assert found is not None
    assert found[0].tolist() == pytest.approx([2 * (math.log(2) - 0.5), 0.5 * (1 - math.log(2))], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([1.0, -0.5], rel=1e-12)


def test_a_looser_clip_below_the_quantile_is_refused() -> None:
    with pytest.raises(InputError, match=r"high_entropy_clip .* is below low_entropy_clip"):
        parse(load_method("archer").Config, {"high_entropy_clip": 0.1}, "here")
