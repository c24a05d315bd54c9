"""Losses built on other ratios, gates and penalties against TRL's on fixed tensors; how TRL is called: test_trl_parity.

TRL divides CISPO's and VESPO's loss by all tokens, GSPO's and SAPO's per sequence, as the methods do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_trl_parity as oracle
import torch
from torch import Tensor

from entrobench.training.forward import Sequences

pytestmark = oracle.pytestmark
sequences, advantages, logp_old = oracle.sequences, oracle.advantages, oracle.logp_old  # fixtures

LOSS = 1e-5  # relative; terms of both signs cancel, up to a factor of ten more than in test_trl_parity
SEQUENCE = {"importance_sampling_level": "sequence", "epsilon_high": 0.28}
CASES = {
    "cispo": ("cispo", {"clip_high": 1.5}, {"loss_type": "cispo", "epsilon_high": 2.5}),
    "gspo": ("gspo", {"clip_low": 0.2, "clip_high": 0.28}, {"loss_type": "grpo", **SEQUENCE}),
    "luspo": (
        "gspo",
        {"clip_low": 0.2, "clip_high": 0.28, "loss_agg": "seq-mean-token-sum"},
        {"loss_type": "luspo", **SEQUENCE},
    ),
    "sapo": ("sapo", {}, {"loss_type": "sapo"}),
    "sapo, other gates": (
        "sapo",
        {"gate_positive": 2.0, "gate_negative": 0.5},
        {"loss_type": "sapo", "sapo_temperature_pos": 2.0, "sapo_temperature_neg": 0.5},
    ),
    "vespo": ("vespo", {}, {"loss_type": "vespo"}),
}


@pytest.fixture(scope="module")
def ours(sequences: Sequences, advantages: Tensor, logp_old: Tensor) -> dict[str, tuple[float, Tensor]]:
    """Loss and gradient of each case, and of GRPO, which none of them may equal."""
    cases = {**CASES, "grpo": ("grpo", {}, {})}
    return {case: oracle.our_loss(sequences, advantages, logp_old, *cases[case][:2]) for case in cases}


@pytest.mark.parametrize("case", CASES)
def test_a_method_equals_trl(
    case: str, ours: dict[str, Any], sequences: Sequences, advantages: Tensor, logp_old: Tensor, tmp_path: Path
) -> None:
    theirs = oracle.trl_loss(sequences, advantages, logp_old, tmp_path, **CASES[case][2])
    loss, gradient = oracle.differences(ours[case], theirs)
    assert loss <= LOSS
    assert gradient <= oracle.GRADIENT


def test_the_cases_differ(ours: dict[str, Any], sequences: Sequences, advantages: Tensor, logp_old: Tensor) -> None:
    # otherwise agreement with TRL would say nothing about what makes each of them a method
    gradients = [gradient for _, gradient in ours.values()]
    pairs = [(a, b) for index, a in enumerate(gradients) for b in gradients[:index]]
    assert min(float((a - b).norm() / a.norm()) for a, b in pairs) > 0.01


def test_sequences_are_clipped_on_both_sides_and_not_at_a_kink(
    sequences: Sequences, advantages: Tensor, logp_old: Tensor
) -> None:
    mask = sequences.mask
    logp, _ = oracle.frozen_forward(oracle.tiny_model(), sequences, {}, 1.0, oracle.ForwardLimits(oracle.COUNT, 4096))
    ratio = (((logp - logp_old) * mask).sum(1) / mask.sum(1)).exp()
    assert all(float((ratio - kink).abs().min()) > 1e-4 for kink in (0.8, 1.28))
    assert bool(((ratio > 1.28) & (advantages > 0)).any())
    assert bool(((ratio < 0.8) & (advantages < 0)).any())
    assert bool(((ratio > 0.8) & (ratio < 1.28)).any())


@pytest.mark.parametrize(
    ("weighted", "aggregation", "loss_type"),
    [
        (False, "token-mean", "bnpo"),
        (True, "token-mean", "bnpo"),
        (False, "seq-mean-token-mean", "grpo"),
        (False, "seq-mean-token-sum-norm", "dr_grpo"),
    ],
)
def test_the_reference_penalty_equals_trls(
    weighted: bool,
    aggregation: str,
    loss_type: str,
    sequences: Sequences,
    advantages: Tensor,
    logp_old: Tensor,
    tmp_path: Path,
) -> None:
    # TRL's beta·k3, and r·beta·k3
    noise = torch.rand(logp_old.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    logp_ref = (logp_old + noise) * sequences.mask
    trainer = oracle.trl_trainer(tmp_path, use_bias_correction_kl=weighted, loss_type=loss_type)
    trainer.beta = 0.7  # only now: made with it, the trainer would load a reference model from a hub
    inputs = oracle.trl_inputs(sequences, advantages, logp_old)
    theirs = trainer._compute_loss(trainer.model, {**inputs, "ref_per_token_logps": logp_ref})
    theirs.backward()
    subject = oracle.made("reference_kl", {"coefficient": 0.7, "ratio_weighted": weighted}, loss_agg=aggregation)
    found = oracle.method_loss(subject, sequences, advantages, logp_old, oracle.tiny_model(), logp_ref)
    without = oracle.our_loss(sequences, advantages, logp_old, "grpo", {})
    expected = (theirs.item(), oracle.flat_gradient(trainer.model))
    loss, gradient = oracle.differences(found, expected)
    assert loss <= LOSS
    assert gradient <= oracle.GRADIENT
    assert oracle.differences(without, expected)[1] > 0.01
