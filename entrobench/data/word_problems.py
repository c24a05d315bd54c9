"""Arithmetic for small pretrained models: word problems of one step, sums of two-digit numbers, products of two digits.

A problem reads `Ben has 14 pens and gives 5 of them to Mia. How many pens does Ben have left?` and is answered
`14 - 5 = 9`: the two numbers in their order, the operation, and the result last. Its answer is the result.

What is held out is never seen in training: pairs of operands under an operation, by hash and in either order where the
order does not matter, and wordings, the last of each list below.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from entrobench.config import setting

OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
STORIES: dict[str, tuple[str, ...]] = {  # the first number comes first; no other number is in the text
    "+": (
        "{name} has {a} {things} and gets {b} more from {friend}. How many {things} does {name} have now?",
        "There are {a} {things} in one box and {b} {things} in another. How many {things} are there in all?",
        "{name} found {a} {things} in the morning and {b} in the evening. How many {things} did {name} find?",
        "{name} has {a} {things}. {friend} has {b} {things}. How many {things} do they have together?",
        "A shop sold {a} {things} on Monday and {b} on Tuesday. How many {things} did it sell on both days?",
        "{name} put {a} {things} on the table, then {b} more. How many {things} are on the table?",
        "After {a} {things} came {b} more {things}. How many {things} came?",
        "{friend} counted {a} {things} and {name} counted {b} others. How many {things} did they count?",
    ),
    "-": (
        "{name} has {a} {things} and gives {b} of them to {friend}. How many {things} does {name} have left?",
        "There were {a} {things} on the table. {name} took {b} of them. How many {things} are still there?",
        "{name} had {a} {things} and lost {b}. How many {things} does {name} have now?",
        "A box holds {a} {things}, and {b} of them are broken. How many {things} are not broken?",
        "{name} needs {a} {things} and has {b}. How many more {things} does {name} need?",
        "A shop had {a} {things} and sold {b}. How many {things} are left in the shop?",
        "Of {a} {things}, {b} belong to {friend} and the rest to {name}. How many {things} belong to {name}?",
        "{name} has {a} {things}, {friend} has {b}. How many more {things} does {name} have?",
    ),
    "*": (
        "{name} buys {a} bags with {b} {things} in each bag. How many {things} does {name} have?",
        "Each of {a} children has {b} {things}. How many {things} do they have together?",
        "There are {a} rows with {b} {things} in each row. How many {things} are there?",
        "{name} fills {a} boxes and puts {b} {things} into each. How many {things} does {name} need?",
        "For {a} days {name} makes {b} {things} a day. How many {things} does {name} make?",
        "{name} gives {a} friends {b} {things} each. How many {things} does {name} give away?",
        "A shelf has {a} drawers, and {b} {things} lie in every drawer. How many {things} lie in the shelf?",
        "{friend} packs {a} parcels of {b} {things}. How many {things} does {friend} pack?",
    ),
}
BARE: dict[str, tuple[str, ...]] = {
    "+": ("What is {a} + {b}?", "Add {a} and {b}.", "{a} + {b} = ?", "How much is {a} plus {b}?"),
    "*": ("What is {a} * {b}?", "Multiply {a} by {b}.", "{a} * {b} = ?", "How much is {a} times {b}?"),
}
HELD_OUT_WORDINGS = 2  # of each list: they are in the test split only
NAMES = ("Tom", "Anna", "Ben", "Mia", "Leo", "Sara", "Max", "Nina", "Sam", "Lucy", "Paul", "Emma", "Jack", "Rosa")
THINGS = ("apples", "books", "coins", "pens", "cards", "shells", "eggs", "stamps", "balls", "cups", "nuts", "keys")
NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class WordProblemConfig:
    """How many problems of each kind, and how large their numbers are."""

    stories: int = setting(4000, low=0, source="ours; word problems, a third of each operation")
    sums: int = setting(1600, low=0, source="ours; of two numbers from 10 to 99")
    products: int = setting(160, low=0, source="ours; of two numbers from 2 to 9: few exist")
    largest: int = setting(30, low=4, high=99, source="ours; the largest number of a story, products excepted")
    seed: int = setting(0, low=0, source="ours; which problems are drawn")


@dataclass(frozen=True)
class WordProblem:
    """One problem; `wording` is its text before names and numbers are put in."""

    text: str
    operation: str
    operands: tuple[int, int]
    wording: str

    @property
    def result(self) -> int:
        return OPERATIONS[self.operation](*self.operands)

    @property
    def pair(self) -> str:
        """Operation and operands, sorted where their order does not matter."""
        a, b = self.operands if self.operation == "-" else sorted(self.operands)
        return f"{a} {self.operation} {b}"


def problems(config: WordProblemConfig) -> list[WordProblem]:
    """All problems, their texts distinct, in an order that the seed determines. ValueError where fewer exist."""
    generator = random.Random(f"word problems/{config.seed}")
    drawn = [
        *_draw("stories", config.stories, lambda: _story(config, generator)),
        *_draw("sums", config.sums, lambda: _bare("+", 10, 99, generator)),
        *_draw("products", config.products, lambda: _bare("*", 2, 9, generator)),
    ]
    generator.shuffle(drawn)
    return drawn


def _draw(kind: str, count: int, draw: Callable[[], WordProblem]) -> Iterator[WordProblem]:
    """Draw until there are `count` distinct ones; gives up where draws hardly find a new one any more."""
    seen: set[str] = set()
    tries = 0
    while len(seen) < count:
        problem = draw()
        tries += 1
        if tries > 20 * count + 1000:
            raise ValueError(f"{kind} {count}: too few distinct problems exist ({len(seen)} were found)")
        if problem.text not in seen and problem.operands != (2, 2):  # whose sum is its product
            seen.add(problem.text)
            yield problem


def _story(config: WordProblemConfig, generator: random.Random) -> WordProblem:
    operation = generator.choice(list(OPERATIONS))
    if operation == "*":
        a, b = generator.randint(2, 9), generator.randint(2, 9)
    else:
        a, b = (generator.randint(2, config.largest) for _ in range(2))
    if operation == "-":
        a, b = max(a, b) + (a == b), min(a, b)
    name, friend = generator.sample(NAMES, 2)
    wording = generator.choice(STORIES[operation])
    text = wording.format(a=a, b=b, name=name, friend=friend, things=generator.choice(THINGS))
    return WordProblem(text, operation, (a, b), wording)


def _bare(operation: str, low: int, high: int, generator: random.Random) -> WordProblem:
    a, b = generator.randint(low, high), generator.randint(low, high)
    wording = generator.choice(BARE[operation])
    return WordProblem(wording.format(a=a, b=b), operation, (a, b), wording)


def held_out_wordings() -> frozenset[str]:
    """The wordings of the test split."""
    lists = [*STORIES.values(), *BARE.values()]
    return frozenset(wording for wordings in lists for wording in wordings[-HELD_OUT_WORDINGS:])


def pair_identifier(pair: str) -> str:
    """16 hexadecimal digits by which a pair's split is chosen, whatever else the dataset holds."""
    return hashlib.sha256(f"pair/{pair}".encode()).hexdigest()[:16]


def worked_answer(problem: str, answer: str) -> str:
    """The answer as it is to be written, `14 - 5 = 9`. ValueError for a text that is no problem of this kind."""
    numbers = [int(number) for number in NUMBER.findall(problem)]
    fits = [sign for sign, result in OPERATIONS.items() if len(numbers) == 2 and str(result(*numbers)) == answer]
    if not fits:
        raise ValueError(f"{problem!r} with the answer {answer!r} is no word problem of one step")
    return f"{numbers[0]} {fits[0]} {numbers[1]} = {answer}"
