"""Gradient ascent on the logits of many rows at once: no bonus, full or clamped entropy, constant or adaptive λ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy

from entrobench.config import setting

from .bonus import Bonus, bonuses, trajectory_entropy, trajectory_gradient, uniform_entropy
from .process import Floats, Level, Policy, Process, norm, occupancies, policies, value, value_gradient

BLOCK = 2**15  # logits ascended together: their arrays stay in the processor's caches


@dataclass(frozen=True)
class Controller:
    """The paper's adaptive coefficient (eq. 4.1), one per row; the numbers are ours, in nats per action."""

    low: float = setting(1.0, low=0.0)
    high: float = setting(3.0, low=0.0)
    rate: float = setting(0.001, low=0.0)  # β
    floor: float = setting(0.001, low=1e-6)  # the box of λ
    ceiling: float = setting(0.2, low=1e-6)

    def __post_init__(self) -> None:
        if self.low > self.high or self.floor > self.ceiling:
            raise ValueError("low must not exceed high, nor floor ceiling")

    def update(self, coefficient: Floats, entropy: Floats) -> Floats:
        """λ ← clip(λ − β·[min(0, H̃ − low) + max(0, H̃ − high)], floor, ceiling); both [R]."""
        gap = numpy.minimum(0, entropy - self.low) + numpy.maximum(0, entropy - self.high)
        return numpy.clip(coefficient - self.rate * gap, self.floor, self.ceiling)


@dataclass(frozen=True)
class Ascent:
    """How rows are trained. Arrays [R]; all rows have a bonus or none has, all are clamped or none is."""

    rates: Floats  # step size η
    coefficients: Floats | None = None  # first λ; None: no bonus
    kept: Floats | None = None  # actions that the clamp keeps; None: all
    controller: Controller | None = None  # None: λ stays
    samples: int = 0  # sequences per step behind the gradient of the reward; 0: the exact gradient
    streams: Sequence[int] = ()  # a number per row: rows of equal number draw equal random numbers
    through_states: bool = False

    def take(self, rows: slice) -> Ascent:
        """Some of the rows."""
        coefficients = None if self.coefficients is None else self.coefficients[rows]
        kept = None if self.kept is None else self.kept[rows]
        return replace(self, rates=self.rates[rows], coefficients=coefficients, kept=kept, streams=self.streams[rows])


@dataclass
class State:
    """A policy on its way: what its logits say, and its λ."""

    step: int
    process: Process
    logits: list[Floats]
    policies: list[Policy]
    bonus: list[Bonus] | None
    coefficients: Floats | None  # [R]


Look = Callable[[State], dict[str, Floats]]


