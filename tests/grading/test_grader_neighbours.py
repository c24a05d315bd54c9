"""Wrong neighbours of right answers (one coefficient, sign, index, condition, word or place changed) earn no yes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from neighbours import KINDS, Case, draw_case

from entrobench.evaluation.grading.grader import grade, warm_up

REPORTS = Path(__file__).parents[3] / "shared" / "grader" / "reports.jsonl"


@pytest.fixture(scope="module", autouse=True)
def _warm_workers() -> None:
    warm_up()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.randoms(use_true_random=False))
def test_a_wrong_neighbour_is_wrong(random: Random) -> None:
    case = draw_case(random)
    verdict = grade(case.wrong, case.gold)
    assert not verdict.correct, (case, verdict)
    assert verdict.outcome in ("wrong", "unparsable")


@pytest.mark.parametrize("kind", KINDS)
def test_right_rewritings_are_recognised(kind: str) -> None:
    random = Random(kind)
    cases = [Case(kind, *KINDS[kind](random)) for _ in range(30)]
    missed = [case for case in cases if not grade(case.right, case.gold).correct]
    assert len(missed) <= 0.03 * len(cases), missed


@pytest.mark.slow
def test_no_yes_for_20000_wrong_neighbours() -> None:
    random, right = Random(1), 0
    for _ in range(20_000):
        case = draw_case(random)
        assert not grade(case.wrong, case.gold).correct, case
        right += grade(case.right, case.gold).correct
    assert right >= 0.97 * 20_000


@pytest.mark.skipif(not REPORTS.exists(), reason=f"the pairs from public reports are not at {REPORTS}")
def test_no_report_finds_a_wrong_yes() -> None:
    rows = [json.loads(line) for line in REPORTS.read_text(encoding="utf-8").splitlines()]
    verdicts = [(row, grade(row["prediction"], row["gold"])) for row in rows]
    assert [row["id"] for row, verdict in verdicts if verdict.correct and not row["expected"]] == []
    wrong = Counter(row["kind"] for row, verdict in verdicts if verdict.correct != row["expected"])
    assert wrong.total() <= 0.03 * len(rows), wrong
    assert [row["id"] for row, verdict in verdicts if verdict.outcome == "error"] == []
