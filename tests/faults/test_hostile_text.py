"""A sample of what `make faults` does with 10,000 answers; and that nothing hostile gets out of a study's files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hostile import answer, judge_all, unconfined

from entrobench.evaluation.grading.sandbox import MEMORY_BYTES


def test_adversarial_answers_by_eight_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    outcomes, memory, _ = judge_all([answer(draw) for _ in range(200)])
    assert outcomes.total() == 200
    assert outcomes["error"] == 0
    assert 0 < memory < MEMORY_BYTES
    assert unconfined() == []
    assert list(tmp_path.iterdir()) == [], "no answer wrote a file"
