"""Losses and gradients against TRL's own GRPO loss on fixed tensors, one micro-batch, temperature 1.

TRL's code runs unchanged (`GRPOTrainer._compute_loss`); it folds log-probabilities in float32, so both sides do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_records import method, summary
from torch import Tensor

from entrobench.api import Method, MiniBatch
from entrobench.conformance.rehearsal import TRAINER, fixed_answers, fixed_prompts, tiny_model, tiny_tokenizer
from entrobench.entropy.logits import entropy
from entrobench.training.forward import Sequences, frozen_forward, pack
from entrobench.training.micro_batches import ForwardLimits
from entrobench.training.update import accumulate_gradients

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # TRL's own settings

COUNT = TRAINER.prompts * TRAINER.group_size  # sequences
LOSS, GRADIENT = 1e-6, 1e-5  # relative
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


def trl_trainer(folder: Path, **settings: Any) -> Any:
    """A real GRPOTrainer of the tiny model."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    arguments = GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        report_to="none",
        per_device_train_batch_size=COUNT,
        num_generations=COUNT,
        max_completion_length=TRAINER.max_response_tokens,
        beta=0.0,
        temperature=1.0,
        **{"epsilon": 0.2, "epsilon_high": 0.2, "loss_type": "dapo", **settings},
    )
    trainer = GRPOTrainer(
        model=tiny_model(),
        reward_funcs=lambda completions, **columns: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["1 + 2 ="] * COUNT}),
        processing_class=tiny_tokenizer(),
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1  # set by the training loop, which is not run
    return trainer


def trl_loss(
    sequences: Sequences, advantages: Tensor, logp_old: Tensor, folder: Path, **settings: Any
) -> tuple[float, Tensor]:
    """Loss and flat gradient of TRL."""
    trainer = trl_trainer(folder, **settings)
    loss = trainer._compute_loss(trainer.model, trl_inputs(sequences, advantages, logp_old))
    loss.backward()
    return loss.item(), flat_gradient(trainer.model)


def trl_inputs(sequences: Sequences, advantages: Tensor, logp_old: Tensor) -> dict[str, Tensor]:
    """TRL's layout: prompts padded on the left, completions on the right."""
    longest, width = int(sequences.prompt_lengths.max()), sequences.mask.shape[1]
    prompts = torch.zeros(COUNT, longest, dtype=torch.long)
    prompt_mask, completions = torch.zeros_like(prompts), torch.zeros(COUNT, width, dtype=torch.long)
    for row, (tokens, length) in enumerate(zip(sequences.tokens, map(int, sequences.prompt_lengths), strict=True)):
        prompts[row, longest - length :] = tokens[:length]
        prompt_mask[row, longest - length :] = 1
        answer = tokens[length : length + int(sequences.mask[row].sum())]
        completions[row, : len(answer)] = answer
    return {
        "prompt_ids": prompts,
        "prompt_mask": prompt_mask,
        "completion_ids": completions,
        "completion_mask": sequences.mask.long(),
        "advantages": advantages,
        "old_per_token_logps": logp_old,
        "num_items_in_batch": sequences.mask.sum(),
    }


def our_loss(
    sequences: Sequences,
    advantages: Tensor,
    logp_old: Tensor,
    name: str,
    values: Mapping[str, Any],
    **settings: Any,
) -> tuple[float, Tensor]:
    """Loss and flat gradient of a method with these settings."""
    return method_loss(made(name, values, **settings), sequences, advantages, logp_old, tiny_model())


def made(name: str, values: Mapping[str, Any], **settings: Any) -> Method:
    """A method with these settings; TRL has no dual clip unless told."""
    return method(name, {**dataclasses.asdict(TRAINER), "dual_clip": None, **settings}, **values)


def method_loss(
    subject: Method,
    sequences: Sequences,
    advantages: Tensor,
    logp_old: Tensor,
    model: Any,
    logp_ref: Tensor | None = None,
    logp_rollout: Tensor | None = None,
) -> tuple[float, Tensor]:
    """Loss and flat gradient of a method."""
    nothing = torch.zeros(COUNT)
    batch = MiniBatch(
        rewards=nothing,
        group=torch.arange(COUNT) // TRAINER.group_size,
        pass_rate=nothing,
        truncated=nothing.bool(),
        mask=sequences.mask,
        logp_old=logp_old,
        logp_rollout=logp_rollout,
        entropy_old=torch.zeros_like(logp_old),
        stats_old={},
        logp_ref=logp_ref,
        advantages=advantages[:, None] * sequences.mask,
        fresh={},
        micro_batch=nothing.long(),
        step=1,
        total_steps=1,
        update=1,  # the second update of a step: logp_old counts
        temperature=1.0,
    )
    keys = [str(row) for row in range(COUNT)]
    measures = accumulate_gradients(subject, model, batch, sequences, keys, ForwardLimits(COUNT, 4096), Tensor.backward)
    return measures.policy_loss + measures.regularizer_loss, flat_gradient(model)


def flat_gradient(model: Any) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in model.parameters()])


def differences(ours: tuple[float, Tensor], theirs: tuple[float, Tensor]) -> tuple[float, float]:
    """Relative difference of the losses, and of the gradients in norm."""
    loss = abs(ours[0] - theirs[0]) / abs(theirs[0])
    return loss, float((ours[1] - theirs[1]).norm() / theirs[1].norm())


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
