"""Checks of what a method's hooks return, before it is used; a wrong return stops the training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from entrobench.api import Method, MiniBatch, Progress, StepBatch, TokenBatch
from entrobench.entropy.logits import TokenStat, is_own
from entrobench.errors import InputError


class HookError(InputError):
    """A hook returned what it must not; names hook and first bad position, the trainer adds method and step."""


def temperature(method: Method, progress: Progress) -> float:
    """The temperature that `sampling` returns. Raises HookError unless it is a finite number above 0."""
    found = method.sampling(progress)
    value = found.get("temperature") if isinstance(found, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise HookError(f"sampling must return {{'temperature': a finite number above 0}}, got {found!r}")
    return float(value)


def keep(method: Method, step: StepBatch) -> Tensor:
    """The result of `keep`, [S] bool."""
    return _tensor("keep", method.keep(step), step.rewards.shape, "[S]", torch.bool)


def advantages(method: Method, step: StepBatch) -> Tensor:
    """The result of `advantages`, [S,T]; finite also outside the mask, where it is multiplied by 0."""
    value = _tensor("advantages", method.advantages(step), step.mask.shape, "[S,T]", step.rewards.dtype)
    return finite("advantages", value)


def select(method: Method, batch: MiniBatch, rng: Any) -> dict[str, Tensor]:
    """The result of `select`, {name: [B,T]} numbers or bools, finite inside the mask."""
    found = method.select(batch, rng)
    if not isinstance(found, Mapping):
        raise HookError(f"select must return a mapping of names to [B,T] tensors, got {type(found).__name__}")
    if method.divisor == "selected" and "selected" not in found:
        raise HookError(f"select must return 'selected', the divisor of the loss; got {', '.join(found) or 'nothing'}")
    for name, value in found.items():
        _tensor(f"select: {name}", value, batch.mask.shape, "[B,T]", None)
        finite(f"select: {name}", value, batch.mask)
    return dict(found)


def token_stats(method: Method) -> dict[str, TokenStat]:
    """The statistics of `token_stats`, each refusing to return anything but [n] floats."""
    found = method.token_stats()
    if not isinstance(found, Mapping):
        raise HookError(f"token_stats must return a mapping of names to functions, got {type(found).__name__}")
    known = {*found, "logp", "entropy"}
    for name in (name for name in method.fresh if name not in known):
        raise HookError(f"fresh names {name!r}, which is none of {', '.join(sorted(known))}")
    for name in (name for name in method.old_stats if name not in found):
        raise HookError(
            f"old_stats names {name!r}, which is none of token_stats: {', '.join(found) or 'there are none'}"
        )
    return {name: _stat(name, function) for name, function in found.items()}


def _stat(name: str, function: TokenStat) -> TokenStat:
    if is_own(function):  # ours: needs no check, and must be recognised where it shares work
        return function

    def checked(logits: Tensor) -> Tensor:
        version = logits._version
        value = _tensor(f"token_stats: {name}", function(logits), logits.shape[:1], "[n]", logits.dtype)
        if logits._version != version:
            raise HookError(f"token_stats: {name} changes its logits in place; others still need them")
        return value

    return checked


def token_loss(method: Method, tokens: TokenBatch) -> Tensor:
    """The result of `token_loss`, [b,T]. Whether it is finite is seen in its sum: see `raise_non_finite`."""
    return _tensor("token_loss", method.token_loss(tokens), tokens.mask.shape, "[b,T]", tokens.logp.dtype)


def regularizer(method: Method, tokens: TokenBatch) -> Tensor | None:
    """The result of `regularizer`, [b,T] or None."""
    value = method.regularizer(tokens)
    return None if value is None else _tensor("regularizer", value, tokens.mask.shape, "[b,T]", tokens.logp.dtype)


def raise_non_finite(tokens: TokenBatch, loss: Tensor, regularizer: Tensor | None) -> None:
    """Raise HookError for what made a micro-batch's loss NaN or infinite: model, statistic, loss or regularizer."""
    finite("the model's log-probabilities", tokens.logp, tokens.mask)
    for name, value in tokens.stats.items():
        finite(f"token_stats: {name}", value, tokens.mask)
    finite("token_loss", loss)
    if regularizer is not None:
        finite("regularizer", regularizer)


def state(method: Method) -> None:
    """Raise HookError for a number of the method's state that is NaN or infinite, before it gets into a checkpoint."""
    for name, value in dataclasses.asdict(method.state).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise HookError(f"after_step or before_updates left state.{name} at {value}")


def finite(hook: str, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the tensor. Raises HookError with the first position that is NaN or infinite, inside the mask if given."""
    if not value.dtype.is_floating_point:
        return value
    wrong = ~torch.isfinite(value.detach())
    wrong = wrong if mask is None else wrong & mask
    if bool(wrong.any()):
        place = wrong.nonzero()[0].tolist()
        raise HookError(f"{hook} is {float(value.detach()[tuple(place)])} at {place} (sequence, token)")
    return value


def _tensor(hook: str, value: Any, shape: torch.Size, letters: str, dtype: torch.dtype | None) -> Tensor:
    """Return the value if it is a tensor of this shape and dtype (None: any but complex), else raise HookError."""
    if not isinstance(value, Tensor):
        raise HookError(f"{hook} must return a tensor {letters}, got {type(value).__name__}")
    if value.shape != shape:
        raise HookError(f"{hook} must return {letters} = {list(shape)}, got {list(value.shape)}")
    if value.is_complex() if dtype is None else value.dtype != dtype:
        wanted = "real numbers or bools" if dtype is None else dtype
        raise HookError(f"{hook} must return {wanted}, got {value.dtype}")
    return value
