"""Advantages, the clipped surrogate and the ways to average a loss: pure functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .config import TrainerConfig

ADVANTAGE_EPSILON = 1e-6  # the paper's code base


class Tokens(Protocol):
    """What these functions read of a micro-batch: `api.TokenBatch`."""

    @property
    def logp(self) -> Tensor: ...
    @property
    def logp_old(self) -> Tensor: ...
    @property
    def logp_ref(self) -> Tensor | None: ...
    @property
    def advantages(self) -> Tensor: ...
    @property
    def mask(self) -> Tensor: ...


class Sampled(Protocol):
    """What the sampler and the trainer say of the same tokens: `api.StepBatch` and `api.MiniBatch`."""

    @property
    def logp_old(self) -> Tensor: ...
    @property
    def logp_rollout(self) -> Tensor | None: ...
    @property
    def mask(self) -> Tensor: ...


class Selectable(Protocol):
    """What selections read of an update: `api.MiniBatch`."""

    @property
    def advantages(self) -> Tensor: ...
    @property
    def mask(self) -> Tensor: ...
    @property
    def micro_batch(self) -> Tensor: ...


SomeTokens = TypeVar("SomeTokens", bound=Tokens)


def group_advantages(rewards: Tensor, group: Tensor) -> Tensor:
    """(R - mean) / (std + 1e-6) within each prompt's group, std with n - 1; 0 where a group has no variance.

    rewards [S], group [S] int64 -> [S]. GRPO, arXiv 2402.03300, section 4.1.2.
    """
    _, index, sizes = group.unique(return_inverse=True, return_counts=True)
    sizes = sizes.to(rewards.dtype)
    centred = centred_rewards(rewards, group)
    variance = rewards.new_zeros(len(sizes)).index_add(0, index, centred**2) / (sizes - 1).clamp(min=1)
    mixed = centred.new_zeros(len(sizes)).index_add(0, index, (rewards != _first(rewards, index)[index]).to(centred))
    # rounding leaves a tiny variance in a constant group; the comparison of the rewards themselves does not
    return torch.where(mixed[index] > 0, centred / (variance.sqrt()[index] + ADVANTAGE_EPSILON), 0.0)


def centred_rewards(rewards: Tensor, group: Tensor) -> Tensor:
    """R - mean within each prompt's group; rewards [S], group [S] int64 -> [S]."""
    _, index, sizes = group.unique(return_inverse=True, return_counts=True)
    return rewards - (rewards.new_zeros(len(sizes)).index_add(0, index, rewards) / sizes)[index]


def _first(rewards: Tensor, index: Tensor) -> Tensor:
    """One member's reward of each group, [groups]."""
    return rewards.new_zeros(int(index.max()) + 1).scatter(0, index, rewards)


def probability_ratio(tokens: Tokens, trainer: TrainerConfig) -> Tensor:
    """π/π_old per token, [b,T], the log-ratio clamped to ± `trainer.log_ratio_clamp` before the exponential."""
    limit = trainer.log_ratio_clamp
    return (tokens.logp - tokens.logp_old).clamp(-limit, limit).exp()


def clipped_surrogate_loss(
    tokens: Tokens, clip_low: float | Tensor, clip_high: float | Tensor, trainer: TrainerConfig
) -> Tensor:
    """max(-r·A, -clip(r, 1 - clip_low, 1 + clip_high)·A) per token, [b,T]; the clips are numbers or [b,T].

    With `trainer.dual_clip` = c the loss of a token with A < 0 is at most -c·A (arXiv 1912.09729).
    """
    ratio = probability_ratio(tokens, trainer)
    plain = -ratio * tokens.advantages
    bounds: Any = (1 - clip_low, 1 + clip_high)  # torch takes numbers and tensors, its types say either
    clipped = -ratio.clamp(*bounds) * tokens.advantages
    return _dual_clipped(torch.maximum(plain, clipped), tokens.advantages, trainer)


def gradient_preserving_loss(
    tokens: Tokens, clip_low: float, clip_high: float, beta_low: float, beta_high: float, trainer: TrainerConfig
) -> Tensor:
    """The surrogate whose clipped tokens keep a bounded gradient, per token, [b,T].

    -r·A inside the clip range; -β_low·(1 - clip_low)·(r/sg(r))·A where A < 0 and r is below it,
    -β_high·(1 + clip_high)·(r/sg(r))·A where A > 0 and r is above it (sg: no gradient). The dual clip holds as in
    `clipped_surrogate_loss`. Source: CE-GPPO, arXiv 2509.20712; both β = 1 is GPPO, arXiv 2508.07629.
    """
    ratio, advantages = probability_ratio(tokens, trainer), tokens.advantages
    bound = torch.ones_like(ratio)
    bound = torch.where((advantages < 0) & (ratio < 1 - clip_low), beta_low * (1 - clip_low) / ratio.detach(), bound)
    bound = torch.where((advantages > 0) & (ratio > 1 + clip_high), beta_high * (1 + clip_high) / ratio.detach(), bound)
    return _dual_clipped(-bound * ratio * advantages, advantages, trainer)


