"""GSPO by hand: ratios (4, 1) share the geometric mean 2, and each token has the slope -s·A or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden_records import method, slope, token_batch
from torch import Tensor

from entrobench.api import Method, TokenBatch
from entrobench.catalogue.variants import load_variant
from entrobench.objective import token_weights

# two ratios, advantage -> loss and slope of each token, with clip 0.2 / 0.28
SEQUENCES = [
    ((4.0, 1.0), 1.0, -1.28, 0.0),  # s = 2, clipped above
    ((4.0, 1.0), -1.0, 2.0, 2.0),  # never clipped above for A < 0
    ((1.21, 1.0), 1.0, -1.1, -1.1),
    ((0.25, 1.0), -1.0, 0.8, 0.0),  # s = 1/2, clipped below
    ((0.25, 1.0), 2.0, -1.0, -1.0),
    ((8.0, 0.125), 1.0, -1.0, -1.0),  # far from 1 as tokens, 1 as a sequence
]


def gspo(**values: float | str) -> Method:
    return method("gspo", **{"clip_low": 0.2, "clip_high": 0.28, **values})


@pytest.mark.parametrize(("ratios", "advantage", "loss", "gradient"), SEQUENCES)
def test_all_tokens_share_the_sequences_ratio(
    ratios: tuple[float, float], advantage: float, loss: float, gradient: float
) -> None:
    batch = token_batch(list(ratios), [advantage] * 2)
    found = gspo().token_loss(batch)
    assert found[0].tolist() == pytest.approx([loss] * 2, rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([gradient] * 2, rel=1e-12)


def test_the_published_clip_is_a_thousand_times_tighter() -> None:
    # s = 1.0003 and 1.0005: inside and outside 1 + 4e-4
    inside, outside = (token_batch([s, s], [1.0, 1.0]) for s in (1.0003, 1.0005))
    assert slope(method("gspo").token_loss(inside), inside.logp) == pytest.approx([-1.0003] * 2, rel=1e-12)
    assert slope(method("gspo").token_loss(outside), outside.logp) == [0.0, 0.0]


def test_padding_does_not_count() -> None:
    # the third token would move s from 2 to 2·10^(1/3)
    batch = token_batch([4.0, 1.0, 10.0], [-1.0] * 3)
    batch = replace(batch, mask=torch.tensor([[True, True, False]]))
    assert gspo().token_loss(batch)[0, :2].tolist() == pytest.approx([2.0, 2.0], rel=1e-12)


def two_sequences() -> TokenBatch:
    """Lengths 3 and 2, ratios on both sides of 1."""
    ratios = torch.tensor([[1.3, 0.9, 1.1], [0.7, 0.95, 5.0]], dtype=torch.float64)
    advantages = torch.tensor([[0.6], [-1.4]], dtype=torch.float64).expand(2, 3)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    flat = token_batch([1.0], [1.0])
    old = torch.full_like(ratios, -2.0)
    return replace(flat, logp=(ratios.log() - 2).requires_grad_(), logp_old=old, advantages=advantages, mask=mask)


def published(batch: TokenBatch, power: int) -> Tensor:
    """The mean over sequences of -min(s·A, clip(s)·A)·|y|^power (GSPO: 0, LUSPO: 1), written without tokens."""
    lengths = batch.mask.sum(1)
    s = (((batch.logp - batch.logp_old) * batch.mask).sum(1) / lengths).exp()
    advantage = batch.advantages[:, 0]
    return -(torch.minimum(s * advantage, s.clamp(0.8, 1.28) * advantage) * lengths**power).mean()


@pytest.mark.parametrize(("aggregation", "power"), [("seq-mean-token-mean", 0), ("seq-mean-token-sum", 1)])
def test_aggregated_it_has_the_published_loss_and_gradient(aggregation: str, power: int) -> None:
    batch, again = two_sequences(), two_sequences()
    subject = gspo(loss_agg=aggregation)
    weights = token_weights(batch.mask, str(subject.loss_agg), 10)
    ours, theirs = (subject.token_loss(batch) * weights).sum(), published(again, power)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    assert slope(ours, batch.logp) == pytest.approx(slope(theirs, again.logp), rel=1e-12)


def test_on_policy_the_slope_is_grpos() -> None:
    batch = token_batch([1.0, 1.0], [0.7, 0.7])
    assert slope(method("gspo").token_loss(batch), batch.logp) == [-0.7, -0.7]


def test_float32_keeps_a_sequence_whole_at_the_published_bounds() -> None:
    """2,000 sequences of 64 tokens near 1 + 4e-4: no token of one is clipped where another is not."""
    generator = torch.Generator().manual_seed(0)
    old = -20 * torch.rand(2000, 64, generator=generator)
    near = 4e-4 + 1e-6 * torch.randn(2000, 1, generator=generator)  # log s
    noise = torch.randn(2000, 64, generator=generator)
    logp = (old + near + 0.1 * (noise - noise.mean(1, keepdim=True))).requires_grad_()
    batch = replace(token_batch([1.0], [1.0]), logp=logp, logp_old=old, advantages=torch.ones_like(old))
    batch = replace(batch, mask=torch.ones_like(old, dtype=torch.bool))
    (slopes,) = torch.autograd.grad(method("gspo").token_loss(batch).sum(), logp)
    clipped = (slopes == 0).sum(1)
    assert set(clipped.tolist()) == {0, 64}


def test_luspos_clip_is_the_papers() -> None:
    path = Path(__file__).parents[2] / "config" / "methods" / "luspo.yaml"
    values = load_variant("luspo", path).values
    assert (values["clip_low"], values["clip_high"], values["loss_agg"]) == (0.002, 0.0025, "seq-mean-token-sum")
