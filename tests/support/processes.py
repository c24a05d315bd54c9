"""Small decision processes for tests: every state held, every action a group of its own."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

from entrobench.theory.process import Floats, Level, Process


def dense(source: numpy.random.Generator, rows: int, actions: int, horizon: int) -> tuple[Process, list[Floats]]:
    """A whole tree of `actions`^`horizon` sequences with random rewards in [0,1], some of them 0 or 1, and logits."""
    levels, logits = [], []
    for depth in range(horizon):
        shape = (rows, actions**depth, actions)
        last = depth + 1 == horizon
        rewards = source.uniform(size=shape).round(1) if last else numpy.zeros(shape)
        levels.append(Level(numpy.ones(shape), rewards, 0 if last else actions))
        logits.append(source.normal(size=shape) * source.choice([0.3, 2.0, 8.0]))
    return Process(tuple(levels)), logits


def apart(process: Process, logits: list[Floats]) -> tuple[Process, list[Floats]]:
    """The bandit of one row with its groups taken apart: every action a group."""
    (level,), (own,) = process.levels, logits
    times = level.counts[0, 0].astype(int)
    rewards, alone = (numpy.repeat(values[0, 0], times)[None, None] for values in (level.rewards, own))
    return Process((Level(numpy.ones_like(rewards), rewards),)), [alone]


def sequence_probabilities(logits: list[Tensor]) -> Tensor:
    """ln of the probability of every sequence of a dense tree, [rows, actions^horizon]: torch, by enumeration."""
    total = torch.zeros(logits[0].shape[0], 1, dtype=torch.float64)
    for own in logits:
        total = (total[..., None] + own.log_softmax(-1)).flatten(1)
    return total
