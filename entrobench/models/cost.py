"""How long runs take, from one stated model that the paper's published GPU-hours calibrate; imports no torch.

A response token of training costs 10P floating-point operations for P parameters: 2P to sample it, 2P for its old
log-probability, 6P for its update. The published runs state no response lengths, so tokens are counted at their
greatest length, and the rate absorbs how much shorter answers are:

    GPU-seconds of a run = 10 · P · steps · prompts · answers · longest answer / RATE

Two published points calibrate RATE: 0.234 GPU-hours a step (MATH) and 237 GPU-hours to step 775 (OpenR1-Math), both
GRPO on A100s. They give 4.6e14 and 2.4e14; RATE is their geometric mean and SPREAD how far each lies from it. (Above an
A100's peak of 3.1e14, since answers are shorter than the longest.) Other engines, lengths and GPUs come on top of that.
"""

from __future__ import annotations

from dataclasses import dataclass

from entrobench.config import TrainerConfig
from entrobench.data.hub import ModelSizes

from .footprint import parameters

RATE = 3.30e14  # operations a second of an A100, counted at the longest answers
SPREAD = 1.4
SAMPLED_SHARE = 0.5  # ours: sampling for evaluation costs half of what training on the token would
CPU_RATE = 1.5e10  # ours: one core, embedded models; a guess from quickstart's minutes, within a factor of 3
EMBEDDED = 20_000_000  # ours: parameters below which a model is meant for the CPU


@dataclass(frozen=True)
class Cost:
    """Seconds of one device; `device` is A100 or CPU core."""

    seconds: float
    device: str


def training_tokens(trainer: TrainerConfig) -> int:
    """Response tokens that a run samples at most."""
    batches = trainer.steps * (trainer.max_sampling_batches if trainer.dynamic_sampling else 1)
    return batches * trainer.prompts * trainer.group_size * trainer.max_response_tokens


def training_share(trainer: TrainerConfig) -> float:
    """What a sampled token costs beside one of a single epoch: 4P for sampling and recording, 6P for each epoch."""
    return (4 + 6 * trainer.epochs) / 10


def cost(sizes: ModelSizes, tokens: int, share: float = 1.0) -> Cost:
    """Seconds for that many response tokens, each at the share `share` of a training token's cost."""
    count = parameters(sizes)
    small = count < EMBEDDED
    return Cost(10 * count * tokens * share / (CPU_RATE if small else RATE), "CPU core" if small else "A100")
