"""The training rewards, by name."""

from __future__ import annotations

from itertools import pairwise

import pytest

from entrobench.errors import InputError
from entrobench.evaluation.grading.grader import warm_up
from entrobench.evaluation.grading.rewards import reward_function


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
