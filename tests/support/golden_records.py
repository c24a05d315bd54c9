"""Records with the numbers a golden test wants to fix, and harmless ones elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from entrobench.api import Method, MiniBatch, StepBatch, StepSummary, TokenBatch, TrainerConfig
from entrobench.catalogue.registry import load_method
from entrobench.config import parse

TRAINER = TrainerConfig(max_response_tokens=10)
ROUNDED = 64 * 2**-53  # a bound of the error of fewer than 64 float64 operations on numbers of at most 1


def method(name: str, trainer: dict[str, Any] | None = None, **values: Any) -> Method:
    """A method with these settings."""
    method_class = load_method(name)
    return method_class(parse(method_class.Config, values, name), replace(TRAINER, **(trainer or {})))


def token_batch(ratios: list[float], advantages: list[float], **stats: list[float]) -> TokenBatch:
    """One sequence with these probability ratios; gradients flow to `logp` and to the statistics."""
    row = torch.tensor([ratios], dtype=torch.float64)
    return TokenBatch(
        logp=(row.log() - 2).requires_grad_(),
        logp_old=torch.full_like(row, -2.0),
        entropy_old=torch.ones_like(row),
        logp_ref=None,
        advantages=torch.tensor([advantages], dtype=torch.float64),
        mask=torch.ones_like(row, dtype=torch.bool),
        stats={name: torch.tensor([v], dtype=torch.float64).requires_grad_() for name, v in stats.items()},
        extras={},
    )


def slope(value: Tensor, by: Tensor) -> list[float]:
    """Gradient of the sum of a [1,T] tensor by a [1,T] leaf."""
    (gradient,) = torch.autograd.grad(value.sum(), by)
    return gradient[0].tolist()


def step_batch(rewards: list[float], group: list[int], lengths: list[int]) -> StepBatch:
    """A step with these rewards; log-probabilities and entropies are constant."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    constant = mask.double()
    numbers = torch.tensor(rewards, dtype=torch.float64)
    return StepBatch(
        rewards=numbers,
        group=torch.tensor(group),
        pass_rate=numbers,
        truncated=numbers.bool(),
        mask=mask,
        logp_old=-constant,
        logp_rollout=None,
        entropy_old=constant,
        stats_old={},
        logp_ref=None,
        step=1,
        total_steps=1,
        temperature=1.0,
    )


def summary(step: int, **stats: float) -> StepSummary:
    """What a step measured, as far as a controller looks."""
    numbers = dict.fromkeys(
        ("reward", "pass_rate", "entropy", "surprisal", "kl", "clip_low", "clip_high", "length", "truncated"), 0.0
    )
    return StepSummary(step=step, total_steps=100, updates=2, temperature=1.0, stats=stats, **numbers)


def mini_batch(
    advantages: list[list[float]], logp: list[list[float]] | None = None, update: int = 1, **changes: Any
) -> MiniBatch:
    """A minibatch with these advantages; a row may be shorter than the others. `logp` is under the current weights.

    Log-probabilities of the sampling policy and entropies are constant, each sequence is a micro-batch of its own.
    """
    mask = torch.arange(max(map(len, advantages))) < torch.tensor([len(row) for row in advantages])[:, None]
    constant = mask.double()
    batch = MiniBatch(
        rewards=constant[:, 0],
        group=torch.arange(len(mask)),
        pass_rate=constant[:, 0],
        truncated=~mask[:, 0],
        mask=mask,
        logp_old=-constant,
        logp_rollout=None,
        entropy_old=constant,
        stats_old={},
        logp_ref=None,
        advantages=padded(advantages),
        fresh={} if logp is None else {"logp": padded(logp)},
        micro_batch=torch.arange(len(mask)),
        step=1,
        total_steps=100,
        update=update,
        temperature=1.0,
    )
    return replace(batch, **changes)


def padded(rows: list[list[float]]) -> Tensor:
    """[B,T] float64, shorter rows filled with 0."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows], dtype=torch.float64)


def no_draws(draw: int) -> Tensor:
    """For `select` of methods that draw nothing."""
    raise AssertionError("this method has no business with random numbers")
