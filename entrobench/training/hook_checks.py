"""A method's hooks are called here, and what they return is checked before anything is made of it.

A wrong return, or an exception inside a hook, stops the training in one line.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from entrobench.api import Method, MiniBatch, Progress, StepBatch, StepSummary, TokenBatch, TrainerConfig
from entrobench.entropy.logits import TokenStat, is_own
from entrobench.errors import InputError, deepest_line, in_one_line


class HookError(InputError):
    """A hook returned what it must not, or raised: then `__cause__` is the exception.

    The message names hook and first bad position, or file and line; the trainer adds method and step.
    """


@contextmanager
def inside(method_class: type[Method], hook: str) -> Iterator[None]:
    """Whatever a hook raises becomes a HookError that names the hook and the line of the method's file."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a method is its author's code and may raise anything
        raise HookError(f"{hook} raised {in_one_line(error)} at {_place(method_class, error)}") from error


def _place(method_class: type[Method], error: Exception) -> str:
    """The deepest line in the method's own files that an exception went through, as file:line."""
    bases = (base for base in method_class.__mro__ if base not in (Method, object))
    files = (getattr(sys.modules.get(base.__module__), "__file__", None) for base in bases)
    own = deepest_line(error, {Path(file) for file in files if file})
    frame = own or traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def log(error: HookError) -> None:
    """Print the traceback of an exception inside a hook: for the log, since the message is one line."""
    if error.__cause__ is not None:
        traceback.print_exception(error.__cause__)


def build(method_class: type[Method], config: Any, trainer: TrainerConfig) -> Method:
    """Make a method; its `initial_state` runs here."""
    with inside(method_class, "initial_state"):
        return method_class(config, trainer)


def temperature(method: Method, progress: Progress) -> float:
    """The temperature that `sampling` returns. Raises HookError unless it is a finite number above 0."""
    with inside(type(method), "sampling"):
        found = method.sampling(progress)
    value = found.get("temperature") if isinstance(found, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise HookError(f"sampling must return {{'temperature': a finite number above 0}}, got {found!r}")
    return float(value)


def renews_reference(method: Method, progress: Progress) -> bool:
    """What `renews_reference` says."""
    with inside(type(method), "renews_reference"):
        return bool(method.renews_reference(progress))


def keep(method: Method, step: StepBatch) -> Tensor:
    """The result of `keep`, [S] bool."""
    with inside(type(method), "keep"):
        value = method.keep(step)
    return _tensor("keep", value, step.rewards.shape, "[S]", torch.bool)


def advantages(method: Method, step: StepBatch) -> Tensor:
    """The result of `advantages`, [S,T]; finite also outside the mask, where it is multiplied by 0."""
    with inside(type(method), "advantages"):
        value = method.advantages(step)
    return finite("advantages", _tensor("advantages", value, step.mask.shape, "[S,T]", step.rewards.dtype))


def before_updates(method: Method, step: StepBatch) -> None:
    """Call `before_updates`, and look at the state that it leaves."""
    with inside(type(method), "before_updates"):
        method.before_updates(step)
    state(method)


def after_step(method: Method, summary: StepSummary) -> None:
    """Call `after_step`, and look at the state that it leaves."""
    with inside(type(method), "after_step"):
        method.after_step(summary)
    state(method)


def select(method: Method, batch: MiniBatch, rng: Any) -> dict[str, Tensor]:
    """The result of `select`, {name: [B,T]} numbers or bools, finite inside the mask."""
    with inside(type(method), "select"):
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
    with inside(type(method), "token_stats"):
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
    return {name: _stat(method, name, function) for name, function in found.items()}


def recorded_only(method: Method) -> set[str]:
    """Statistics that are recorded under the sampling policy and that no update computes."""
    return set(method.old_stats) - set(method.fresh)


def update_stats(method: Method) -> dict[str, TokenStat]:
    """The statistics of `token_stats` that an update computes."""
    left_out = recorded_only(method)
    return {name: function for name, function in token_stats(method).items() if name not in left_out}


class UpdateStats(dict[str, Tensor]):
    """What an update computed, by name; says why a statistic of the record alone is not there."""

    def __missing__(self, name: str) -> Tensor:
        raise KeyError(
            f"{name!r} is none of an update's statistics: name it in token_stats, and not in old_stats alone"
        )


def _stat(method: Method, name: str, function: TokenStat) -> TokenStat:
    if is_own(function):  # ours: needs no check, and must be recognised where it shares work
        return function

    def checked(logits: Tensor) -> Tensor:
        version = logits._version
        with inside(type(method), f"token_stats: {name}"):
            value = function(logits)
        value = _tensor(f"token_stats: {name}", value, logits.shape[:1], "[n]", logits.dtype)
        if logits._version != version:
            raise HookError(f"token_stats: {name} changes its logits in place; others still need them")
        return value

    return checked


def token_loss(method: Method, tokens: TokenBatch) -> Tensor:
    """The result of `token_loss`, [b,T]. Whether it is finite is seen in its sum: see `raise_non_finite`."""
    with inside(type(method), "token_loss"):
        value = method.token_loss(tokens)
    return _tensor("token_loss", value, tokens.mask.shape, "[b,T]", tokens.logp.dtype)


def regularizer(method: Method, tokens: TokenBatch) -> Tensor | None:
    """The result of `regularizer`, [b,T] or None."""
    with inside(type(method), "regularizer"):
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
    raise HookError("the loss is not finite, though it is at every token: the sum overflows")


def finite_numbers(row: Mapping[str, float]) -> None:
    """Raise HookError for a figure of a step that is NaN or infinite: what it tells of is wrong, or soon will be."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise HookError(f"the step's {name} is {value}")


def finite_weights(tensors: Mapping[str, Tensor]) -> None:
    """Raise HookError for weights that are NaN or infinite, before they get into a checkpoint or a model folder."""
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise HookError(f"the model's weights {name} hold NaN or infinity")


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
