"""The embedded task: chains of arithmetic modulo a number, solved one operation at a time.

A problem reads `3 + 4 * 2 =`, is worked from left to right modulo 10, and answered
`3 + 4 = 7 ; 7 * 2 = 4 ; \\boxed{ 4 }`.
The last operation is + or - only: a product of two digits is 0 modulo 10 in 27 of 100 cases, so that with * a policy
would be rewarded for answering 0 without working the chain.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from entrobench.config import setting

OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
LAST_OPERATIONS = ("+", "-")
SEPARATORS = (";", ",", "then", "so", "and", "next")


@dataclass(frozen=True)
class ChainConfig:
    """The problems of a chain dataset."""

    operations: int = setting(2, low=1, high=6, source="ours; operations per problem")
    modulus: int = setting(10, low=2, high=100, source="ours")
    problems: int | None = setting(None, low=1, source="null: every problem there is")
    seed: int = setting(0, low=0, source="ours; which problems are drawn")


def rows(config: ChainConfig) -> list[tuple[str, str]]:
    """Return (problem, answer) pairs, all distinct, in an order that the seed determines."""
    generator = random.Random(f"chain/{config.seed}")
    if config.problems is None:
        numbers = itertools.product(range(config.modulus), repeat=config.operations + 1)
        signs = list(itertools.product(*_choices(config)))
        chains = [(n, s) for n, s in itertools.product(numbers, signs)]
        generator.shuffle(chains)
    else:
        chains = list(_draw(config, generator))
    return [(problem_text(n, s), str(solve(n, s, config.modulus)[-1])) for n, s in chains]


def _choices(config: ChainConfig) -> list[tuple[str, ...]]:
    return [tuple(OPERATIONS)] * (config.operations - 1) + [LAST_OPERATIONS]


def _draw(config: ChainConfig, generator: random.Random) -> dict[tuple[tuple[int, ...], tuple[str, ...]], None]:
    """Draw `problems` distinct chains; raises ValueError when fewer exist."""
    total = config.modulus ** (config.operations + 1) * len(OPERATIONS) ** (config.operations - 1)
    if config.problems is not None and config.problems > total * len(LAST_OPERATIONS):
        raise ValueError(f"problems {config.problems}: only {total * len(LAST_OPERATIONS)} exist")
    drawn: dict[tuple[tuple[int, ...], tuple[str, ...]], None] = {}  # a dict keeps the order of drawing
    while len(drawn) < (config.problems or 0):
        numbers = tuple(generator.randrange(config.modulus) for _ in range(config.operations + 1))
        drawn[numbers, tuple(generator.choice(signs) for signs in _choices(config))] = None
    return drawn


def problem_text(numbers: Sequence[int], signs: Sequence[str]) -> str:
    """Write `3 + 4 * 2 =`."""
    parts = [str(numbers[0])]
    for sign, number in zip(signs, numbers[1:], strict=True):
        parts += [sign, str(number)]
    return " ".join([*parts, "="])


def parse_problem(problem: str) -> tuple[list[int], list[str]]:
    """Read a problem back into its numbers and operations."""
    parts = problem.removesuffix("=").split()
    return [int(number) for number in parts[::2]], parts[1::2]


def solve(numbers: Sequence[int], signs: Sequence[str], modulus: int) -> list[int]:
    """Return the running results, the answer last."""
    results = [numbers[0]]
    for sign, number in zip(signs, numbers[1:], strict=True):
        results.append(OPERATIONS[sign](results[-1], number) % modulus)
    return results[1:]
