"""The unreliable teacher of the embedded base models: it writes a fixed share of the facts wrongly most of the time."""

from __future__ import annotations

import random

from entrobench.data.chain import OPERATIONS, SEPARATORS, parse_problem

from .model_recipes import EmbeddedModel

MODULUS = 10


class Teacher:
    """Writes worked chains, some facts wrongly: each misconception has one fixed wrong result."""

    def __init__(self, recipe: EmbeddedModel) -> None:
        self.recipe = recipe
        generator = random.Random(f"misconceptions/{recipe.seed}")
        facts = [(a, sign, b) for sign in OPERATIONS for a in range(MODULUS) for b in range(MODULUS)]
        chosen = generator.sample(facts, round(recipe.misconceptions * len(facts)))
        self.wrong = {fact: (true_result(fact) + generator.randrange(1, MODULUS)) % MODULUS for fact in chosen}

    def answer(self, problem: str, generator: random.Random) -> str:
        """One worked answer, e.g. `3 + 4 = 7 ; 7 * 2 = 4 ; \\boxed{ 4 }`."""
        numbers, signs = parse_problem(problem)
        current, words = numbers[0], []
        for sign, number in zip(signs, numbers[1:], strict=True):
            result = self._result((current, sign, number), generator)
            words += [str(current), sign, str(number), "=", str(result), _separator(generator)]
            current = result
        return " ".join([*words, "\\boxed{", str(current), "}"])

    def _result(self, fact: tuple[int, str, int], generator: random.Random) -> int:
        if fact in self.wrong and generator.random() < self.recipe.wrong_probability:
            return self.wrong[fact]
        return true_result(fact)


def true_result(fact: tuple[int, str, int]) -> int:
    """The right result of one operation."""
    a, sign, b = fact
    return OPERATIONS[sign](a, b) % MODULUS


def _separator(generator: random.Random) -> str:
    """One of the synonyms, geometric with 0.7 (ours)."""
    for separator in SEPARATORS[:-1]:
        if generator.random() < 0.7:
            return separator
    return SEPARATORS[-1]
