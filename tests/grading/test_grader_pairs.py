"""The grader on answer pairs of our own: many notations of each kind of answer, equal and unequal."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from entrobench.evaluation.grading.grader import grade, warm_up

FILE = Path(__file__).parents[1] / "fixtures" / "grader_pairs.jsonl"
GROUPS: dict[str, list[dict[str, str | bool]]] = defaultdict(list)
for line in FILE.read_text(encoding="utf-8").splitlines():
    pair = json.loads(line)
    GROUPS[pair["group"]].append(pair)


@pytest.fixture(scope="module", autouse=True)
def _warm_workers() -> None:
    warm_up()


@pytest.mark.parametrize("group", GROUPS)
def test_every_pair_of_the_group(group: str) -> None:
    pairs = GROUPS[group]
    verdicts = [grade(str(pair["prediction"]), str(pair["gold"]), seconds=10) for pair in pairs]
    wrong = [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.correct != pair["correct"]]
    assert wrong == []
    assert {True, False} <= {pair["correct"] for pair in pairs}
