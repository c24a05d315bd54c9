"""Losses and gradients against TRL's own GRPO loss on fixed tensors, one micro-batch, temperature 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden_records import summary
from torch import Tensor
from trl_oracle import (
    COUNT,
    GRADIENT,
    LOSS,
    WARNING,
    differences,
    flat_gradient,
    made,
    method_loss,
    our_loss,
    trl_inputs,
    trl_loss,
    trl_trainer,
)

from entrobench.conformance.rehearsal import TRAINER, fixed_answers, fixed_prompts, tiny_model
from entrobench.entropy.logits import entropy
from entrobench.training.forward import Sequences, frozen_forward, pack
from entrobench.training.micro_batches import ForwardLimits

pytestmark = pytest.mark.filterwarnings(WARNING)

KINKS = (0.8, 1.2, 1.28, 3.0)  # where clipping sets in: rounding could put the two sides on different branches


@pytest.fixture(scope="module")
def sequences() -> Sequences:
    """Twelve answers to four prompts, all lengths unequal."""
    prompts = [prompt.tokens for prompt in fixed_prompts() for _ in range(TRAINER.group_size)]
    return pack(prompts, [completion.tokens for completion in fixed_answers()], torch.device("cpu"))


@pytest.fixture(scope="module")
def advantages() -> Tensor:
    """[12] fixed numbers, both signs and a zero; their sum is far from 0, or the loss would be all rounding."""
    return torch.tensor([-1.5, 0.7, -0.9, 0.0, 1.2, -0.4, -1.1, 0.3, -2.0, 2.0, -0.6, -0.8])


@pytest.fixture(scope="module")
def logp_old(sequences: Sequences) -> Tensor:
    """[12,T] log-probabilities that give ratios on both sides of every bound."""
    logp, _ = frozen_forward(tiny_model(), sequences, {}, 1.0, ForwardLimits(COUNT, 4096))
    log_ratio = 1.4 * (2 * torch.rand(logp.shape, generator=torch.Generator().manual_seed(0)) - 1)
    ratio = log_ratio.exp()[sequences.mask]
    assert all(float((ratio - kink).abs().min()) > 1e-4 for kink in KINKS)
    assert bool((ratio > 3).any())
    assert bool((ratio < 0.8).any())
    assert bool(((ratio > 1.2) & (ratio < 1.28)).any()), "the wider clip must matter"
    return (logp - log_ratio) * sequences.mask


@pytest.mark.parametrize("dual", [None, 3.0])
@pytest.mark.parametrize(
    ("name", "values", "trl"),
    [
        ("grpo", {}, {}),
        ("entropy_bonus", {"coefficient": 0.05}, {"entropy_coef": 0.05}),
        ("clip_higher", {"clip_low": 0.2, "clip_high": 0.28}, {"epsilon_high": 0.28}),
        ("dr_grpo", {}, {"loss_type": "dr_grpo"}),
        ("forking_tokens", {"fraction": 0.5, "divisor": "all"}, {"top_entropy_quantile": 0.5}),
    ],
)
def test_a_method_equals_trl(
    name: str,
    values: dict[str, float],
    trl: dict[str, float],
    dual: float | None,
    sequences: Sequences,
    advantages: Tensor,
    logp_old: Tensor,
    tmp_path: Path,
) -> None:
    theirs = trl_loss(sequences, advantages, logp_old, tmp_path, delta=dual, **trl)
    loss, gradient = differences(our_loss(sequences, advantages, logp_old, name, values, dual_clip=dual), theirs)
    assert loss <= LOSS
    assert gradient <= GRADIENT


@pytest.mark.parametrize(
    ("aggregation", "loss_type"),
    [
        ("token-mean", "bnpo"),
        ("seq-mean-token-mean", "grpo"),
        ("seq-mean-token-sum", "luspo"),
        ("seq-mean-token-sum-norm", "dr_grpo"),
    ],
)
def test_an_aggregation_equals_trl(
    aggregation: str, loss_type: str, sequences: Sequences, advantages: Tensor, logp_old: Tensor, tmp_path: Path
) -> None:
    theirs = trl_loss(sequences, advantages, logp_old, tmp_path, loss_type=loss_type)
    ours = our_loss(sequences, advantages, logp_old, "grpo", {}, loss_agg=aggregation)
    loss, gradient = differences(ours, theirs)
    assert loss <= LOSS
    assert gradient <= GRADIENT


def test_the_adaptive_coefficient_equals_trl(
    sequences: Sequences, advantages: Tensor, logp_old: Tensor, tmp_path: Path
) -> None:
    """Steps of one update under sharp and flat weights: up to the cap below the target, off and down above it."""
    settings = {"target": 2.0, "delta": 0.005, "coefficient_high": 0.012, "estimator": "analytic"}
    settings |= {"switch": "previous"}  # TRL: the last optimizer step's entropy
    names = {"entropy_target": 2.0, "entropy_coef_delta": 0.005, "entropy_coef_max": 0.012}
    trainer = trl_trainer(tmp_path, use_adaptive_entropy=True, **names)
    magic = made("magic", settings)
    coefficients = []
    for scale in (3.0, 3.0, 3.0, 0.3, 0.3, 3.0, 3.0):
        model = tiny_model()
        with torch.no_grad():
            model.lm_head.weight.mul_(scale)
        trainer.model.load_state_dict(model.state_dict())
        trainer.model.zero_grad()
        theirs = trainer._compute_loss(trainer.model, trl_inputs(sequences, advantages, logp_old))
        theirs.backward()
        ours = method_loss(magic, sequences, advantages, logp_old, model)
        loss, gradient = differences(ours, (theirs.item(), flat_gradient(trainer.model)))
        assert loss <= LOSS
        assert gradient <= GRADIENT
        _, values = frozen_forward(model, sequences, {"entropy": entropy}, 1.0, ForwardLimits(COUNT, 4096))
        magic.after_step(replace(summary(1), entropy=float(values["entropy"][sequences.mask].mean())))
        assert magic.state.coefficient == pytest.approx(trainer.entropy_coef, abs=1e-15)
        coefficients.append(round(magic.state.coefficient, 6))
    assert coefficients == [0.005, 0.01, 0.012, 0.007, 0.002, 0.007, 0.012]


def test_the_cases_differ(sequences: Sequences, advantages: Tensor, logp_old: Tensor) -> None:
    # otherwise agreement with TRL would say nothing about the dual clip, the wider clip or the bonus
    losses = [
        our_loss(sequences, advantages, logp_old, "grpo", {})[0],
        our_loss(sequences, advantages, logp_old, "grpo", {}, dual_clip=3.0)[0],
        our_loss(sequences, advantages, logp_old, "clip_higher", {})[0],
        our_loss(sequences, advantages, logp_old, "entropy_bonus", {"coefficient": 0.05})[0],
        our_loss(sequences, advantages, logp_old, "dr_grpo", {})[0],
        our_loss(sequences, advantages, logp_old, "forking_tokens", {"fraction": 0.5})[0],
    ]
    assert min(abs(a - b) for i, a in enumerate(losses) for b in losses[:i]) > 1e-3 * abs(losses[0])
