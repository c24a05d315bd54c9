"""The training rewards, by name."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from entrobench.data.chain import ChainConfig, rows
from entrobench.errors import InputError
from entrobench.evaluation.grading.grader import warm_up
from entrobench.evaluation.grading.rewards import reward_function
from entrobench.models.recipes import EmbeddedModel
from entrobench.models.teacher import Teacher


@pytest.fixture(scope="module", autouse=True)
def _warm_workers() -> None:
    warm_up()


@pytest.mark.parametrize(
    ("response", "finished", "correct"),
    [
        ("3+4=7 \\boxed{7}", True, True),
        ("3+4=7 \\boxed{ 7.0 }", True, True),
        ("3+4=8 \\boxed{8}", True, False),
        ("3+4=7 \\boxed{7}", False, False),
        ("3+4=7", True, False),
        ("\\boxed{7} \\boxed{7}", True, False),
        ("\\boxed{7", True, False),
        ("\\boxed{}", True, False),
        ("", True, False),
    ],
)
def test_boxed_wants_an_end_and_one_closed_box(response: str, finished: bool, correct: bool) -> None:
    verdict = reward_function("boxed")(response, "7", finished)
    assert verdict.correct is correct
    assert verdict.correct == (verdict.outcome == "correct")


def test_boxed_uses_the_whole_grader_on_the_box() -> None:
    assert reward_function("boxed")("\\boxed{2x+2}", "2(x+1)", True).correct


def test_entrobench_reads_the_whole_reply() -> None:
    reward = reward_function("entrobench")
    assert reward("The answer is 7.", "7", False).correct
    assert not reward("The answer is 8.", "7", True).correct


def test_paper_is_math_verify_over_the_whole_reply() -> None:
    reward = reward_function("paper")
    reward("warm", "1", True)  # the first call imports math-verify in the worker
    assert reward("so we get $\\frac{1}{2}$ as the answer", "0.5", True).correct
    assert not reward("so we get \\boxed{3}", "4", True).correct
    assert reward("\\boxed{4}", "4", False).correct  # the published runs scored truncated replies like any other


def test_paper_survives_what_math_verify_does_not() -> None:
    verdict = reward_function("paper")("\\boxed{9^{9^{9^{9}}}}", "1", True)
    assert not verdict.correct


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("3 + 4 = 7 ; 7 * 5 = 5 ; 5 - 9 = 6 ; \\boxed{ 6 }", "correct"),
        ("3 + 4 = 7 then 7 * 5 = 5 , so 5 - 9 = 6 next \\boxed{6}", "correct"),
        ("3 + 4 = 8 ; 8 * 5 = 0 ; 0 - 9 = 1 ; \\boxed{ 1 }", "wrong"),
        ("3 + 4 = 7 ; 7 * 5 = 5 ; 5 - 9 = 6 ; \\boxed{ 7 }", "wrong"),
        ("0 + 6 = 6 ; \\boxed{ 6 }", "wrong"),  # true, and not this problem's
        ("4 + 3 = 7 ; 7 * 5 = 5 ; 5 - 9 = 6 ; \\boxed{ 6 }", "wrong"),  # operands in another order
        ("3 + 4 = 9 ; 9 * 5 = 5 ; 5 - 9 = 6 ; \\boxed{ 6 }", "wrong"),  # a lucky answer of a false chain
        ("3 + 4 = 7 ; 7 * 5 = 5 ; 5 - 9 = 6 ; 6 + 0 = 6 ; \\boxed{ 6 }", "wrong"),
        ("\\boxed{ 6 }", "wrong"),
        ("3 + 4 = 7 ; 7 * 5 = 5 ; 8 5 - 9 = 6 ; \\boxed{ 6 }", "unparsable"),
        ("3 + 4 = 7 ; 7 * 5 = 5 ; 5 - 9 = 6 ; \\boxed{ 6 } 6", "unparsable"),
        ("3 + 4 = 7 ; 7 * 5 = 5 ; 5 - 9 = 6 ;", "unparsable"),
        ("", "unparsable"),
    ],
)
def test_chain_wants_every_step_of_this_problem_true(response: str, outcome: str) -> None:
    verdict = reward_function("chain")(response, "6", True, "", "3 + 4 * 5 - 9 =")
    assert verdict.outcome == outcome
    assert verdict.correct == (outcome == "correct")


def test_chain_agrees_with_the_teacher_and_the_generator() -> None:
    """Every worked answer of a teacher without misconceptions is true, none of one that always errs."""
    config = ChainConfig(operations=3, problems=200)
    for misconceptions, right in ((0.0, 200), (1.0, 0)):
        teacher = Teacher(EmbeddedModel(datasets=["chain3"], misconceptions=misconceptions, wrong_probability=1.0))
        draws = random.Random(0)
        judged = [
            reward_function("chain")(teacher.answer(problem, draws), gold, True, "", problem)
            for problem, gold in rows(config)
        ]
        assert sum(verdict.correct for verdict in judged) == right
        assert {verdict.outcome for verdict in judged} == {"correct" if right else "wrong"}


@pytest.mark.parametrize(("problem", "gold"), [("What is 2?", "2"), ("", "1"), ("30 + 40 =", "70")])
def test_chain_refuses_problems_of_another_kind(problem: str, gold: str) -> None:
    with pytest.raises(InputError, match=r"trainer.reward: chain: "):
        reward_function("chain")("\\boxed{2}", gold, True, "", problem)


def test_random_is_drawn_by_the_key_alone() -> None:
    reward = reward_function("random")
    drawn = [reward("\\boxed{7}", "7", True, f"0/problem/{number}/3").correct for number in range(4000)]
    assert drawn == [reward("nonsense", "1", False, f"0/problem/{number}/3").correct for number in range(4000)]
    assert abs(sum(drawn) / 4000 - 0.5) < 0.025  # three standard deviations
    pairs = sum(a == b for a, b in pairwise(drawn))
    assert abs(pairs / 3999 - 0.5) < 0.025, "neighbours are independent"


def test_an_unknown_reward_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'boxed'"):
        reward_function("boxd")
