"""A user's own rewards: what they are given and may return, and that every fault is one line with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrobench.errors import InputError
from entrobench.evaluation.grading.own_rewards import own_reward
from entrobench.evaluation.grading.rewards import REWARDS, reward_function
from entrobench.provenance import sha256_file

GIVEN = ("a \\boxed{7}", "7", True, "0/id/3/1", "3 + 4 =")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(text: str, name: str = "mine.py") -> None:
    Path(name).write_text(text)


def refused(name: str, folder: Path = Path()) -> str:
    """The line with which a reward is refused."""
    with pytest.raises(InputError) as caught:
        own_reward(name, folder, "study.yaml: trainer", REWARDS)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_function_is_given_what_it_asks_for_by_name() -> None:
    save(
        "from dataclasses import dataclass\n\n@dataclass\nclass Weights:\n    longest: int = 40\n\n\n"
        "def _hidden():\n    pass\n\n\ndef points(problem, *, response, weights=Weights()):\n"
        "    return len(problem) + len(response) / weights.longest\n"
    )
    reward = reward_function("mine.py")
    assert reward(*GIVEN).reward == len("3 + 4 =") + len("a \\boxed{7}") / 40
    save("def all_of_them(key, finished, gold, problem, response): return f'{key}{gold}' == '0/id/3/17' and finished\n")
    assert reward_function("mine.py:all_of_them")(*GIVEN).reward == 1.0


@pytest.mark.parametrize(
    ("value", "correct"), [("1", True), ("True", True), ("1.5", True), ("0.99", False), ("0", False), ("-2", False)]
)
def test_what_earns_one_counts_as_right(value: str, correct: bool) -> None:
    save(f"def points(): return {value}\n")
    earned = reward_function("mine.py")(*GIVEN)
    assert earned.correct is correct
    assert earned.outcome == ("correct" if correct else "wrong")


def test_its_name_is_that_of_the_working_directory_and_its_code_that_of_the_file() -> None:
    Path("studies").mkdir()
    save("def points(gold): return 1\ndef half(gold): return .5\n", "studies/mine.py")
    found = own_reward("mine.py:half", Path("studies"), "here", REWARDS)
    assert found.name == "studies/mine.py:half"
    assert found.code == {"origin": "file", "sha256": sha256_file(Path("studies/mine.py"))}
    assert reward_function(found.name)(*GIVEN).reward == 0.5


@pytest.mark.parametrize("value", ["None", "float('nan')", "float('inf')", "'1'", "[1]", "1j"])
def test_what_is_no_finite_number_is_refused(value: str) -> None:
    save(f"def points(gold):\n    return {value}\n")
    with pytest.raises(
        InputError, match=r"^mine\.py: points, line 1: returned .*, not a finite number \(gold answer '7'"
    ):
        reward_function("mine.py")(*GIVEN)


def test_what_it_raises_is_one_line_with_its_own_last_line() -> None:
    inner = "import json\n\ndef inner(text):\n    return json.loads(text)\n\n"
    save(inner + "def points(gold):\n    return inner(gold + '}')\n")
    with pytest.raises(InputError, match=r"^mine\.py: points, line 4: JSONDecodeError: Extra data") as caught:
        reward_function("mine.py:points")(*GIVEN)
    assert "\n" not in str(caught.value)


def test_names_files_and_functions_that_are_not_there_name_the_nearest() -> None:
    save("def points(): return 1\ndef prizes(): return 2\n")
    assert "unknown reward 'boxd'" in refused("boxd")
    assert refused("boxd").endswith("did you mean 'boxed'?")
    assert refused("mina.py") == "study.yaml: trainer: reward: there is no file mina.py; did you mean 'mine.py'?"
    assert refused("mine.py:pints").endswith(
        "unknown function 'pints' (allowed: points, prizes); did you mean 'points'?"
    )
    assert "defines not one public function but points, prizes: say mine.py:NAME" in refused("mine.py")


def test_code_that_cannot_be_used_is_refused_before_anything_runs(tmp_path: Path) -> None:
    save("def points(:\n")
    assert "mine.py, line 1: cannot be imported: SyntaxError" in refused("mine.py")
    save("\n\nimport a_package_that_is_nowhere\n")
    assert "mine.py, line 3: cannot be imported: ModuleNotFoundError" in refused("mine.py")
    save("def points(reply): return 1\n")
    assert "mine.py: points: takes 'reply' (given: response, gold, finished, key, problem)" in refused("mine.py")
    save("def points(respones): return 1\n")
    assert refused("mine.py").endswith("did you mean 'response'?")
    save("def points(*response): return 1\n")
    assert "takes 'response'" in refused("mine.py")
    save("def points(): return 1\n", str(tmp_path.parent / "outside.py"))
    assert "must lie below" in refused("outside.py", tmp_path.parent)


def test_an_installed_package_brings_rewards(plug_in: Path) -> None:
    found = own_reward("ended", Path(), "here", REWARDS)
    source = plug_in / "entrobench_example" / "rewards.py"
    assert found.code == {"origin": "entrobench-example 1.2", "sha256": sha256_file(source)}
    assert [found(*GIVEN).reward, found("a", "7", False).reward] == [1.0, 0.0]
    assert refused("endd").endswith("did you mean 'ended'?")


def test_a_name_that_two_bring_is_refused(plug_in: Path) -> None:
    announced = next(plug_in.glob("*.dist-info")) / "entry_points.txt"
    announced.write_text("[entrobench.rewards]\nboxed = entrobench_example.rewards:ended\n")
    assert "two rewards are named 'boxed': of entrobench itself and of entrobench-example 1.2" in refused("boxed")
