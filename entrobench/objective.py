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


def group_advantages(rewards: Tensor, group: Tensor, scale: str = "group", baseline: str = "mean") -> Tensor:
    """(R - baseline) / (std + 1e-6) within each prompt's group; 0 where a group has no variance.

    rewards [S], group [S] int64 -> [S]. The std has n - 1 and is the group's (GRPO, arXiv 2402.03300, section 4.1.2),
    that of all S rewards ("batch"), or none is divided by. `leave_one_out` takes the mean of the group's other rewards
    as baseline (RLOO, arXiv 2402.14740), which is n/(n - 1) times the distance from the mean.
    """
    _, index, sizes = group.unique(return_inverse=True, return_counts=True)
    sizes = sizes.to(rewards.dtype)
    centred = centred_rewards(rewards, group)
    variance = rewards.new_zeros(len(sizes)).index_add(0, index, centred**2) / (sizes - 1).clamp(min=1)
    mixed = centred.new_zeros(len(sizes)).index_add(0, index, (rewards != _first(rewards, index)[index]).to(centred))
    distance = centred * (sizes / (sizes - 1).clamp(min=1))[index] if baseline == "leave_one_out" else centred
    if scale == "group":
        distance = distance / (variance.sqrt()[index] + ADVANTAGE_EPSILON)
    elif scale == "batch":
        distance = distance / (rewards.std(correction=min(1, len(rewards) - 1)) + ADVANTAGE_EPSILON)
    # rounding leaves a tiny variance in a constant group; the comparison of the rewards themselves does not
    return torch.where(mixed[index] > 0, distance, 0.0)


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


def rollout_weights(batch: Sampled, trainer: TrainerConfig) -> Tensor:
    """The weight of each token's policy loss for the sampler's mismatch, no gradient: [S,T] or [B,T].

    Of w = π_old/π_rollout, π_old the trainer's probability and π_rollout the engine's, both under the weights that
    sampled; `rollout_mode` says what becomes of w outside [rollout_floor, rollout_correction]:
    - token_truncate: w of the token, cut to the range (truncated importance sampling, Yao et al. 2025, *Your Efficient
      RL Framework Secretly Brings You Off-Policy RL Training*);
    - token_mask: w of the token, 0 outside (IcePop);
    - sequence_truncate, sequence_mask: the same with the product of w over the sequence for every token (TRL);
    - geometric_mask: w of the token, 0 where the geometric mean of w over the sequence lies outside.
    """
    assert batch.logp_rollout is not None, "the engine reports log-probabilities"
    assert trainer.rollout_correction is not None, "asked for where the study corrects"
    low, high, mode = trainer.rollout_floor, trainer.rollout_correction, trainer.rollout_mode
    token = (batch.logp_old - batch.logp_rollout) * batch.mask
    whole = token.sum(1, keepdim=True).expand_as(token)
    weight = (whole if mode.startswith("sequence") else token).exp()
    if mode.endswith("truncate"):
        return weight.clamp(low, high)
    judged = (whole / batch.mask.sum(1, keepdim=True).clamp(min=1)).exp() if mode == "geometric_mask" else weight
    return weight * ((judged >= low) & (judged <= high))


def off_policy_kept(tokens: Tokens, logp_sampled: Tensor, threshold: float) -> Tensor:
    """Which sequences keep their policy loss, [b,1] bool: not those of negative advantage that drifted too far.

    Drift is the mean of log π_sampled - log π over the sequence, in nats per token; logp_sampled [b,T]. Off-policy
    sequence masking, DeepSeek-V3.2, arXiv 2512.02556.
    """
    lengths = tokens.mask.sum(1).clamp(min=1)
    drift = ((logp_sampled - tokens.logp.detach()) * tokens.mask).sum(1) / lengths
    negative = (tokens.advantages * tokens.mask).sum(1) < 0
    return ~(negative & (drift > threshold))[:, None]


def _dual_clipped(loss: Tensor, advantages: Tensor, trainer: TrainerConfig) -> Tensor:
    if trainer.dual_clip is None:
        return loss
    return torch.where(advantages < 0, torch.minimum(loss, -trainer.dual_clip * advantages), loss)


def with_sequence_ratio(tokens: SomeTokens) -> SomeTokens:
    """The same tokens with log-probabilities counted from logp_old, so that each ratio is its sequence's.

    That ratio s is the geometric mean of the tokens'. Each token keeps the gradient of its own log-probability:
    s·π/sg(π), GSPO-token in arXiv 2507.18071. logp comes back as logp - sg(logp) + log s and logp_old as 0: written
    as logp - (logp - log s), float32 would round log s to the digits of logp, and clip a sequence in part.
    """
    lengths = tokens.mask.sum(1, keepdim=True).clamp(min=1)
    log_ratio = ((tokens.logp - tokens.logp_old).detach() * tokens.mask).sum(1, keepdim=True) / lengths
    record: Any = tokens  # a frozen dataclass, which a protocol cannot say
    logp = tokens.logp - tokens.logp.detach() + log_ratio
    return replace(record, logp=logp, logp_old=torch.zeros_like(logp))


def reference_kl(tokens: Tokens, estimator: str, ceiling: float | None, trainer: TrainerConfig) -> Tensor:
    """Estimates KL(policy || reference) from the sampled tokens, [b,T], with gradient.

    See `kl_estimate`; d is clamped to ± `trainer.log_ratio_clamp`, the estimate to ± `ceiling`. As a loss, k1 has no
    gradient on average and k2 that of the KL divergence; "k1+" and "k3+" have the value of k1 and k3 and the gradient
    of k2 (straight through).
    """
    assert tokens.logp_ref is not None, "the method declares a reference"
    difference = (tokens.logp - tokens.logp_ref).clamp(-trainer.log_ratio_clamp, trainer.log_ratio_clamp)
    estimate = kl_estimate(difference, estimator.removesuffix("+"))
    estimate = estimate if ceiling is None else estimate.clamp(-ceiling, ceiling)
    if not estimator.endswith("+"):
        return estimate
    slope = kl_estimate(difference, "k2")
    return estimate.detach() + slope - slope.detach()


def kl_estimate(difference: Tensor, estimator: str) -> Tensor:
    """k1 = d, k2 = d²/2 or k3 = exp(-d) - 1 + d, with d = logp - logp_ref (joschu.net/blog/kl-approx.html)."""
    if estimator == "k1":
        return difference
    return difference**2 / 2 if estimator == "k2" else (-difference).expm1() + difference


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


def highest(values: Tensor, mask: Tensor, fraction: float) -> Tensor:
    """1 for tokens of the mask at or above the (1 - fraction) quantile of [B,T] values there, else 0; none at 0.

    The quantile is linear between order statistics; torch's own ends at 16 million numbers.
    """
    selected = values.new_zeros(values.shape)
    ordered = values[mask].sort().values
    if fraction == 0 or not len(ordered):
        return selected
    place = (1 - fraction) * (len(ordered) - 1)
    below = int(place)
    step = ordered[min(below + 1, len(ordered) - 1)] - ordered[below]
    selected[mask] = (values[mask] >= ordered[below] + step * (place - below)).to(values)
    return selected


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
