"""Entropy of a policy and clamped entropy, with their gradients, over groups of actions. In nats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy

from .process import Floats, Policy, Process, advantage_gradient, occupancies


class Bonus(NamedTuple):
    """An entropy at each node and its gradient at the logit of one action of each group."""

    value: Floats  # [R,N]
    slope: Floats  # [R,N,G]


def kept_actions(actions: int, clamp: float) -> int:
    """How many actions the clamp keeps: all but floor(p·|A|)."""
    from entrobench.entropy.selection import removed_count  # brings torch, which tables and figures do without

    return actions - removed_count(clamp, actions)


def kept_weights(logits: Floats, counts: Floats, kept: Floats) -> Floats:
    """1 for actions above the cut, 0 below; those equal to it share the places left, so ties do not depend on order.

    `kept` [R,1] or [R,N]: how many actions stay.
    """
    cut = _cut(logits, counts, kept)
    above, equal = logits > cut, logits == cut
    left = kept[..., None] - numpy.sum(counts * above, -1, keepdims=True)
    return above + equal * (left / numpy.sum(counts * equal, -1, keepdims=True))


def _cut(logits: Floats, counts: Floats, kept: Floats) -> Floats:
    """The logit of the last action that is kept, [R,N,1]."""
    if len(kept) == 1 and counts.min() == counts.max() == 1:  # every action a group: no need to sort them
        place = counts.shape[-1] - int(kept[0, 0])
        return numpy.partition(logits, place, axis=-1)[..., place, None]
    order = numpy.argsort(-logits, axis=-1)
    enough = numpy.cumsum(numpy.take_along_axis(counts, order, -1), -1) >= kept[..., None]
    place_of_cut = numpy.take_along_axis(order, enough.argmax(-1)[..., None], -1)
    return numpy.take_along_axis(logits, place_of_cut, -1)


def node_bonus(logits: Floats, counts: Floats, kept: Floats | None) -> Bonus:
    """Entropy renormalised over the kept actions (None: all), H̃ = ln Z − Σ q·θ; slope −q·(θ − ln Z + H̃).

    The selection has no gradient, as in the paper's code (arXiv 2509.03493).
    """
    shifted = logits - numpy.max(logits, axis=-1, keepdims=True, where=counts > 0, initial=-numpy.inf)
    powers = numpy.exp(shifted)
    if kept is not None:
        powers = powers * kept_weights(logits, counts, kept)
    total = numpy.sum(counts * powers, axis=-1, keepdims=True)
    shares, surprisals = powers / total, shifted - numpy.log(total)
    entropy = -numpy.sum(counts * shares * surprisals, axis=-1, keepdims=True)
    return Bonus(entropy[..., 0], -shares * (surprisals + entropy) * (counts > 0))


def bonuses(process: Process, logits: Sequence[Floats], kept: Floats | None) -> list[Bonus]:
    """The entropy of each node, level by level."""
    return [node_bonus(own, level.counts, kept) for own, level in zip(logits, process.levels, strict=True)]


def trajectory_entropy(process: Process, found: Sequence[Policy], own: Sequence[Bonus], aside: Floats) -> Floats:
    """Σ_t E[H(s_t)] of each row, [R]; nodes off the held ones have entropy `aside` [R] each."""
    total = numpy.zeros(len(process.levels[0].counts))
    for reached, bonus in zip(occupancies(process, found), own, strict=True):
        total = total + numpy.sum(reached * bonus.value, axis=1) + aside * (1 - numpy.sum(reached, axis=1))
    return total


def trajectory_gradient(
    process: Process, found: Sequence[Policy], own: Sequence[Bonus], aside: Floats, through_states: bool
) -> list[Floats]:
    """Gradient of `trajectory_entropy`, [R,N,G] per level.

    Without `through_states` the states are those of the sampling policy, and only the entropy at each of them is
    differentiated, as in the paper (s_t from π_b). With it, the way to later states counts, too: then it is the
    gradient of the regularised value, to which the bounds refer. At horizon 1 both are the same.
    """
    reached = occupancies(process, found)
    at_nodes = [here[..., None] * bonus.slope for here, bonus in zip(reached, own, strict=True)]
    if not through_states or process.horizon == 1:
        return at_nodes
    paid, left = following_entropies(process, own, aside)
    by_way = advantage_gradient(process, found, paid, left)
    return [node + way for node, way in zip(at_nodes, by_way, strict=True)]


def following_entropies(process: Process, own: Sequence[Bonus], aside: Floats) -> tuple[list[Floats], list[Floats]]:
    """What an action pays in entropy: that of the held node it leads to, [R,N,G]; else all below, [R,1,1]."""
    paid = []
    for number, level in enumerate(process.levels):
        following = numpy.zeros_like(level.counts)
        if number + 1 < process.horizon:
            inner = own[number + 1].value.reshape(*level.counts.shape[:2], level.branch)
            following[..., : level.branch] = inner
        paid.append(following)
    left = [aside[:, None, None] * (process.horizon - 1 - number) for number in range(process.horizon)]
    return paid, left


def uniform_entropy(process: Process, kept: Floats | None) -> Floats:
    """Entropy of a uniform node, of its kept actions where rows are clamped; nats, [R]."""
    rows = len(process.levels[0].counts)
    return numpy.log(numpy.full(rows, float(process.actions)) if kept is None else kept)
