"""What a study's files say of its runs: done, running, stopped, failed with its reason; and how long it will take."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from tracked import make_study, write_study

from entrobench.pipeline import state
from entrobench.results import StudyFolder
from entrobench.studies.runs import Run, Study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Four runs: the first trained and graded, the others not begun."""
    from dataclasses import replace

    monkeypatch.chdir(tmp_path)
    made = make_study()
    runs = [replace(run, folder=Path("results/small/runs") / run.key) for run in made.runs]
    folder = Path("results/small")
    folder.mkdir(parents=True)
    write_study(folder, made)
    for run in runs[1:]:
        shutil.rmtree(run.folder)
    runs[0].files.grades("chain2").parent.mkdir()
    runs[0].files.grades("chain2").touch()
    return replace(made, runs=runs)


def trains(run: Run, step: int, rest: str = "") -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"step": at, "reward": 0.25, "entropy": 0.5}) for at in range(1, step + 1)]
    run.files.live.write_text("\n".join([*rows, rest]))


def logs(study: Study, run: Run, text: str) -> None:
    file = StudyFolder(study.folder).log(f"train/{run.key}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_each_state_is_read_from_the_files(study: Study) -> None:
    _, second, third, fourth = study.runs
    trains(second, 5, '{"step": 6, "rew')
    trains(third, 2)
    old = time.time() - state.SILENT - 1
    os.utime(third.files.live, (old, old))
    logs(study, fourth, "training 1/8\nTraceback (most recent call last):\n  ...\nRuntimeError: out of memory\n")
    found = state.study_states(study)
    assert [one.state for one in found] == ["done", "running", "stopped", "failed"]
    assert (found[1].step, found[1].note) == (5, "reward 0.250  entropy 0.500")
    assert found[3].note == "RuntimeError: out of memory"
    text = state.as_text(study.name, state.study_states(study))
    assert text.splitlines()[0] == "small: 4 runs: 1 done, 1 running, 1 stopped, 1 failed"
    assert f"the whole log: {found[3].log}" in text
    assert text.endswith("`make study STUDY=small` goes on from here")


def test_an_ordinary_log_and_a_trained_run_are_no_failure(study: Study) -> None:
    trains(study.runs[1], 3)
    logs(study, study.runs[1], "ValueError: of an earlier try\ntraining 3/8  loss 0.1\n")
    study.runs[0].files.grades("chain2").unlink()
    assert [one.state for one in state.study_states(study)] == ["trained", "running", "waiting", "waiting"]


def test_time_left_weighs_runs_by_their_cost() -> None:
    """By hand: half of the dear run (9 of 10 parts) and none of the cheap one is 0.45 of the cost."""
    dear, cheap = state.RunState("dear", "running", 5, 10), state.RunState("cheap", "waiting", 0, 10)
    share = state.progress_of([dear, cheap], {"dear": 9.0, "cheap": 1.0})
    assert share == pytest.approx(0.45)
    assert state.time_left(share, 0.0, 90.0) == pytest.approx(90 * 0.55 / 0.45)
    assert state.time_left(share, share, 90.0) is None
    words = [state.in_words(seconds) for seconds in (None, 30.0, 600.0, 7200.0)]
    assert words == ["", "about 30 s left", "about 10 min left", "about 2.0 h left"]
