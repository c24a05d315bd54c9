"""The tutorial's sections on one's own problems, study and reward run as written; faults are refused in a line."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from entrobench.errors import InputError
from entrobench.evaluation.benchmarks import task_files
from entrobench.evaluation.grading.rewards import reward_function
from entrobench.scaffold.new_dataset import new_dataset
from entrobench.scaffold.new_study import new_study
from entrobench.studies.study import load_study

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^## 6\. .*?(?=^## 7\.)", re.MULTILINE | re.DOTALL)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's config, a folder of tasks that may be written, and ten problems in data/mine.jsonl."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "workflow").mkdir()
    shutil.copytree(ROOT / "workflow/schemas", tmp_path / "workflow/schemas")
    tasks = shutil.copytree(task_files.TASKS, tmp_path / "tasks")
    monkeypatch.setattr(task_files, "TASKS", Path(tasks))
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"question": f"What is {n} + 1?", "solution": n + 1}) for n in range(10)]
    Path("data").mkdir()
    Path("data/mine.jsonl").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("ENTROBENCH_DATA", "data")
    return tmp_path


def commands() -> list[list[str]]:
    """The lines of the section's blocks that call entrobench."""
    found = SECTION.search((ROOT / "config/TUTORIAL.md").read_text())
    assert found
    return [shlex.split(line)[1:] for line in found[0].splitlines() if line.startswith("entrobench ")]


@pytest.mark.usefixtures("own")
def test_the_section_runs_as_written() -> None:
    import typer

    from entrobench.cli.main import app

    assert [command[0] for command in commands()] == ["new-dataset", "new-study"]
    for command in commands():
        typer.main.get_command(app)(command, standalone_mode=False)
    study = load_study("second")
    assert study.benchmarks == ["mine"]
    assert {run.method for run in study.runs} == {"grpo", "aent"}
    assert len(study.runs) == 2 * 5
    spec = study.datasets["mine"].spec
    assert spec["splits"]["test"]["rows"] == 10


@pytest.mark.usefixtures("own")
def test_the_reward_works_as_written() -> None:
    section = (ROOT / "config/TUTORIAL.md").read_text().partition("## 7. ")[2].partition("## 8. ")[0]
    code, place = (
        re.search(r"```python\n(.*?)```", section, re.DOTALL),
        re.search(r"`(config/studies/\S+\.py)`", section),
    )
    said = re.search(r"`(trainer: \{.*?\})`", section)
    assert code
    assert place
    assert said
    Path(place[1]).write_text(code[1])
    path = new_study("first", ["grpo"], "chain-tiny", "chain2", "chain2", 1)
    path.write_text(re.sub("(?m)^trainer: .*$", said[1], path.read_text()))
    trainer = load_study("first").runs[0].config.trainer
    assert trainer.reward == "config/studies/short.py:right_and_short"
    reward = reward_function(trainer.reward)
    earned = [reward(text, "4", True).reward for text in ("\\boxed{4}", "so " * 20 + "\\boxed{4}", "\\boxed{5}")]
    assert earned == [1.1, 1.0, 0.0]
    assert reward("\\boxed{4}", "4", False).reward == 0.0
    shown = re.search(r"right_and_short, line (\d+): ZeroDivisionError", section)
    assert shown
    assert int(shown[1]) <= code[1].count("\n"), "the line that the error shows is one of the file"


def test_bad_rows_names_and_places_are_refused_and_nothing_is_written(own: Path) -> None:
    before = sorted(path for path in own.rglob("*") if path.suffix == ".yaml")
    Path("data/bad.jsonl").write_text('{"question": "q", "solution": "1"}\n{"question": "", "solution": "1"}\n')
    Path("elsewhere.jsonl").write_text('{"problem": "q", "answer": "1"}\n')
    mine, bad = Path("data/mine.jsonl"), Path("data/bad.jsonl")
    for arguments, words in (
        ((bad, "bad", "question", "solution", "test"), r"row 2: question is empty"),
        ((mine, "mine", "problem", "solution", "test"), r"no column 'problem' \(there: question, solution\)"),
        ((mine, "gsm8k", "question", "solution", "test"), "exists already"),
        ((mine, "mine", "question", "solution", "tst"), "unknown split 'tst'"),
        ((Path("elsewhere.jsonl"), "e", "problem", "answer", "test"), "must lie in the data folder data"),
        ((Path("data/none.jsonl"), "e", "problem", "answer", "test"), "is no file of"),
    ):
        with pytest.raises(InputError, match=words):
            new_dataset(*arguments)
    for name, methods, words in (
        ("quickstart", ["grpo"], "exists already"),
        ("bad name", ["grpo"], "is not a name"),
        ("mine", ["grpo", "aet"], "did you mean 'aent'"),
    ):
        with pytest.raises(InputError, match=words):
            new_study(name, methods, "chain-tiny", "chain2", "chain2", 2)
    assert sorted(path for path in own.rglob("*") if path.suffix == ".yaml") == before
