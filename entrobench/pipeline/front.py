"""Runs Snakemake for a study and shows what happens: its whole output in a file, a line per finished run here.

On a terminal one more line is kept up to date. Ctrl-C ends the jobs, which keep their checkpoints.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from entrobench.results import StudyFolder
from entrobench.text import printable, visible

from .state import ANSWERING, DONE, FAILED, RUNNING, RunState, counted, in_words, progress_of, time_left

SECONDS = 2.0  # ours: between two looks
PATIENCE = 30.0  # seconds that interrupted jobs have to end


@dataclass
class Shown:
    """What was said already, and since when."""

    out: TextIO
    states: Callable[[], list[RunState]]
    costs: dict[str, float]
    said: set[tuple[str, str]] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)
    before: float = 0.0

    def __post_init__(self) -> None:
        found = self.states()
        self.said = {(state.key, state.state) for state in found}
        self.before = progress_of(found, self.costs)

    def look(self) -> None:
        """Say what has finished since the last look, and where the others are."""
        found = self.states()
        lines = [line for state in found if (line := self._news(state))]
        if lines:
            self._clear()
            print("\n".join(lines), file=self.out, flush=True)
        if self.out.isatty():
            self._clear()
            self.out.write(self._line(found)[: os.get_terminal_size(self.out.fileno()).columns - 1])
            self.out.flush()

    def _news(self, state: RunState) -> str:
        if (state.key, state.state) in self.said:
            return ""
        self.said.add((state.key, state.state))
        words = {ANSWERING: "trained", DONE: "done", FAILED: f"failed: {printable(state.note)}"}
        return f"{state.key}: {words[state.state]}" if state.state in words else ""

    def _line(self, found: list[RunState]) -> str:
        left = in_words(time_left(progress_of(found, self.costs), self.before, time.monotonic() - self.began))
        running = [state for state in found if state.state == RUNNING]
        at = [f"{state.key.split('/')[2]} {state.step}/{state.steps} {state.note}" for state in running[:2]]
        return " | ".join(filter(None, [counted(found), left, *at]))

    def _clear(self) -> None:
        if self.out.isatty():
            self.out.write("\r\x1b[K")

    def end(self) -> None:
        """Leave the terminal's line."""
        self._clear()


def run_study(command: Sequence[str], files: StudyFolder, shown: Shown, again: str) -> int:
    """Run Snakemake's command to its end and return its exit status; 130 after ctrl-C, however often it is pressed."""
    log = files.log("snakemake")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while process.poll() is None:
                shown.look()
                _wait(process)
            shown.look()
        except KeyboardInterrupt:
            _stop(process)
            shown.end()
            print(f"stopped: finished steps are kept; `{again}` goes on from here (log: {log})", file=shown.out)
            return 130
    shown.end()
    if process.returncode:
        _say_why(log, shown.out, again)
    return process.returncode


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        return


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt Snakemake and its jobs; a second ctrl-C, or too long a wait, ends them at once."""
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGTERM, PATIENCE / 3), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
            return
        except ProcessLookupError:
            return
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue


def _say_why(log: Path, out: TextIO, again: str) -> None:
    """The lines of Snakemake's output that say what is wrong, else its last ones."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error:")]
    print(visible("\n".join(dict.fromkeys(errors) or lines[-5:])), file=out)
    if not errors:
        print(f"the study stopped; `{again}` goes on from here (the whole log: {log})", file=out)
