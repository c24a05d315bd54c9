"""Every gold answer of the real data sets equals itself and its solution's final answer, but for those named here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from entrobench.evaluation.grading.grader import grade, warm_up

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the real data sets are not at {FOLDER}")
SETS = (
    "aime24",
    "amc23",
    "gsm8k_test",
    "gsm8k_train",
    "math500",
    "math_test",
    "minerva_math",
    "olympiadbench",
    "svamp",
)
SAMPLE = 150  # rows of each set, about, in the fast test
# The solution boxes two values, and the data set's answer field kept only the last: an error of the field where both
# are solutions, and a matter of the problem's wording where it asks for either.
BOTH_ARE_SOLUTIONS, EITHER_IS_ASKED = "both boxes are solutions", "either box is accepted"
APART = {
    ("math_test", 414): BOTH_ARE_SOLUTIONS,
    ("math_test", 2549): BOTH_ARE_SOLUTIONS,
    ("math_test", 2703): BOTH_ARE_SOLUTIONS,
    ("math_test", 2716): EITHER_IS_ASKED,
    ("math_test", 2912): EITHER_IS_ASKED,
    ("math_test", 4559): BOTH_ARE_SOLUTIONS,
    ("math_test", 4860): BOTH_ARE_SOLUTIONS,
}


@pytest.fixture(scope="module", autouse=True)
def _warm_workers() -> None:
    warm_up()


@pytest.mark.parametrize("name", SETS)
def test_golds_of_a_sample_equal_themselves_and_their_solutions(name: str) -> None:
    """Evenly spaced rows, and those that are named above."""
    rows = rows_of(name)
    step = max(1, len(rows) // SAMPLE)
    check(name, {number: row for number, row in rows.items() if number % step == 0 or (name, number) in APART})


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_all_golds_equal_themselves_and_their_solutions(name: str) -> None:
    check(name, rows_of(name))


def rows_of(name: str) -> dict[int, dict[str, Any]]:
    lines = (FOLDER / f"{name}.jsonl").open(encoding="utf-8")
    return {number: json.loads(line) for number, line in enumerate(lines)}


def check(name: str, rows: dict[int, dict[str, Any]]) -> None:
    assert rows
    unequal = [
        (number, gold)
        for number, row in rows.items()
        for gold in golds_of(row)
        if not (grade(gold, gold).correct and grade(f"so \\boxed{{{gold}}}.", gold).correct)
    ]
    assert unequal == []
    apart = {
        number
        for number, row in rows.items()
        if "solution" in row and not grade(row["solution"], row["answer"]).correct
    }
    assert apart == {number for of, number in APART if of == name}


def golds_of(row: dict[str, Any]) -> list[str]:
    """The answer field; OlympiadBench has a list of them, judged one by one and joined."""
    several = row.get("final_answer", [])
    return [row["answer"]] if "answer" in row else [*several, ", ".join(several)]
