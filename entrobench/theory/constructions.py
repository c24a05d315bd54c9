"""The synthetic decision processes of the study: one optimal set, many decoys, an uneven start. All choices are ours.

The paper's construction is UNKNOWN. Ours: |A| actions at every node, horizon H; k optimal sequences pay 1 and start
with different actions, decoys pay less, all else pays 0. The start is a policy with Gaussian logits, those of all but
the optimal sequences at a few levels, so that actions of equal logit form one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy import stats

from entrobench.config import setting

from .process import Floats, Level, Process


@dataclass(frozen=True)
class Construction:
    """One synthetic process and how its policy is trained; λ and p belong to the methods."""

    actions: int = setting(100_000, low=2, source="the paper's |A| (public notes)")
    horizon: int = setting(1, low=1)
    decoys: int = setting(0, low=0)  # actions that pay `decoy_reward`; bandits only
    decoy_reward: float = setting(0.2, low=0.0, high=1.0)  # the figure's lowest plateau
    spread: float = setting(2.0, low=0.0)  # standard deviation of the first logits
    lift: float = setting(0.0)  # added to the first logits of optimal sequences: what the start knows already
    decoy_lift: float = setting(0.0)  # the same for decoys
    difficulty: float = setting(0.0, low=0.0)  # standard deviation of the lift between units
    rate: float = setting(100.0, low=0.0)  # step size η of gradient ascent on the logits
    gradient: str = setting("exact", choices=("exact", "sampled"))
    samples: int = setting(16, low=1)  # sequences per step, for the sampled gradient
    coefficient: float = setting(0.01, low=0.0)  # λ
    clamp: float = setting(0.9, low=0.0, high=0.999999)  # p

    def __post_init__(self) -> None:
        if self.decoys and (self.horizon > 1 or self.gradient == "sampled"):
            raise ValueError("decoys are groups of actions, which only a bandit with exact gradients holds exactly")
        if self.decoys >= self.actions:
            raise ValueError("decoys must leave actions for others")


WIDTH = 0.5  # ours: between two levels of the first logits, in standard deviations
LARGEST = 4.5  # ours: the outermost level; of 10^5 Gaussian draws 0.7 lie beyond


def build(construction: Construction, optimal: int, slots: int, seed: int) -> tuple[Process, list[Floats]]:
    """One row: the process with `optimal` sequences that pay 1, and its first logits per level, [1,N,G].

    Groups: one for each of the `slots` optimal sequences that there is room for (of size 0 beyond `optimal`), then the
    decoys', then the others'. First logits of optimal sequences depend on the seed alone: fewer are a subset of more.
    """
    source = numpy.random.default_rng((seed, 0))
    lift = construction.lift + construction.difficulty * source.standard_normal()
    own = lift + construction.spread * source.standard_normal((slots, construction.horizon))
    present = (numpy.arange(slots) < optimal).astype(float)
    levels, logits = [], []
    for depth in range(construction.horizon):
        last = depth + 1 == construction.horizon
        if depth == 0:
            counts, rewards, start = _root(construction, present, own[:, 0], last)
        else:
            counts, rewards, start = _inner(construction, present, own[:, depth], last)
        levels.append(Level(counts[None], rewards[None], 0 if last else (slots if depth == 0 else 1)))
        logits.append(start[None])
    return Process(tuple(levels)), logits


Groups = tuple[Floats, Floats, Floats]  # sizes, rewards and first logits of the groups of some nodes, [N,G] each


def _root(construction: Construction, present: Floats, own: Floats, last: bool) -> Groups:
    """The node at which sequences part: optimal ones, decoys, all else."""
    decoys = histogram(construction.decoys)
    others = histogram(construction.actions - construction.decoys - int(present.sum()))
    places = construction.spread * middles()
    counts = numpy.concatenate([present, decoys, others])
    pays = [present * last, (decoys > 0) * construction.decoy_reward * last, numpy.zeros(len(others))]
    logits = numpy.concatenate([own, places + construction.decoy_lift, places])
    return counts[None], numpy.concatenate(pays)[None], logits[None]


def _inner(construction: Construction, present: Floats, own: Floats, last: bool) -> Groups:
    """Later nodes of the optimal sequences: the next action of the sequence, and all else."""
    others = histogram(construction.actions - 1)
    counts = numpy.concatenate([numpy.ones(1), others])
    logits = numpy.stack([numpy.concatenate([[value], construction.spread * middles()]) for value in own])
    rewards = numpy.zeros_like(logits)
    rewards[:, 0] = present * last
    return numpy.tile(counts, (len(own), 1)), rewards, logits


def middles() -> Floats:
    """Where the levels of the first logits lie, in standard deviations."""
    number = round(LARGEST / WIDTH)
    return (WIDTH * numpy.arange(-number, number + 1)).astype(numpy.float64)


def histogram(actions: int) -> Floats:
    """How many of some actions lie at each level: a Gaussian histogram in whole actions (largest remainders)."""
    edges = numpy.append(middles() - WIDTH / 2, LARGEST + WIDTH / 2)
    mass = numpy.diff(stats.norm.cdf(edges))
    exact = mass / mass.sum() * actions
    sizes: Floats = numpy.floor(exact).astype(numpy.float64)
    short = round(actions - float(sizes.sum()))
    sizes[numpy.argsort(-(exact - sizes), kind="stable")[:short]] += 1
    return sizes


def stack(rows: Sequence[tuple[Process, list[Floats]]]) -> tuple[Process, list[Floats]]:
    """Rows of equal shape as one process."""
    levels = []
    for parts in zip(*(process.levels for process, _ in rows), strict=True):
        counts = numpy.concatenate([part.counts for part in parts])
        levels.append(Level(counts, numpy.concatenate([part.rewards for part in parts]), parts[0].branch))
    return Process(tuple(levels)), [numpy.concatenate(own) for own in zip(*(logits for _, logits in rows), strict=True)]
