"""Trees of actions with tabular softmax policies: values, occupancies, gradients and entropies, in float64.

A *row* is one instance: one process, one policy, one method. A *node* is a state. Actions of a node that have the same
logit and the same reward form a *group*, for an exact gradient moves them alike: 10^5 actions cost what a few dozen
groups do, and nothing is approximated. Only nodes on the way to a reward are held. The nodes away from it start
uniform, where neither reward nor entropy has a gradient, so they stay uniform and only add a constant.

Arrays are [R,N,G]: rows, nodes of a level, groups. Probabilities and gradients are those of *one* action of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

Floats = NDArray[numpy.float64]


@dataclass(frozen=True)
class Level:
    """The nodes at one depth. The first `branch` groups of each node hold one action and lead to nodes of the next."""

    counts: Floats  # [R,N,G] actions of each group, 0 where a row has no such group
    rewards: Floats  # [R,N,G] paid when an action is taken, in [0,1]
    branch: int = 0


@dataclass(frozen=True)
class Process:
    """Levels from the root down; node n's group g < branch leads to node n·branch + g of the next level."""

    levels: tuple[Level, ...]

    @property
    def horizon(self) -> int:
        return len(self.levels)

    @property
    def actions(self) -> int:
        """|A|, the same at every node."""
        return int(self.levels[0].counts[0, 0].sum())

    def take(self, rows: slice) -> Process:
        """Some of the rows."""
        return Process(tuple(Level(level.counts[rows], level.rewards[rows], level.branch) for level in self.levels))

    def repeat(self, times: int) -> Process:
        """Each row so many times, one after another."""
        repeated = [(numpy.repeat(one.counts, times, 0), numpy.repeat(one.rewards, times, 0)) for one in self.levels]
        return Process(tuple(Level(*own, one.branch) for own, one in zip(repeated, self.levels, strict=True)))


class Policy(NamedTuple):
    """What a level's logits say of one action of each group, [R,N,G]."""

    log_probs: Floats
    probs: Floats


def policy(logits: Floats, counts: Floats) -> Policy:
    """Softmax over all actions of a node, each group's logit counted as often as it has actions."""
    shifted = logits - numpy.max(logits, axis=-1, keepdims=True, where=counts > 0, initial=-numpy.inf)
    powers = numpy.exp(shifted)
    total = numpy.sum(counts * powers, axis=-1, keepdims=True)
    return Policy(shifted - numpy.log(total), powers / total)


def policies(process: Process, logits: Sequence[Floats]) -> list[Policy]:
    """The policy of each level."""
    return [policy(own, level.counts) for own, level in zip(logits, process.levels, strict=True)]


def occupancies(process: Process, found: Sequence[Policy]) -> list[Floats]:
    """Probability of reaching each node, [R,N] per level."""
    reached: list[Floats] = [numpy.ones(process.levels[0].counts.shape[:2])]
    for level, own in zip(process.levels[:-1], found[:-1], strict=True):
        chance = level.counts[..., : level.branch] * own.probs[..., : level.branch]
        down = reached[-1][..., None] * chance
        reached.append(down.reshape(len(down), -1))
    return reached


def backward(
    process: Process, found: Sequence[Policy], paid: Sequence[Floats], aside: Sequence[Floats]
) -> list[Floats]:
    """Action values [R,N,G] per level when every step pays `paid`, and an action that leads off the held nodes `aside`.

    `aside` [R,1,1] per level is what the levels below pay there; at the last level it is 0.
    """
    values: list[Floats] = []
    below: Floats | None = None
    for number in range(process.horizon - 1, -1, -1):
        level, own = process.levels[number], paid[number] + aside[number]
        if below is not None:
            inner = paid[number][..., : level.branch] + below.reshape(*own.shape[:2], level.branch)
            own = numpy.concatenate([inner, own[..., level.branch :]], axis=-1)
        values.insert(0, own)
        below = numpy.sum(level.counts * found[number].probs * own, axis=-1)
    return values


def value(process: Process, found: Sequence[Policy]) -> Floats:
    """Expected reward V of each row, [R]."""
    paid = [level.rewards for level in process.levels]
    nothing = [numpy.zeros((1, 1, 1))] * process.horizon
    root = backward(process, found, paid, nothing)[0]
    return numpy.sum(process.levels[0].counts * found[0].probs * root, axis=-1)[:, 0]


def value_gradient(process: Process, found: Sequence[Policy]) -> list[Floats]:
    """∂V/∂θ of one action per group: d(s)·π(a|s)·(Q(s,a) − V(s)), [R,N,G] per level."""
    paid = [level.rewards for level in process.levels]
    return advantage_gradient(process, found, paid, [numpy.zeros((1, 1, 1))] * process.horizon)


def advantage_gradient(
    process: Process, found: Sequence[Policy], paid: Sequence[Floats], aside: Sequence[Floats]
) -> list[Floats]:
    """Policy gradient of the expected sum of `paid`, whose own dependence on the policy does not count."""
    gradients = []
    reached = occupancies(process, found)
    for level, own, here, actions in zip(
        process.levels, found, reached, backward(process, found, paid, aside), strict=True
    ):
        mean = numpy.sum(level.counts * own.probs * actions, axis=-1, keepdims=True)
        gradients.append(here[..., None] * own.probs * (actions - mean) * (level.counts > 0))
    return gradients


def norm(process: Process, gradients: Sequence[Floats]) -> Floats:
    """Euclidean norm over all actions of all held nodes, [R]."""
    squares = [
        numpy.sum(level.counts * own**2, axis=(1, 2)) for level, own in zip(process.levels, gradients, strict=True)
    ]
    return numpy.sqrt(numpy.sum(squares, axis=0))
