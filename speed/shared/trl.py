"""TRL's GRPOTrainer with the settings of one of our runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def trl_trainer(
    network: Any,
    tokenizer: Any,
    rows: tuple[Sequence[str], Sequence[str]],
    reward: Callable[..., list[float]],
    ours: Any,
    steps: int,
    micro_batch: int,
    folder: Path,
    callback: Any,
    **more: Any,
) -> Any:
    """A step of ours is `ours.updates` optimizer steps of TRL; `rows` are prompts and answers, `more` its settings."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    settings = GRPOConfig(
        output_dir=str(folder / "trl"),
        max_steps=steps * ours.updates,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=ours.prompts * ours.group_size // ours.updates // micro_batch,
        generation_batch_size=ours.prompts * ours.group_size,
        num_generations=ours.group_size,
        max_completion_length=ours.max_response_tokens,
        temperature=ours.temperature,
        loss_type="dapo",  # token mean over the whole update
        beta=0.0,
        epsilon=ours.clip_low,
        epsilon_high=ours.clip_high,
        learning_rate=ours.learning_rate,
        adam_beta1=ours.beta1,
        adam_beta2=ours.beta2,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=ours.warmup_updates,
        max_grad_norm=ours.grad_clip,
        gradient_checkpointing=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **more,
    )
    trainer = GRPOTrainer(
        model=network,
        processing_class=tokenizer,
        reward_funcs=reward,
        args=settings,
        train_dataset=Dataset.from_dict({"prompt": rows[0], "answer": rows[1]}),
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
