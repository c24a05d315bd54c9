"""maj@n: which answers to a problem are one and the same vote, as the grader compares answers, and which one wins."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from entrobench.evaluation.grading.grader import decide_fast, judge_answer, warm_up
from entrobench.evaluation.grading.reading.normalization import Unreadable

if TYPE_CHECKING:
    from pandas import DataFrame, Series

DEADLINE = 20.0  # seconds of wall; ten times the grader's own, so that a busy machine counts the same votes


def majority(votes: DataFrame, problem: list[str]) -> Series[float]:
    """Expected correctness of the answer that most draws give, ties broken at random; indexed by `problem`.

    `votes` has a row per draw that votes, with the columns `problem` (the last two name benchmark and problem),
    extracted_prediction and correct.
    """
    question = problem[-2:]
    answers = votes[[*question, "extracted_prediction", "correct"]].drop_duplicates()
    found = {}
    for key, rows in answers.groupby(question, sort=False, observed=True):
        right = set(rows.loc[rows["correct"], "extracted_prediction"])
        for answer, group in groups_of(rows["extracted_prediction"].drop_duplicates(), right).items():
            found[(*key, answer)] = group
    asked = zip(*(votes[name] for name in (*question, "extracted_prediction")), strict=True)
    grouped = votes.assign(answer=[found[key] for key in asked]).groupby([*problem, "answer"], observed=True)
    counts = grouped["correct"].agg(["size", "mean"])
    most = counts["size"].groupby(level=problem, observed=True).transform("max")
    return counts.loc[counts["size"] == most, "mean"].groupby(level=problem, observed=True).mean()


def groups_of(answers: Iterable[str], right: set[str]) -> dict[str, int]:
    """Number the different values among the answers to one problem: 1/2, 0.5 and \\frac12 are one.

    Those in `right` all equal the gold answer, so they are one; others are compared as the grader compares a prediction
    with a gold answer. That is not transitive for rounded numbers, so the answers are taken in the order of their text.
    """
    groups: dict[str, int] = {}
    texts: list[str] = []  # one answer of each group
    for answer in sorted(answers, key=lambda text: (text not in right, text)):
        same = 0 if answer in right and texts else _first_equal(answer, texts)
        groups[answer] = same
        if same == len(texts):
            texts.append(answer)
    return groups


def _first_equal(answer: str, texts: Sequence[str]) -> int:
    """The place of the first text of equal value, or the next free one."""
    return next((place for place, text in enumerate(texts) if _equal(answer, text)), len(texts))


def _equal(answer: str, other: str) -> bool:
    """As the grader compares; algebra gets the whole deadline, for the start of its worker is not counted."""
    try:
        decided = decide_fast(answer, other)
    except Unreadable:
        return False
    if decided is not None:
        return decided[0] == "correct"
    warm_up()
    return judge_answer(answer, other, "a vote", time.monotonic(), DEADLINE).correct
