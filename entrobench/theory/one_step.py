"""One step of policy optimisation by direct computation: what none, the full and the clamped bonus do to one policy.

The paper's figure of this kind gives no numbers and no setting (UNKNOWN); the start, rewards, step size, λ and p are
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from entrobench.config import setting

from .bonus import kept_actions, node_bonus
from .process import Floats, Level, Process, policy, value_gradient


@dataclass(frozen=True)
class OneStep:
    """A bandit whose start leans to a wrong action; the right one comes second, then some likely and many unlikely."""

    actions: int = setting(100_000, low=8)
    likely: int = setting(20, low=1)  # wrong actions that a sensible answer might hold
    wrong: float = setting(0.55, low=0.0, high=1.0)  # first probability of the likeliest action, reward 0
    right: float = setting(0.2, low=0.0, high=1.0)  # first probability of the one with reward 1
    tail: float = setting(0.05, low=0.0, high=1.0)  # of all the unlikely ones together
    rate: float = setting(1.0, low=0.0)  # step size η on the logits
    coefficients: list[float] = setting([0.01, 0.03, 0.1, 0.3, 1.0])
    clamps: list[float] = setting([0.33, 0.9, 0.999])

    def __post_init__(self) -> None:
        if not self.wrong + self.right + self.tail < 1:
            raise ValueError("wrong + right + tail must be below 1: the likely actions share the rest")
        if self.likely + 2 >= self.actions:
            raise ValueError("likely must leave actions for the tail")


GROUPS = ("wrong", "right", "likely", "tail")


def start(settings: OneStep) -> tuple[Process, Floats]:
    """The bandit as one row of four groups, and its first logits [1,1,4] = ln π."""
    counts = numpy.array([1.0, 1.0, settings.likely, settings.actions - settings.likely - 2])
    mass = numpy.array([settings.wrong, settings.right, 0.0, settings.tail])
    mass[2] = 1 - mass.sum()
    rewards = numpy.array([0.0, 1.0, 0.0, 0.0])
    level = Level(counts[None, None], rewards[None, None])
    return Process((level,)), numpy.log(mass / counts)[None, None]


def step(settings: OneStep, coefficient: float, clamp: float | None) -> dict[str, float]:
    """Mass of each group, expected reward and full entropy (nats) after one exact step; clamp None: no bonus."""
    process, logits = start(settings)
    counts = process.levels[0].counts
    gradient = value_gradient(process, [policy(logits, counts)])[0]
    if clamp is not None:
        kept = numpy.array([[float(kept_actions(settings.actions, clamp))]]) if clamp else None
        gradient = gradient + coefficient * node_bonus(logits, counts, kept).slope
    return described(process, logits + settings.rate * gradient)


def described(process: Process, logits: Floats) -> dict[str, float]:
    """What a policy of four groups is."""
    counts = process.levels[0].counts
    mass = (counts * policy(logits, counts).probs)[0, 0]
    row = dict(zip(GROUPS, map(float, mass), strict=True))
    return {**row, "reward": row["right"], "entropy": float(node_bonus(logits, counts, None).value[0, 0])}


def sweep(settings: OneStep) -> list[dict[str, float | str]]:
    """A row for the start, for the step without a bonus, and for each λ with the full bonus and each clamp."""
    process, logits = start(settings)
    rows: list[dict[str, float | str]] = [{"method": "start", **described(process, logits)}]
    rows.append({"method": "none", **step(settings, 0.0, None)})
    for coefficient in settings.coefficients:
        for clamp in [0.0, *settings.clamps]:
            name = "clamped" if clamp else "entropy"
            row = step(settings, coefficient, clamp)
            rows.append({"method": name, "coefficient": coefficient, "clamp": clamp, **row})
    return rows


def largest_shift(rows: Sequence[dict[str, float | str]]) -> float:
    """The most that a bonus moved the reward of the step, against the step without one."""
    plain = next(float(row["reward"]) for row in rows if row["method"] == "none")
    return max((abs(float(row["reward"]) - plain) for row in rows if "coefficient" in row), default=0.0)
