"""Word problems: what they say is what they ask, and what is held out is never trained on."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrobench.data.datasets import SPLITS, check_spec, load_rows, prepare, split_names
from entrobench.data.word_problems import (
    BARE,
    OPERATIONS,
    STORIES,
    WordProblemConfig,
    held_out_wordings,
    problems,
    worked_answer,
)
from entrobench.errors import InputError

RECIPE = Path(__file__).parents[2] / "config" / "datasets" / "word_problems.yaml"
WHERE = "config/datasets/mine.yaml"


@pytest.fixture(scope="module")
def made() -> list[Any]:
    return problems(WordProblemConfig())


def test_there_are_thousands_and_all_differ(made: list[Any]) -> None:
    assert len(made) == 4000 + 1600 + 160
    assert len({problem.text for problem in made}) == len(made)
    stories = [problem for problem in made if problem.wording not in {w for own in BARE.values() for w in own}]
    assert len(stories) == 4000
    counts = Counter(problem.operation for problem in stories)
    assert all(abs(counts[sign] - 4000 / 3) < 5 * (4000 * 2 / 9) ** 0.5 for sign in OPERATIONS), "a third each"


def test_each_text_asks_for_its_result(made: list[Any]) -> None:
    for problem in made:
        a, b = problem.operands
        assert re.findall(r"\d+", problem.text) == [str(a), str(b)]
        assert problem.result == OPERATIONS[problem.operation](a, b) > 0
        assert worked_answer(problem.text, str(problem.result)) == f"{a} {problem.operation} {b} = {problem.result}"


def test_each_wording_takes_both_numbers_in_order() -> None:
    for wording in [*(w for own in STORIES.values() for w in own), *(w for own in BARE.values() for w in own)]:
        assert wording.count("{a}") == wording.count("{b}") == 1
        assert wording.index("{a}") < wording.index("{b}")


def test_the_same_seed_gives_the_same_problems_and_another_one_others(made: list[Any]) -> None:
    assert problems(WordProblemConfig()) == made
    other = problems(WordProblemConfig(seed=1))
    assert len({problem.text for problem in other} & {problem.text for problem in made}) < len(made) / 2


def pair(row: Any) -> str:
    """Operands and operation of a row, read from its text alone."""
    a, sign, b, _, _ = worked_answer(row.problem, row.answer).split()
    return f"{a} - {b}" if sign == "-" else " ".join([*sorted([a, b], key=int), sign])


def test_training_shares_neither_operands_nor_held_out_wordings(tmp_path: Path) -> None:
    spec = yaml.safe_load(RECIPE.read_text())
    prepare("word_problems", spec, tmp_path / "data")
    rows = {split: load_rows(tmp_path / "data", split) for split in SPLITS}
    assert split_names(check_spec("word_problems", spec, WHERE)) == list(SPLITS)
    pairs = {split: {pair(row) for row in own} for split, own in rows.items()}
    assert not pairs["train"] & pairs["validation"]
    assert not pairs["validation"] & pairs["test"]
    held_out = [re.compile(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(wording))) for wording in held_out_wordings()]
    worded = {split: [any(w.fullmatch(row.problem) for w in held_out) for row in own] for split, own in rows.items()}
    assert not any(worded["train"]) | any(worded["validation"])
    known = [row for row, new in zip(rows["test"], worded["test"], strict=True) if not new]
    assert 0 < sum(worded["test"]) < len(rows["test"])
    assert not {pair(row) for row in known} & pairs["train"], "a known wording comes with operands never trained on"
    assert {pair(row) for row in rows["test"]} & pairs["train"], "a new wording comes with operands of training too"


@pytest.mark.parametrize(
    ("problem", "answer"), [("What is 3 + 4?", "8"), ("What is 3?", "3"), ("1 2 3", "6"), ("no number", "1")]
)
def test_what_is_no_such_problem_is_not_worked(problem: str, answer: str) -> None:
    with pytest.raises(ValueError, match="no word problem of one step"):
        worked_answer(problem, answer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problems": {"story": 1}}, "problems: unknown key 'story' .*did you mean 'stories'"),
        ({"problems": {"largest": 2}}, "problems: largest must be"),
        ({"test_share": 0.9}, "test_share must be"),
        ({"prompt": "no place"}, "prompt must contain"),
    ],
)
def test_wrong_recipes_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_spec("mine", {"kind": "word_problems", **changes}, WHERE)
    assert str(caught.value).startswith(WHERE)


def test_more_problems_than_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="problems: products 400: too few distinct problems exist") as caught:
        prepare("mine", {"kind": "word_problems", "problems": {"products": 400}}, tmp_path / "data")
    assert "\n" not in str(caught.value)