def ascend(
    process: Process, logits: Sequence[Floats], ascent: Ascent, look_at: Sequence[int], look: Look
) -> dict[str, Floats]:
    """Train until the last step of `look_at`; what `look` sees at these steps, {name: [len(look_at), R]}.

    Rows are independent of each other, so they are taken in blocks that fit the caches.
    """
    rows = len(ascent.rates)
    size = max(1, BLOCK // max(sum(own[0].size for own in logits), 1))
    parts = []
    for first in range(0, rows, size):
        chosen = slice(first, min(first + size, rows))
        part = [own[chosen] for own in logits]
        parts.append(_ascend(process.take(chosen), part, ascent.take(chosen), look_at, look))
    return {name: numpy.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def _ascend(
    process: Process, logits: Sequence[Floats], ascent: Ascent, look_at: Sequence[int], look: Look
) -> dict[str, Floats]:
    logits = [own.copy() for own in logits]
    coefficients = ascent.coefficients
    draws = Draws(process, ascent) if ascent.samples else None
    rates, wanted, seen = ascent.rates[:, None, None], set(look_at), []
    kept = None if ascent.kept is None else ascent.kept[:, None]
    for step in range(max(look_at) + 1):
        found = policies(process, logits)
        bonus = None if coefficients is None else bonuses(process, logits, kept)
        if step in wanted:
            seen.append(look(State(step, process, logits, found, bonus, coefficients)))
        gradients = value_gradient(process, found) if draws is None else draws.gradient(found)
        if coefficients is not None and bonus is not None:
            aside = uniform_entropy(process, ascent.kept)
            slopes = trajectory_gradient(process, found, bonus, aside, ascent.through_states)
            gradients = [
                own + coefficients[:, None, None] * slope for own, slope in zip(gradients, slopes, strict=True)
            ]
            if ascent.controller is not None:
                entropy = trajectory_entropy(process, found, bonus, aside) / process.horizon
                coefficients = ascent.controller.update(coefficients, entropy)
        for own, gradient in zip(logits, gradients, strict=True):
            own += rates * gradient
    return {name: numpy.stack([row[name] for row in seen]) for name in seen[0]}


class Draws:
    """Sampled gradients: REINFORCE without a baseline, so that only sequences that are paid move any logit.

    That keeps groups of unpaid actions exact. Draws come from (stream, step) alone, so methods share them.
    """

    def __init__(self, process: Process, ascent: Ascent) -> None:
        for level in process.levels:
            if ((level.rewards > 0) & (level.counts > 1)).any():
                raise ValueError("a sampled gradient needs groups of one action where rewards are paid")
        if any(level.rewards.any() for level in process.levels[:-1]):
            raise ValueError("a sampled gradient needs rewards at the last action alone")
        self.process, self.samples = process, ascent.samples
        names = list(dict.fromkeys(ascent.streams))
        self.sources = [numpy.random.default_rng((name, 1)) for name in names]
        self.stream = numpy.array([names.index(name) for name in ascent.streams])

    def gradient(self, found: Sequence[Policy]) -> list[Floats]:
        """Mean over the drawn sequences of R·∂ln π, [R,N,G] per level."""
        paid = self._paid(found)
        gradients: list[Floats] = []
        for level, own in zip(reversed(self.process.levels), reversed(found), strict=True):
            actions = paid if not gradients else self._above(level, paid)
            total = actions.sum(-1)
            gradients.insert(0, (actions - own.probs * total[..., None]) * (level.counts > 0))
            paid = total
        return gradients

    def _above(self, level: Level, below: Floats) -> Floats:
        """What was paid behind each action of a level that leads on: [R,N·branch] -> [R,N,G]."""
        actions = numpy.zeros_like(level.counts)
        actions[..., : level.branch] = below.reshape(*actions.shape[:2], level.branch)
        return actions

    def _paid(self, found: Sequence[Policy]) -> Floats:
        """Reward of the drawn sequences over their number, at the last action of each: [R,N,G]."""
        last = self.process.levels[-1]
        chances = occupancies(self.process, found)[-1][..., None] * found[-1].probs * last.counts
        chances = (chances * (last.rewards > 0)).reshape(len(chances), -1)
        bounds = numpy.cumsum(chances, axis=1)
        uniform = numpy.stack([source.random(self.samples) for source in self.sources])[self.stream]
        place = (uniform[:, :, None] >= bounds[:, None, :]).sum(-1)
        hits = numpy.zeros((len(chances), chances.shape[1] + 1))
        numpy.add.at(hits, (numpy.arange(len(hits))[:, None], place), 1 / self.samples)
        return hits[:, :-1].reshape(last.counts.shape) * last.rewards


def watch(state: State) -> dict[str, Floats]:
    """Reward, its gradient's norm, the full entropy of the policy (nats), the entropy of the bonus and λ, [R] each."""
    process = state.process
    full = bonuses(process, state.logits, None)
    entropy = trajectory_entropy(process, state.policies, full, uniform_entropy(process, None))
    rows: dict[str, Floats] = {
        "reward": value(process, state.policies),
        "norm": norm(process, value_gradient(process, state.policies)),
        "entropy": entropy,
    }
    if state.bonus is not None and state.coefficients is not None:
        reached = occupancies(process, state.policies)
        rows["bonus"] = numpy.sum([(d * b.value).sum(1) for d, b in zip(reached, state.bonus, strict=True)], axis=0)
        rows["coefficient"] = state.coefficients
    return rows
