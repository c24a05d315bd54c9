"""WAPO by hand: whose answers count, what the loss is divided by, and its one clip."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, slope, step_batch, token_batch

from entrobench.objective import token_weights


def test_only_answers_above_the_mean_have_an_advantage() -> None:
    found = method("wapo").advantages(step_batch([1, 0, 0, 0], [0, 0, 1, 1], [2, 2, 1, 2]))
    assert found.tolist() == [[0.5, 0.5], [0, 0], [0, 0], [0, 0]]


def test_the_loss_is_averaged_over_the_groups_with_a_winner() -> None:
    # group 0 wins with three tokens of A = 0.5, group 1 has no winner: 3·0.5 / (2 answers · 10 tokens) / 1 group
    subject = method("wapo")
    batch = mini_batch([[0.5] * 3, [0.0], [0.0], [0.0]], group=torch.tensor([0, 0, 1, 1]))
    scale = subject.select(batch, no_draws)["scale"]
    assert subject.loss_agg is not None
    weights = token_weights(batch.mask, subject.loss_agg, 10)
    assert float((-scale * batch.advantages * weights).sum()) == pytest.approx(-1.5 / 20, rel=1e-12)
    without = mini_batch([[0.0], [0.0]], group=torch.tensor([0, 0]))
    assert subject.select(without, no_draws)["scale"].isfinite().all()


def test_the_ratio_is_cut_far_above_one_and_never_below() -> None:
    tokens = replace(token_batch([1.0, 0.1, 9.0, 12.0], [0.5] * 4), extras={"scale": padded([[2.0] * 4])})
    found = method("wapo").token_loss(tokens)
    assert found[0].tolist() == pytest.approx([-1.0, -0.1, -9.0, -10.0], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([-1.0, -0.1, -9.0, 0.0], rel=1e-12)
