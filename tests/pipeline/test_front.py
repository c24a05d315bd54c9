"""What `make study` shows: a line per finished run, the reason of a failure, and one line after ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrobench.pipeline import front
from entrobench.pipeline.front import Shown, run_study
from entrobench.pipeline.state import RunState
from entrobench.results import StudyFolder


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SECONDS", 0.05)
    monkeypatch.setattr(front, "PATIENCE", 1.0)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """A shell that starts the tests in the background makes them deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("quick")
def test_a_line_per_finished_run_and_the_whole_output_in_a_file(tmp_path: Path) -> None:
    done = tmp_path / "done"
    states = lambda: [RunState("m/d/aent/seed0", "done" if done.exists() else "running", 1, 2)]  # noqa: E731
    out = io.StringIO()
    files = StudyFolder(tmp_path / "results/small")
    script = f"import pathlib, time; print('snakemake says much'); time.sleep(.3); pathlib.Path({str(done)!r}).touch()"
    assert run_study(python(script), files, Shown(out, states, {}), "make study") == 0
    assert out.getvalue() == "m/d/aent/seed0: done\n"  # no terminal: plain lines, nothing that is rewritten
    assert files.log("snakemake").read_text() == "snakemake says much\n"


@pytest.mark.usefixtures("quick")
def test_what_was_done_before_is_not_told_again_and_a_failure_says_why(tmp_path: Path) -> None:
    states = lambda: [RunState("m/d/aent/seed0", "done", 2, 2)]  # noqa: E731
    files = StudyFolder(tmp_path / "results/small")
    for script, words in (
        ("print('x'); print('error: results/a: bad'); raise SystemExit(2)", "error: results/a: bad\n"),
        ("print('last words'); raise SystemExit(1)", "last words\nthe study stopped; `again` goes on from here"),
    ):
        out = io.StringIO()
        assert run_study(python(script), files, Shown(out, states, {}), "again") != 0
        assert out.getvalue().startswith(words)


@pytest.mark.usefixtures("quick", "hears_ctrl_c")
@pytest.mark.parametrize("stubborn", [False, True])
def test_ctrl_c_is_one_line_however_often_it_is_pressed(tmp_path: Path, stubborn: bool) -> None:
    ready = tmp_path / "ready"
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN);" * stubborn
    script = f"import pathlib, signal, time; {ignore} pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    out = io.StringIO()
    files = StudyFolder(tmp_path / "results/small")

    def press() -> None:
        while not ready.exists():
            time.sleep(0.02)
        for _ in range(1 + stubborn):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)

    thread = threading.Thread(target=press)
    thread.start()
    assert run_study(python(script), files, Shown(out, list, {}), "make study STUDY=small") == 130
    thread.join()
    assert len(out.getvalue().splitlines()) == 1
    assert "`make study STUDY=small` goes on from here" in out.getvalue()
