"""The KL estimators by hand (d = log 2: 0.693, 0.240, 0.193), and over a whole distribution against the divergence."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from golden_records import ROUNDED, method, mini_batch, padded, slope, summary, token_batch
from torch import Tensor

from entrobench.api import Method, Progress, TokenBatch
from entrobench.catalogue.registry import load_method
from entrobench.config import LOSS_AGGREGATIONS, parse
from entrobench.errors import InputError
from entrobench.training.update import divisor_weights

LN2 = 0.6931471805599453


def batch_of(differences: list[float]) -> TokenBatch:
    """Tokens whose log-probability is above the reference's by these numbers."""
    batch = token_batch([1.0] * len(differences), [0.0] * len(differences))
    return replace(batch, logp_ref=batch.logp.detach() - torch.tensor([differences], dtype=torch.float64))


# estimator -> values and slopes at d = log 2, -log 2
ESTIMATES = {
    "k1": ([LN2, -LN2], [1.0, 1.0]),
    "k2": ([LN2**2 / 2, LN2**2 / 2], [LN2, -LN2]),
    "k3": ([0.5 - 1 + LN2, 2 - 1 - LN2], [0.5, -1.0]),
}


@pytest.mark.parametrize("estimator", ESTIMATES)
def test_the_estimators(estimator: str) -> None:
    batch = batch_of([LN2, -LN2])
    found = method("reference_kl", coefficient=0.3, estimator=estimator).regularizer(batch)
    values, slopes = ESTIMATES[estimator]
    assert found is not None
    assert found[0].tolist() == pytest.approx([0.3 * value for value in values], rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([0.3 * value for value in slopes], rel=1e-12)


def test_at_the_reference_there_is_no_penalty() -> None:
    found = method("reference_kl").regularizer(batch_of([0.0]))
    assert found is not None
    assert found.tolist() == [[0.0]]


def test_the_ceiling() -> None:
    # k3 at d = -5: e^5 - 1 - 5 = 142.4, cut to 10 without slope
    batch = batch_of([-5.0])
    cut, whole = (method("reference_kl", coefficient=1.0, ceiling=c).regularizer(batch) for c in (10.0, None))
    assert cut is not None
    assert whole is not None
    assert cut.tolist() == [[10.0]]
    assert slope(cut, batch.logp) == [0.0]
    assert whole[0].tolist() == pytest.approx([math.exp(5) - 6], rel=1e-12)


def distribution(logits: Tensor) -> tuple[Tensor, Tensor]:
    """log π of logits near (1/2, 1/4, 1/4), and the log-probabilities (1/4, 1/4, 1/2) of a reference."""
    return logits.log_softmax(-1), torch.tensor([[0.25, 0.25, 0.5]], dtype=torch.float64).log()


def expected(estimator: str, logits: Tensor, weighted: bool = False) -> Tensor:
    """Sum over all tokens of sg(π)·estimate: what samples give on average on policy, value and gradient."""
    logp, reference = distribution(logits)
    batch = replace(token_batch([1.0] * 3, [0.0] * 3), logp=logp, logp_old=logp.detach(), logp_ref=reference)
    subject = method("reference_kl", coefficient=1.0, estimator=estimator, ratio_weighted=weighted)
    found = subject.regularizer(batch)
    assert found is not None
    return (logp.detach().exp() * found).sum()


def logits() -> Tensor:
    return torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log().requires_grad_()


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_are_unbiased(estimator: str) -> None:
    # 1/2·log 2 + 1/4·log 1 + 1/4·log(1/2) = 1/4·log 2
    assert expected(estimator, logits()).item() == pytest.approx(LN2 / 4, rel=1e-12)


def test_k2_and_weighted_k3_have_the_gradient_of_the_divergence_and_k1_has_none() -> None:
    point = logits()
    logp, reference = distribution(point)
    exact = slope((logp.exp() * (logp - reference)).sum(), point)
    found = {estimator: slope(expected(estimator, point), point) for estimator in ESTIMATES}
    assert found["k2"] == pytest.approx(exact, abs=ROUNDED)
    assert found["k1"] == pytest.approx([0, 0, 0], abs=ROUNDED)
    assert slope(expected("k3", point, weighted=True), point) == pytest.approx(exact, abs=ROUNDED)
    # k3 as a loss pulls by π - π_ref, the gradient of the reverse divergence KL(π_ref || π)
    assert found["k3"] == pytest.approx([0.25, 0.0, -0.25], abs=ROUNDED)


def test_the_reset_is_a_setting() -> None:
    assert method("reference_kl").reference_reset_every == 0
    assert method("reference_kl", reference_reset_every=500).reference_reset_every == 500


# k3 of d = log 2 is 0.193 and of -log 2 0.307; answers of one and four tokens, the longest may have ten
SHORT, LONG = 0.5 - 1 + LN2, 2 - 1 - LN2
AGGREGATED = {
    "token-mean": (SHORT + 4 * LONG) / 5,
    "seq-mean-token-mean": (SHORT + LONG) / 2,
    "seq-mean-token-sum": (SHORT + 4 * LONG) / 2,
    "seq-mean-token-sum-norm": (SHORT + 4 * LONG) / 20,
}


@pytest.mark.parametrize("aggregation", LOSS_AGGREGATIONS)
def test_it_is_aggregated_like_the_policy_loss(aggregation: str) -> None:
    subject = method("reference_kl", {"loss_agg": aggregation}, coefficient=0.04)
    batch = mini_batch([[1.0], [1.0] * 4])
    penalty = 0.04 * padded([[SHORT], [LONG] * 4])
    policy, regularizer = divisor_weights(subject, batch, {})
    assert float((penalty * regularizer).sum()) == pytest.approx(0.04 * AGGREGATED[aggregation], rel=1e-12)
    assert torch.equal(policy, regularizer)


def renewals(subject: Method, rates: list[float]) -> list[int]:
    """The steps before which the reference is renewed, given each step's share of right answers."""
    found = []
    for step, rate in enumerate(rates, 1):
        if step > 1 and subject.renews_reference(Progress(step, len(rates))):
            found.append(step)
        subject.after_step(replace(summary(step), pass_rate=rate))
    return found


def test_a_fixed_period_keeps_the_optimizer() -> None:
    subject = method("reference_kl", reference_reset_every=2)
    assert renewals(subject, [0.5] * 6) == [3, 5]
    assert not subject.fresh_optimizer


def test_a_score_that_stagnates_or_falls_renews_the_reference() -> None:
    # best 0.3 in step 2, not beaten in 3 and 4: before step 5; then 0.2 is the new best, not beaten in 6 and 7
    subject = method("reference_kl", patience=2, fresh_optimizer=True)
    assert renewals(subject, [0.2, 0.3, 0.3, 0.1, 0.2, 0.2, 0.1, 0.3, 0.4]) == [5, 8]
    assert subject.fresh_optimizer
    assert renewals(method("reference_kl", patience=2), [0.1, 0.2, 0.3, 0.4, 0.5]) == []


def test_both_rules_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="patience and reference_reset_every exclude each other"):
        parse(load_method("reference_kl").Config, {"patience": 2, "reference_reset_every": 2}, "here")
