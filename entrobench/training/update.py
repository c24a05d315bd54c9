"""One optimizer update's gradient: the part of the contract that memory settings must not touch.

Selection, advantages and both divisors are settled on the global minibatch before the first micro-batch runs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
import torch
from torch import Tensor

from entrobench.api import Method, MiniBatch, StepBatch, TokenBatch
from entrobench.distributed.ranks import Ranks
from entrobench.entropy.logits import entropy
from entrobench.objective import off_policy_kept, rollout_weights, token_weights

from . import hook_checks
from .forward import Sequences, frozen_forward, token_forward
from .micro_batches import ForwardLimits

LARGEST_BELOW_ONE = numpy.nextafter(numpy.float32(1), numpy.float32(0))


@dataclass
class Measures:
    """Sums over the response tokens of one or more updates."""

    tokens: float = 0.0
    policy_loss: float = 0.0  # sum over updates
    regularizer_loss: float = 0.0  # sum over updates
    sums: dict[str, float] = field(default_factory=dict)  # kl, clip_low, clip_high, stat/<name>, extra/<name>

    def add(self, name: str, value: float) -> None:
        """Add to the sum of one measure."""
        self.sums[name] = self.sums.get(name, 0.0) + value

    def include(self, other: Measures) -> None:
        """Add another update's sums."""
        self.tokens += other.tokens
        self.policy_loss += other.policy_loss
        self.regularizer_loss += other.regularizer_loss
        for name, value in other.sums.items():
            self.add(name, value)

    def sum_over_ranks(self, ranks: Ranks, device: torch.device) -> None:
        """Add what every process has measured on its own sequences; `tokens` already counts all of them."""
        losses = {"policy_loss": self.policy_loss, "regularizer_loss": self.regularizer_loss}
        self.sums = ranks.sum_numbers({**self.sums, **losses}, device)
        self.policy_loss, self.regularizer_loss = (self.sums.pop(name) for name in losses)

    def token_mean(self, name: str) -> float:
        """A measure per response token; 0 where it was never measured."""
        return self.sums.get(name, 0.0) / max(self.tokens, 1.0)


def step_rows(step: StepBatch, rows: Tensor) -> StepBatch:
    """The step's records of these sequences alone."""
    sliced: dict[str, Any] = {name: value[rows] for name, value in vars(step).items() if isinstance(value, Tensor)}
    return replace(step, **sliced, stats_old={name: value[rows] for name, value in step.stats_old.items()})


def minibatch_of(
    step: StepBatch, advantages: Tensor, rows: Tensor, update: int, micro_batch: Sequence[int]
) -> MiniBatch:
    """Slice the step's records to these rows; `micro_batch` is the number of each row's."""
    return MiniBatch(
        **vars(step_rows(step, rows)),
        advantages=advantages[rows],
        fresh={},
        micro_batch=torch.tensor(micro_batch, device=rows.device),
        update=update,
    )


def with_fresh(method: Method, model: Any, batch: MiniBatch, sequences: Sequences, limits: ForwardLimits) -> MiniBatch:
    """Fill `fresh`: from the sampling policy's values on the first update of a step, else by one extra forward."""
    if not method.fresh:
        return batch
    if batch.update == 0:
        known = {"logp": batch.logp_old, "entropy": batch.entropy_old, **batch.stats_old}
    else:
        own = hook_checks.token_stats(method)
        stats = {name: own.get(name, entropy) for name in method.fresh if name != "logp"}
        logp, values = frozen_forward(model, sequences, stats, batch.temperature, limits)
        known = {"logp": logp, **values}
    return replace(batch, fresh={name: known[name] for name in method.fresh})


def keyed_uniforms(
    keys: list[str], step: int, update: int, shape: torch.Size, device: torch.device
) -> Callable[[int], Tensor]:
    """Return draw -> [B,T] uniform numbers, each row keyed by (its sequence's key, step, update, draw)."""

    def draw_numbers(draw: int) -> Tensor:
        rows = [keyed_generator(f"{key}/{step}/{update}/{draw}").random(shape[1]) for key in keys]
        numbers = numpy.asarray(rows, dtype=numpy.float32).reshape(shape)  # which rounds some up to 1
        return torch.from_numpy(numpy.minimum(numbers, LARGEST_BELOW_ONE)).to(device)

    return draw_numbers


