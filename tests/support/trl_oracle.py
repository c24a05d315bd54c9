"""GRPO's loss and gradient by TRL's own code, and ours for the same tensors: an oracle for tests.

TRL's code runs unchanged (`GRPOTrainer._compute_loss`); it folds log-probabilities in float32, so both sides do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from golden_records import method
from torch import Tensor

from entrobench.api import Method, MiniBatch
from entrobench.conformance.rehearsal import TRAINER, tiny_model, tiny_tokenizer
from entrobench.training.forward import Sequences
from entrobench.training.micro_batches import ForwardLimits
from entrobench.training.update import accumulate_gradients

COUNT = TRAINER.prompts * TRAINER.group_size  # sequences
# Relative. A log-probability near -6 in float32 is off by some units of 5e-7, on either side; a ratio takes that over
# as it is, and the mean of terms of both signs makes it about twice as much.
LOSS = GRADIENT = 1e-5
WARNING = "ignore:.*gradient_checkpointing.*:FutureWarning"  # TRL's own settings


def trl_trainer(folder: Path, model: Any = None, tokenizer: Any = None, **settings: Any) -> Any:
    """A real GRPOTrainer, of the tiny model unless another is given."""
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
        model=model or tiny_model(),
        reward_funcs=lambda completions, **columns: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["1 + 2 ="] * COUNT}),
        processing_class=tokenizer or tiny_tokenizer(),
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
