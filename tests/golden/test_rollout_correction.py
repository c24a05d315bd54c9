"""Truncated importance sampling by hand, against TRL's, and whatever the micro-batches are."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import test_trl_parity
import torch
import trl_oracle as oracle
from golden_records import method, mini_batch, padded
from torch import Tensor

from entrobench.config import TrainerConfig, stored
from entrobench.conformance.rehearsal import MINIBATCH, TRAINER, WHOLE, rehearse, tiny_model
from entrobench.objective import rollout_weights
from entrobench.training.forward import Sequences
from entrobench.training.micro_batches import ForwardLimits
from entrobench.training.update import divisor_weights

pytestmark = test_trl_parity.pytestmark
sequences, advantages = test_trl_parity.sequences, test_trl_parity.advantages  # fixtures, as is the next
logp_old = test_trl_parity.logp_old

# the trainer says -1 everywhere; what the engine said makes the ratios 1/2, 3/2, 4 and 1
RATIOS = [[0.5, 1.5, 4.0], [1.0]]
BATCH = mini_batch([[1.0, 1.0, 1.0], [-2.0]], logp_rollout=padded([[-1 - math.log(r) for r in row] for row in RATIOS]))


def test_the_weights_by_hand() -> None:
    # at most 2: 4 becomes 2; padding weighs 1, so that nothing there can become infinite
    assert rollout_weights(BATCH, TrainerConfig(rollout_correction=2.0)).tolist() == [
        pytest.approx([0.5, 1.5, 2.0]),
        pytest.approx([1.0, 1.0, 1.0]),
    ]
    assert rollout_weights(BATCH, TrainerConfig(rollout_correction=5.0))[0].tolist() == pytest.approx(
        [0.5, 1.5, 4.0], rel=1e-12
    )


def test_the_divisor_stays_and_the_regularizer_too() -> None:
    # token-mean over 4 tokens: weight/4 each; the weights' own sum, 5, divides nothing
    policy, regularizer = divisor_weights(method("grpo", {"rollout_correction": 2.0}), BATCH, {})
    assert policy.flatten().tolist() == pytest.approx([0.125, 0.375, 0.5, 0.25, 0, 0], rel=1e-12)
    assert regularizer.flatten().tolist() == pytest.approx([0.25, 0.25, 0.25, 0.25, 0, 0], rel=1e-12)


def test_off_it_is_neither_stored_nor_applied() -> None:
    assert "rollout_correction" not in stored(TrainerConfig())
    assert stored(TrainerConfig(rollout_correction=2.0))["rollout_correction"] == 2.0
    policy, regularizer = divisor_weights(method("grpo"), BATCH, {})
    assert torch.equal(policy, regularizer)


@pytest.mark.parametrize(("name", "cap"), [("grpo", 1.5), ("grpo", 3.0), ("vespo", 1.5)])
def test_a_corrected_update_equals_trl(
    name: str, cap: float, sequences: Sequences, advantages: Tensor, logp_old: Tensor, tmp_path: Path
) -> None:
    noise = torch.rand(logp_old.shape, generator=torch.Generator().manual_seed(3))
    logp_rollout = logp_old - 1.5 * (2 * noise - 1) * sequences.mask
    trainer = oracle.trl_trainer(tmp_path, **({"loss_type": "vespo"} if name == "vespo" else {}))
    trainer.use_vllm = trainer.vllm_importance_sampling_correction = True  # after __init__, which wants vLLM installed
    inputs = oracle.trl_inputs(sequences, advantages, logp_old)
    inputs["importance_sampling_ratio"] = (logp_old - logp_rollout).exp().clamp(max=cap)  # its mode token_truncate
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    theirs = loss.item(), oracle.flat_gradient(trainer.model)
    corrected = oracle.made(name, {}, rollout_correction=cap)
    ours = oracle.method_loss(corrected, sequences, advantages, logp_old, tiny_model(), logp_rollout=logp_rollout)
    of_loss, of_gradient = oracle.differences(ours, theirs)
    assert of_loss <= oracle.LOSS
    assert of_gradient <= oracle.GRADIENT
    plain = oracle.our_loss(sequences, advantages, logp_old, name, {})
    assert abs(plain[0] - theirs[0]) > 0.05 * abs(theirs[0]), "the correction must matter"


@pytest.mark.parametrize("size", [1, 3])
def test_micro_batches_do_not_change_a_corrected_update(size: int) -> None:
    corrected = method("grpo", {**dataclasses.asdict(TRAINER), "rollout_correction": 2.0})
    whole = rehearse(corrected, WHOLE)
    assert rehearse(corrected, ForwardLimits(size, 4096), leader=whole).difference(whole) <= whole.rounding
    plain = rehearse(method("grpo", dataclasses.asdict(TRAINER)), WHOLE)
    assert plain.difference(whole) > 1e-3
    assert MINIBATCH == 6