def keyed_generator(key: str) -> numpy.random.Generator:
    """A random generator seeded by the text alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return numpy.random.Generator(numpy.random.Philox(key=int.from_bytes(digest)))


def accumulate_gradients(
    method: Method,
    model: Any,
    batch: MiniBatch,
    sequences: Sequences,
    keys: list[str],
    limits: ForwardLimits,
    backward: Callable[[Tensor], None],
) -> Measures:
    """Run one minibatch in micro-batches and add up the gradient of its loss; returns what was measured.

    With several processes each adds the gradient of its own sequences, and the measures are those of all. `keys` names
    the sequences for random draws; `backward` is `Tensor.backward` or the accelerator's.
    """
    batch = with_fresh(method, model, batch, sequences, limits)
    rng = keyed_uniforms(keys, batch.step, batch.update, batch.mask.shape, batch.mask.device)
    extras = hook_checks.select(method, batch, rng)
    policy_weights, regularizer_weights = divisor_weights(method, batch, extras)
    measures = Measures(tokens=float(batch.mask.sum()))
    for own in limits.own_micro_batches(sequences.lengths, sequences.prompts.tolist()):
        rows = torch.tensor(own or [0], device=batch.mask.device)
        tokens = _token_batch(method, model, batch, sequences.rows(rows), rows, extras, limits)
        if not own:  # no sequence for this process, which must still take part in gathering sharded weights
            backward(tokens.logp.sum() * 0)
            continue
        token_loss, regularizer = hook_checks.token_loss(method, tokens), hook_checks.regularizer(method, tokens)
        if method.trainer.off_policy_mask is not None:
            assert batch.logp_rollout is not None, "the engine reports log-probabilities"
            token_loss = token_loss * off_policy_kept(tokens, batch.logp_rollout[rows], method.trainer.off_policy_mask)
        policy_loss = (token_loss * policy_weights[rows]).sum()
        regularizer_loss = None if regularizer is None else (regularizer * regularizer_weights[rows]).sum()
        loss = policy_loss if regularizer_loss is None else policy_loss + regularizer_loss
        if not math.isfinite(loss.item()):
            hook_checks.raise_non_finite(tokens, token_loss, regularizer)
        clipped = clipped_tokens(token_loss, tokens)
        backward(loss)
        measures.policy_loss += policy_loss.item()
        measures.regularizer_loss += 0.0 if regularizer_loss is None else regularizer_loss.item()
        _measure(measures, tokens, clipped)
    measures.sum_over_ranks(limits.ranks, batch.mask.device)
    return measures


def divisor_weights(method: Method, batch: MiniBatch, extras: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Weights [B,T] of the policy loss and of the regularizer, from the global minibatch.

    The correction of the sampler's mismatch multiplies the policy loss of each token and leaves the divisors as they
    are.
    """
    counted = batch.mask
    if method.divisor == "selected":
        counted = batch.mask & (extras["selected"] != 0)
    longest = method.trainer.max_response_tokens
    policy = token_weights(counted, method.loss_agg or method.trainer.loss_agg, longest)
    regularizer = token_weights(batch.mask, method.regularizer_agg or "token-mean", longest)
    if method.trainer.rollout_correction is not None and not method.owns_mismatch:
        policy = policy * rollout_weights(batch, method.trainer)
    dtype = batch.logp_old.dtype
    return policy.to(dtype), regularizer.to(dtype)


def _token_batch(
    method: Method,
    model: Any,
    batch: MiniBatch,
    sequences: Sequences,
    rows: Tensor,
    extras: dict[str, Tensor],
    limits: ForwardLimits,
) -> TokenBatch:
    logp, stats = token_forward(
        model, sequences, hook_checks.update_stats(method), batch.temperature, limits.head_chunk
    )
    return TokenBatch(
        logp=logp,
        # the ratio of the first update is 1 exactly, not to rounding: methods inert on policy stay inert there
        logp_old=logp.detach() if batch.update == 0 else batch.logp_old[rows],
        entropy_old=batch.entropy_old[rows],
        logp_ref=None if batch.logp_ref is None else batch.logp_ref[rows],
        advantages=batch.advantages[rows],
        mask=batch.mask[rows],
        stats=hook_checks.UpdateStats(stats),
        extras={name: value[rows] for name, value in extras.items()},
    )


def clipped_tokens(token_loss: Tensor, tokens: TokenBatch) -> Tensor:
    """Tokens of the mask whose policy loss is not 0 and yet has no gradient by log π, [b,T] bool.

    So any method's clip is counted as it acts, token by token or sequence by sequence, without being declared. Tokens
    that a selection leaves out have a loss of 0.
    """
    if not token_loss.requires_grad:
        return torch.zeros_like(tokens.mask)
    slopes = torch.autograd.grad(token_loss.sum(), tokens.logp, retain_graph=True, materialize_grads=True)[0]
    return tokens.mask & (token_loss.detach() != 0) & (slopes == 0)


@torch.no_grad()
def _measure(measures: Measures, tokens: TokenBatch, clipped: Tensor) -> None:
    mask, advantages = tokens.mask, tokens.advantages
    measures.add("kl", -float((tokens.logp - tokens.logp_old)[mask].sum()))
    measures.add("clip_low", float((clipped & (advantages < 0)).sum()))
    measures.add("clip_high", float((clipped & (advantages > 0)).sum()))
    for name, value in tokens.stats.items():
        total = float(value[mask].sum())
        if not math.isfinite(total):
            hook_checks.finite(f"token_stats: {name}", value, mask)
        measures.add(f"stat/{name}", total)
    for name, value in tokens.extras.items():
        measures.add(f"extra/{name}", float(value.to(tokens.logp.dtype)[mask].sum()))
