"""Propositions 1 and 2 of the paper along a run, as far as they can be said: inequalities in float64, per row.

The paper's constants C^π(s_0) and C_λ are UNKNOWN. Those below are ours, derived here, and make the two propositions
true; the paper's may be larger. Rewards of a whole sequence lie in [0,1]. Let P_t be the chance that the policy follows
one optimal sequence through its step t, d the chance of reaching a node, d* that of the regularised optimum.

gradient      ‖∇V‖ ≤ 2·H(π).  At a node Σ_a π|A_a| ≤ 2·(1 − max π) ≤ 2·H(π(.|s)); sum over nodes.
stationary    V* − V ≤ ‖∇V‖ / C, C = (Σ_t P_t^-2)^-1/2.  V* − V = Σ_t A(s_t, a_t) along the sequence (performance
              difference), ∂V/∂θ = d·π·A at each of its nodes; Cauchy-Schwarz. H = 1: C = π(a*).
soft gap      V_λ* − V_λ ≤ ‖∇V_λ‖² / (2·λ·C_λ), C_λ = min_s d(s)²·min_a π(a|s)² / d*(s).  At a node the gap is
              λ·KL(π‖softmax(Q/λ)) ≤ max_a (Q − λ ln π − V_λ)² / (2λ). H = 1: Mei et al. 2020 (arXiv 2005.06392).
bias          V* − V ≤ (V_λ* − V_λ) + λ·(H ln|A| − ln|A*|).  V_λ* ≥ V* + λ ln|A*|, and H(π) ≤ H ln|A|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from .bonus import bonuses, trajectory_entropy, trajectory_gradient, uniform_entropy
from .process import Floats, Policy, Process, norm, occupancies, policies, value, value_gradient


@dataclass(frozen=True)
class Bound:
    """Both sides of an inequality at each row, [R]: `left` <= `right`."""

    left: Floats
    right: Floats

    @property
    def holds(self) -> Floats:
        """1 where it holds in float64: rounding may cost 1e-12 of the larger side, or 1e-13 near 0."""
        slack = 1e-12 * numpy.maximum(numpy.abs(self.left), numpy.abs(self.right)) + 1e-13
        return (self.left <= self.right + slack).astype(float)


def sequences(process: Process) -> tuple[Floats, Floats]:
    """Reward of whole sequences by their last action, [R,N,G] of the last level, and how many there are of each.

    Rewards are paid at the last action. Sequences that leave the held nodes pay 0 and are not among them.
    """
    last = process.levels[-1]
    alive: Floats = numpy.ones(process.levels[0].counts.shape[:2])
    for level in process.levels[:-1]:
        alive = (alive[..., None] * (level.counts[..., : level.branch] > 0)).reshape(len(alive), -1)
    return last.rewards, last.counts * alive[..., None]


def optimal_number(process: Process) -> tuple[Floats, Floats]:
    """V* and |A*|: the best reward of a sequence, and how many sequences have it, [R] each."""
    rewards, numbers = sequences(process)
    best = numpy.where(numbers > 0, rewards, -numpy.inf).max(axis=(1, 2))
    return best, numpy.sum(numbers * (rewards == best[:, None, None]), axis=(1, 2))


def soft_optimum(
    process: Process, coefficients: Floats, actions: Floats | float | None = None
) -> tuple[Floats, Floats]:
    """V_λ* = λ ln Σ e^(R/λ) over all sequences, and the reward of the policy that reaches it, [R] each.

    That policy takes a sequence with probability ∝ e^(R/λ). `actions` [R]: |A|, or how many of them an ideal clamp
    keeps, one that never removes a paid sequence.
    """
    rewards, numbers = sequences(process)
    size = float(process.actions) if actions is None else actions
    paid = numbers * (rewards > 0)
    unpaid = size**process.horizon - numpy.sum(paid, axis=(1, 2))
    temperature = coefficients[:, None, None]
    best = rewards.max(axis=(1, 2))
    weights = paid * numpy.exp((rewards - best[:, None, None]) / temperature)
    total = numpy.sum(weights, axis=(1, 2)) + unpaid * numpy.exp(-best / coefficients)
    return best + coefficients * numpy.log(total), numpy.sum(weights * rewards, axis=(1, 2)) / total


def soft_optimal_logits(process: Process, coefficients: Floats) -> list[Floats]:
    """Logits of the policy that takes a sequence with probability ∝ e^(R/λ): the soft action values over λ."""
    temperature = coefficients[:, None, None]
    log_actions = numpy.log(float(process.actions))
    values: list[Floats] = []
    below: Floats | None = None
    for depth in range(process.horizon - 1, -1, -1):
        level = process.levels[depth]
        own = level.rewards / temperature + (process.horizon - 1 - depth) * log_actions
        if below is not None:
            inner = level.rewards[..., : level.branch] / temperature + below.reshape(*own.shape[:2], level.branch)
            own = numpy.concatenate([inner, own[..., level.branch :]], axis=-1)
        values.insert(0, own)
        top = own.max(-1, keepdims=True)
        below = (top + numpy.log(numpy.sum(level.counts * numpy.exp(own - top), -1, keepdims=True)))[..., 0]
    return values


def bias(process: Process, coefficients: Floats) -> Floats:
    """λ·(H ln|A| − ln|A*|), [R]."""
    _, number = optimal_number(process)
    return coefficients * (process.horizon * numpy.log(float(process.actions)) - numpy.log(number))


def lojasiewicz(process: Process, found: Sequence[Policy]) -> Floats:
    """C of the first proposition, [R]: the largest over the optimal sequences."""
    reached, squares = occupancies(process, found), None
    for level, own, here in zip(process.levels, found, reached, strict=True):
        through = here[..., None] * own.probs
        with numpy.errstate(divide="ignore"):
            inverse = 1 / numpy.square(through)
        squares = inverse if squares is None else squares.reshape(*here.shape)[..., None] + inverse
        followed = squares if level.branch == 0 else squares[..., : level.branch]
        squares = followed
    rewards, numbers = sequences(process)
    assert squares is not None
    best = numpy.where(numbers > 0, rewards, -1.0)
    squares = numpy.where(best == best.max(axis=(1, 2), keepdims=True), squares, numpy.inf)
    return 1 / numpy.sqrt(squares.min(axis=(1, 2)))


def gradient_bound(process: Process, logits: Sequence[Floats]) -> Bound:
    """‖∇V‖ ≤ 2·H(π), H the entropy of whole sequences."""
    found = policies(process, logits)
    entropy = trajectory_entropy(process, found, bonuses(process, logits, None), uniform_entropy(process, None))
    return Bound(norm(process, value_gradient(process, found)), 2 * entropy)


def stationary_bound(process: Process, logits: Sequence[Floats]) -> Bound:
    """Proposition 1 with our constant: V* − V ≤ ‖∇V‖ / C."""
    found = policies(process, logits)
    best, _ = optimal_number(process)
    slope = norm(process, value_gradient(process, found))
    with numpy.errstate(divide="ignore", invalid="ignore"):
        right = slope / lojasiewicz(process, found)
    return Bound(best - value(process, found), right)


def soft_value(process: Process, logits: Sequence[Floats], coefficients: Floats) -> Floats:
    """V_λ = V + λ·H, [R]."""
    found = policies(process, logits)
    entropy = trajectory_entropy(process, found, bonuses(process, logits, None), uniform_entropy(process, None))
    return value(process, found) + coefficients * entropy


def soft_gradient(process: Process, logits: Sequence[Floats], coefficients: Floats) -> list[Floats]:
    """∇V_λ, through the states, [R,N,G] per level."""
    found = policies(process, logits)
    own = bonuses(process, logits, None)
    slopes = trajectory_gradient(process, found, own, uniform_entropy(process, None), through_states=True)
    reward = value_gradient(process, found)
    return [one + coefficients[:, None, None] * other for one, other in zip(reward, slopes, strict=True)]


def soft_gap(process: Process, logits: Sequence[Floats], coefficients: Floats) -> Bound:
    """The first term of Proposition 2 with our constant: V_λ* − V_λ ≤ ‖∇V_λ‖² / (2·λ·C_λ)."""
    found, ideal = policies(process, logits), soft_optimal_logits(process, coefficients)
    here = occupancies(process, found)
    there = occupancies(process, policies(process, ideal))
    constant = numpy.full(len(coefficients), numpy.inf)
    for level, own, reached, wanted in zip(process.levels, found, here, there, strict=True):
        least = numpy.min(own.probs, axis=-1, where=level.counts > 0, initial=1.0)
        with numpy.errstate(divide="ignore", invalid="ignore"):
            node = numpy.where(wanted > 0, (reached * least) ** 2 / wanted, numpy.inf)
        constant = numpy.minimum(constant, node.min(axis=1))
    slope = norm(process, soft_gradient(process, logits, coefficients))
    best, _ = soft_optimum(process, coefficients)
    with numpy.errstate(divide="ignore"):
        right = slope**2 / (2 * coefficients * constant)
    return Bound(best - soft_value(process, logits, coefficients), right)


def bias_bound(process: Process, logits: Sequence[Floats], coefficients: Floats) -> Bound:
    """Proposition 2 without its unknown constant: V* − V ≤ (V_λ* − V_λ) + λ·(H ln|A| − ln|A*|)."""
    best, _ = optimal_number(process)
    gap = soft_optimum(process, coefficients)[0] - soft_value(process, logits, coefficients)
    return Bound(best - value(process, policies(process, logits)), gap + bias(process, coefficients))
