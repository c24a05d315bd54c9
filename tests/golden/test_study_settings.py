"""Settings of the study that published recipes need, by hand: advantages, mismatch, KL in the reward, truncation."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, slope, step_batch, token_batch

from entrobench.config import TrainerConfig, parse, stored
from entrobench.errors import InputError
from entrobench.objective import group_advantages, off_policy_kept, rollout_weights
from entrobench.training.update import divisor_weights

# two groups of four: one right answer of four (mean 1/4, deviation 1/2), all right (no variance)
REWARDS = torch.tensor([1.0, 0, 0, 0, 1, 1, 1, 1], dtype=torch.float64)
GROUPS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
WHOLE_STEP = math.sqrt(15 / 56)  # five right of eight: variance 8/7·(5/8·3/8)


@pytest.mark.parametrize(
    ("values", "first", "others"),
    [
        ({}, 0.75 / (0.5 + 1e-6), -0.25 / (0.5 + 1e-6)),
        ({"advantage_scale": "none"}, 0.75, -0.25),
        ({"advantage_scale": "batch"}, 0.75 / (WHOLE_STEP + 1e-6), -0.25 / (WHOLE_STEP + 1e-6)),
        # baseline of the right one: 0 of three; of the others: 1 of three
        ({"advantage_scale": "none", "advantage_baseline": "leave_one_out"}, 1.0, -1 / 3),
        ({"advantage_baseline": "leave_one_out"}, 1.0 / (0.5 + 1e-6), -1 / 3 / (0.5 + 1e-6)),
    ],
)
def test_scale_and_baseline_of_advantages(values: dict[str, str], first: float, others: float) -> None:
    step = step_batch(REWARDS.tolist(), GROUPS.tolist(), [2, 1, 1, 1, 1, 1, 1, 1])
    found = method("grpo", values).advantages(step)
    assert found[:4, 0].tolist() == pytest.approx([first, others, others, others], rel=1e-12)
    assert found[0].tolist() == pytest.approx([first, first], rel=1e-12)
    assert not found[4:].any()


def test_an_answer_alone_in_its_group_has_no_advantage() -> None:
    alone = torch.tensor([1.0], dtype=torch.float64), torch.tensor([3])
    for scale in ("group", "batch", "none"):
        for baseline in ("mean", "leave_one_out"):
            assert group_advantages(*alone, scale, baseline).tolist() == [0.0]
    assert method("qae").advantages(step_batch([1.0], [0], [2])).tolist() == [[0.0, 0.0]]


# trainer over engine: 1/2, 3/2, 4 in a sequence of product 3 and geometric mean 3^(1/3) = 1.44; and 0.9 alone
RATIOS = [[0.5, 1.5, 4.0], [0.9]]
BATCH = mini_batch([[1.0, 1.0, 1.0], [-2.0]], logp_rollout=padded([[-1 - math.log(r) for r in row] for row in RATIOS]))


@pytest.mark.parametrize(
    ("values", "first", "second"),
    [
        ({"rollout_correction": 2.0, "rollout_floor": 0.8}, [0.8, 1.5, 2.0], 0.9),
        (
            {"rollout_correction": 5.0, "rollout_floor": 0.6, "rollout_mode": "token_mask"},
            [0.0, 1.5, 4.0],
            0.9,
        ),  # IcePop
        ({"rollout_correction": 2.5, "rollout_mode": "sequence_truncate"}, [2.5] * 3, 0.9),
        ({"rollout_correction": 3.5, "rollout_mode": "sequence_truncate"}, [3.0] * 3, 0.9),
        ({"rollout_correction": 2.5, "rollout_mode": "sequence_mask"}, [0.0] * 3, 0.9),
        ({"rollout_correction": 3.5, "rollout_mode": "sequence_mask"}, [3.0] * 3, 0.9),
        ({"rollout_correction": 1.4, "rollout_mode": "geometric_mask"}, [0.0] * 3, 0.9),
        ({"rollout_correction": 1.5, "rollout_floor": 0.95, "rollout_mode": "geometric_mask"}, [0.5, 1.5, 4.0], 0.0),
    ],
)
def test_what_becomes_of_a_mismatch(values: dict[str, Any], first: list[float], second: float) -> None:
    found = rollout_weights(BATCH, parse(TrainerConfig, values, "here"))
    assert found[0].tolist() == pytest.approx(first, rel=1e-12)
    assert float(found[1, 0]) == pytest.approx(second, rel=1e-12)
    policy, regularizer = divisor_weights(method("grpo", values), BATCH, {})
    assert policy[BATCH.mask].tolist() == pytest.approx([w / 4 for w in (*first, second)], rel=1e-12)
    assert regularizer[BATCH.mask].tolist() == pytest.approx([0.25] * 4, rel=1e-12)


@pytest.mark.parametrize("values", [{"rollout_mode": "token_mask"}, {"rollout_floor": 0.5}])
def test_a_mode_without_a_largest_weight_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="need rollout_correction, the largest weight"):
        parse(TrainerConfig, values, "here")


def test_a_method_that_owns_the_ratio_weighs_inside_it() -> None:
    # VESPO: w = 3·0.5·1.5·2 with π/π_old = (3, 1, 1) and weights cut to 2: φ(4.5) = 4.5²·e^(3·(1 - 4.5))
    values = {"rollout_correction": 2.0}
    subject = method("vespo", values)
    policy, regularizer = divisor_weights(subject, BATCH, {})
    assert torch.equal(policy, regularizer), "or they would count twice"
    extras = subject.select(BATCH, no_draws)
    tokens = replace(token_batch([3.0, 1.0, 1.0], [1.0] * 3), extras={k: v[:1] for k, v in extras.items()})
    expected = -(4.5**2) * math.exp(3 * (1 - 4.5))
    assert slope(subject.token_loss(tokens), tokens.logp) == pytest.approx([expected] * 3, rel=1e-12)
    assert method("vespo").select(BATCH, no_draws) == {}
    for against, owns in (("rollout", True), ("recompute", True), ("old", False)):
        assert method("dppo", against=against).owns_mismatch is owns


def test_sequences_of_negative_advantage_that_drifted_lose_their_loss() -> None:
    # mean of log π_sampled - log π: log(1/0.5)/2 = 0.3466 nats for ratios (0.5, 1)
    sampled = torch.full((1, 2), -2.0, dtype=torch.float64)
    for ratios, advantage, threshold, kept in (
        ([0.5, 1.0], -1.0, 0.34, False),
        ([0.5, 1.0], -1.0, 0.35, True),
        ([0.5, 1.0], 1.0, 0.34, True),
        ([2.0, 1.0], -1.0, 0.34, True),
    ):
        assert off_policy_kept(token_batch(ratios, [advantage] * 2), sampled, threshold).tolist() == [[kept]]


@pytest.mark.parametrize(("estimator", "value"), [("k1+", math.log(2)), ("k3+", 0.5 - 1 + math.log(2))])
def test_straight_through_estimates_have_k2s_gradient(estimator: str, value: float) -> None:
    batch = token_batch([1.0], [0.0])
    batch = replace(batch, logp_ref=batch.logp.detach() - math.log(2))
    found = method("reference_kl", coefficient=1.0, estimator=estimator).regularizer(batch)
    assert found is not None
    assert found.item() == pytest.approx(value, rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx([math.log(2)], rel=1e-12)


# ratio, advantage -> slope with weights up to 5 and masks of 0.2 on both sides
MASKED = [(1.1, 1.0, -1.1), (1.3, 1.0, 0.0), (1.3, -1.0, 1.3), (0.7, -1.0, 0.0), (0.7, 1.0, -0.7)]


def test_cispos_token_mask() -> None:
    ratios, advantages, slopes = (list(column) for column in zip(*MASKED, strict=True))
    tokens = token_batch(ratios, advantages)
    found = method("cispo", mask_low=0.2, mask_high=0.2).token_loss(tokens)
    assert slope(found, tokens.logp) == pytest.approx(slopes, rel=1e-12)


def test_an_entropy_bonus_on_the_most_uncertain_tokens_alone() -> None:
    # the highest two of five: the 0.6 quantile of (1, ..., 5) lies at 3.4
    subject = method("entropy_bonus", coefficient=0.1, fraction=0.4)
    extras = dict(subject.select(mini_batch([[1.0] * 5], fresh={"entropy": padded([[3.0, 5, 1, 4, 2]])}), no_draws))
    assert extras["selected"].tolist() == [[0, 1, 0, 1, 0]]
    tokens = replace(token_batch([1.0] * 5, [1.0] * 5, entropy=[3.0, 5, 1, 4, 2]), extras=extras)
    found = subject.regularizer(tokens)
    assert found is not None
    assert slope(found, tokens.stats["entropy"]) == pytest.approx([0, -0.1, 0, -0.1, 0], rel=1e-12)
    assert method("entropy_bonus").fresh == ()


def test_none_of_them_is_stored_while_it_is_off() -> None:
    added = (
        "epochs",
        "mask_truncated",
        "advantage_scale",
        "advantage_baseline",
        "rollout_floor",
        "rollout_mode",
        "off_policy_mask",
        "kl_reward",
        "kl_reward_estimator",
    )
    assert not set(added) & set(stored(TrainerConfig()))
    assert {"mask_low", "mask_high"}.isdisjoint(stored(method("cispo").config))
    assert "fraction" not in stored(method("entropy_bonus").config)
