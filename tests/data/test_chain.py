"""The embedded task: every problem right by another reading of it, all distinct, drawn by the seed alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrobench.data.chain import LAST_OPERATIONS, OPERATIONS, ChainConfig, parse_problem, problem_text, rows, solve


def evaluate(problem: str, modulus: int) -> int:
    """From left to right, each step reduced: an evaluator that shares no code with the task."""
    value, *rest = re.findall(r"\d+|[-+*]", problem)
    total = int(value) % modulus
    for sign, number in zip(rest[::2], rest[1::2], strict=True):
        total = {"+": total + int(number), "-": total - int(number), "*": total * int(number)}[sign] % modulus
    return total


@given(st.integers(1, 4), st.integers(2, 30), st.integers(0, 10**6), st.integers(1, 60))
def test_answers_are_right_and_problems_distinct(operations: int, modulus: int, seed: int, count: int) -> None:
    total = modulus ** (operations + 1) * 3 ** (operations - 1) * 2
    drawn = rows(ChainConfig(operations, modulus, min(count, total), seed))
    assert len({problem for problem, _ in drawn}) == len(drawn) == min(count, total)
    for problem, answer in drawn:
        assert re.fullmatch(r"\d+( [-+*] \d+)* [-+] \d+ =", problem)
        assert problem.count(" ") == 2 * operations + 1
        assert all(int(number) < modulus for number in re.findall(r"\d+", problem))
        assert answer == str(evaluate(problem, modulus))


def test_null_gives_every_problem_once() -> None:
    everything = rows(ChainConfig(operations=2, modulus=4))
    assert len(everything) == len(dict(everything)) == 4**3 * 3 * 2
    assert all(answer == str(evaluate(problem, 4)) for problem, answer in everything)
    assert set(dict(rows(ChainConfig(2, 4, 4**3 * 3 * 2)))) == set(dict(everything))


def test_the_seed_decides() -> None:
    first = rows(ChainConfig(3, 10, 50, seed=1))
    assert rows(ChainConfig(3, 10, 50, seed=1)) == first
    assert rows(ChainConfig(3, 10, 80, seed=1))[:50] == first, "a larger draw begins alike"
    assert rows(ChainConfig(3, 10, 50, seed=2)) != first
    assert rows(ChainConfig(2, 3, seed=1)) != rows(ChainConfig(2, 3, seed=2))
    assert rows(ChainConfig(2, 3, seed=1)) == rows(ChainConfig(2, 3, seed=1))


def test_more_problems_than_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="only 18 exist"):
        rows(ChainConfig(operations=1, modulus=3, problems=19))


@given(st.lists(st.integers(0, 99), min_size=2, max_size=6), st.data())
def test_problems_read_back(numbers: list[int], data: st.DataObject) -> None:
    signs = [data.draw(st.sampled_from(sorted(OPERATIONS))) for _ in numbers[1:]]
    text = problem_text(numbers, signs)
    assert parse_problem(text) == (numbers, signs)
    results = solve(numbers, signs, 100)
    assert len(results) == len(signs)
    assert results[-1] == evaluate(text, 100)


def test_the_last_operation_is_no_product() -> None:
    assert {parse_problem(problem)[1][-1] for problem, _ in rows(ChainConfig(2, 5))} == set(LAST_OPERATIONS)
    assert {parse_problem(problem)[1][0] for problem, _ in rows(ChainConfig(2, 5))} == set(OPERATIONS)
