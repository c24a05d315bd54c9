"""The grader against the gathered answer pairs and real replies (../shared/grader), beside math-verify on the same."""

from __future__ import annotations

import json
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from entrobench.evaluation.grading import grader
from entrobench.evaluation.grading.grader import Verdict, grade, warm_up

FOLDER = Path(__file__).parents[2].parent / "shared" / "grader"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the grader's cases are not at {FOLDER}")
Case = dict[str, Any]


def read_cases(name: str) -> list[Case]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def side(case: Case, name: str) -> str:
    if name in case:
        return str(case[name])
    return "".join(text * times for text, times in case[f"{name}_parts"])


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for case in read_cases("cases.jsonl") if not case["contested"]]


@pytest.fixture(scope="module")
def verdicts(cases: list[Case]) -> dict[str, Verdict]:
    warm_up()
    return {case["id"]: grade(side(case, "prediction"), side(case, "gold")) for case in cases}


def right_by_category(cases: list[Case], correct: dict[str, bool]) -> dict[str, int]:
    return Counter(case["category"] for case in cases if correct[case["id"]] == case["expected"])


def test_accuracy_and_false_trues(cases: list[Case], verdicts: dict[str, Verdict]) -> None:
    ordinary = [case for case in cases if case["tier"] != "adversarial"]
    wrong = [case["id"] for case in ordinary if verdicts[case["id"]].correct != case["expected"]]
    false_trues = [case["id"] for case in ordinary if verdicts[case["id"]].correct and not case["expected"]]
    assert len(wrong) <= 0.05 * len(ordinary), wrong
    assert len(false_trues) <= 0.007 * len(ordinary), false_trues


def test_adversarial_cases(cases: list[Case], verdicts: dict[str, Verdict]) -> None:
    adversarial = [case for case in cases if case["tier"] == "adversarial"]
    wrong = [case["id"] for case in adversarial if verdicts[case["id"]].correct != case["expected"]]
    late = [case["id"] for case in adversarial if verdicts[case["id"]].seconds > case["max_seconds"]]
    assert len(wrong) <= 0.05 * len(adversarial), wrong
    assert late == []


def test_verdicts_off_the_main_thread_are_the_same(cases: list[Case], verdicts: dict[str, Verdict]) -> None:
    """All hostile cases and a tenth of the ordinary ones, judged anew."""
    ordinary = [case for case in cases if case["tier"] != "adversarial"]
    chosen = [case for case in cases if case["tier"] == "adversarial"] + ordinary[::10]
    grader._cache._known.clear()
    with ThreadPoolExecutor(2) as threads:
        again = list(threads.map(lambda case: grade(side(case, "prediction"), side(case, "gold")), chosen))
    assert [verdict.correct for verdict in again] == [verdicts[case["id"]].correct for case in chosen]
    late = [case["id"] for case, verdict in zip(chosen, again, strict=True) if verdict.seconds > case["max_seconds"]]
    assert late == []


def test_real_replies() -> None:
    replies = read_cases("responses.jsonl")
    wrong = [reply["id"] for reply in replies if grade(reply["response"], reply["gold"]).correct != reply["correct"]]
    assert len(wrong) <= 0.01 * len(replies), wrong


class TooLate(BaseException):
    """Not an Exception: sympy swallows those, math-verify's own time limit among them, and goes on for ever."""


def math_verify_says(case: Case) -> bool:
    """math-verify's verdict, its own extraction where there are delimiters, else $..$ round the text; late is wrong."""
    from math_verify import parse, verify

    sides = [
        text if "$" in text or "\\boxed" in text or "\\(" in text or "\\[" in text else f"${text}$"
        for text in both(case)
    ]
    before = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, 6, 1)  # again each second, should one be swallowed after all
    try:
        prediction, gold = (parse(text, parsing_timeout=None) for text in sides)
        return bool(verify(gold, prediction, timeout_seconds=None))
    except TooLate:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def too_late(*_: Any) -> None:
    raise TooLate


def both(case: Case) -> tuple[str, str]:
    return side(case, "prediction"), side(case, "gold")


@pytest.mark.slow
def test_no_category_falls_behind_math_verify(cases: list[Case], verdicts: dict[str, Verdict]) -> None:
    ordinary = [case for case in cases if case["tier"] != "adversarial"]
    ours = right_by_category(ordinary, {case["id"]: verdicts[case["id"]].correct for case in ordinary})
    theirs = right_by_category(ordinary, {case["id"]: math_verify_says(case) for case in ordinary})
    behind = {category: (ours[category], theirs[category]) for category in theirs if ours[category] < theirs[category]}
    assert behind == {}