def rollout_weights(batch: Sampled, cap: float) -> Tensor:
    """min(π_old/π_rollout, cap) per token, no gradient: [S,T] or [B,T], 1 outside the mask.

    π_old is the trainer's probability of a token and π_rollout the engine's, both under the weights that sampled it.
    Truncated importance sampling, Yao et al. 2025, *Your Efficient RL Framework Secretly Brings You Off-Policy RL
    Training*: the policy loss of each token is multiplied by its weight.
    """
    assert batch.logp_rollout is not None, "the engine reports log-probabilities"
    return ((batch.logp_old - batch.logp_rollout) * batch.mask).exp().clamp(max=cap)


def _dual_clipped(loss: Tensor, advantages: Tensor, trainer: TrainerConfig) -> Tensor:
    if trainer.dual_clip is None:
        return loss
    return torch.where(advantages < 0, torch.minimum(loss, -trainer.dual_clip * advantages), loss)


def with_sequence_ratio(tokens: SomeTokens) -> SomeTokens:
    """The same tokens with logp_old chosen so that each ratio is its sequence's, the geometric mean of the tokens'.

    Each token keeps the gradient of its own log-probability: s·π/sg(π), GSPO-token in arXiv 2507.18071.
    """
    lengths = tokens.mask.sum(1, keepdim=True).clamp(min=1)
    log_ratio = ((tokens.logp - tokens.logp_old).detach() * tokens.mask).sum(1, keepdim=True) / lengths
    record: Any = tokens  # a frozen dataclass, which a protocol cannot say
    return replace(record, logp_old=tokens.logp.detach() - log_ratio)


def reference_kl(tokens: Tokens, estimator: str, ceiling: float | None, trainer: TrainerConfig) -> Tensor:
    """Estimates KL(policy || reference) from the sampled tokens, [b,T], with gradient.

    With d = logp - logp_ref: k1 = d, k2 = d²/2, k3 = exp(-d) - 1 + d (joschu.net/blog/kl-approx.html). d is clamped to
    ± `trainer.log_ratio_clamp`, the estimate to ± `ceiling`. As a loss, k1 has no gradient on average and k2 that of
    the KL divergence.
    """
    assert tokens.logp_ref is not None, "the method declares a reference"
    difference = (tokens.logp - tokens.logp_ref).clamp(-trainer.log_ratio_clamp, trainer.log_ratio_clamp)
    estimates = {"k1": difference, "k2": difference**2 / 2, "k3": (-difference).expm1() + difference}
    estimate = estimates[estimator]
    return estimate if ceiling is None else estimate.clamp(-ceiling, ceiling)


def scope_masks(batch: Selectable, scope: str) -> list[Tensor]:
    """The sets of tokens, as masks [B,T], over which a selection runs: the minibatch, or each "microbatch".

    Selecting per micro-batch is what some published code does; results then depend on a memory setting.
    """
    if scope == "minibatch":
        return [batch.mask]
    return [batch.mask & (batch.micro_batch == number)[:, None] for number in batch.micro_batch.unique()]


def token_covariances(batch: Selectable, logp: Tensor, mask: Tensor) -> Tensor:
    """(A - mean A)·(log π - mean log π) of the tokens of a mask, [n] in the order of the mask, means over the mask.

    Source: *The Entropy Mechanism of RL*, arXiv 2505.22617, the token's share of Cov(log π, A).
    """
    advantages, logp = batch.advantages[mask], logp[mask]
    return (advantages - advantages.mean()) * (logp - logp.mean())


def largest_weights(values: Tensor, count: int) -> Tensor:
    """1 for the `count` largest of [n], 0 for the others; values equal to the smallest of them share its places."""
    threshold = values.kthvalue(len(values) - count + 1).values
    above, tied = values > threshold, values == threshold
    return above.to(values) + tied * ((count - above.sum()).to(values) / tied.sum())


def token_weights(mask: Tensor, aggregation: str, longest: int) -> Tensor:
    """Weight of each token, [B,T], such that the aggregated loss is (loss · weight).sum() over the whole minibatch.

    mask [B,T] of the *global* minibatch, so that micro-batches need no divisor of their own; float64 comes back.
    `longest` is the configured longest response. Empty responses count 0 but stay in B. Raises ValueError for an
    unknown aggregation.
    """
    counted = mask.double()
    lengths = counted.sum(1, keepdim=True)
    if aggregation == "token-mean":
        return counted / lengths.sum().clamp(min=1)
    if aggregation == "seq-mean-token-mean":
        return counted / lengths.clamp(min=1) / len(mask)
    if aggregation == "seq-mean-token-sum":
        return counted / len(mask)
    if aggregation == "seq-mean-token-sum-norm":
        return counted / (len(mask) * longest)
    raise ValueError(f"unknown aggregation {aggregation!r}")
