"""How far each run of a study is, read from its files: cheap enough to be asked every few seconds."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.results import StudyFolder

if TYPE_CHECKING:
    from entrobench.studies.runs import Run, Study

DONE, ANSWERING, RUNNING, STOPPED, FAILED, WAITING = "done", "trained", "running", "stopped", "failed", "waiting"
STATES = (DONE, ANSWERING, RUNNING, STOPPED, FAILED, WAITING)
SILENT = 600.0  # ours: seconds without a new line after which a run that is not finished counts as stopped
SHOWN = ("reward", "entropy")


@dataclass(frozen=True)
class RunState:
    """One run: its state, the step it is at, what to show beside it, and why it failed."""

    key: str
    state: str
    step: int
    steps: int
    note: str = ""
    log: Path | None = None


def study_states(study: Study) -> list[RunState]:
    """The state of every run, in the study's order."""
    return [_state(study.files, run, study.benchmarks) for run in study.runs]


def _state(files: StudyFolder, run: Run, benchmarks: Iterable[str]) -> RunState:
    steps = run.config.trainer.steps
    if run.files.steps.is_file():
        graded = all(run.files.grades(name).is_file() for name in benchmarks)
        return RunState(run.key, DONE if graded else ANSWERING, steps, steps)
    log = files.log(f"train/{run.key}")
    row = _last_row(run.files.live)
    step = int(row.get("step", 0))
    note = "  ".join(f"{name} {row[name]:.3f}" for name in SHOWN if name in row)
    if problem := _problem(log):
        return RunState(run.key, FAILED, step, steps, problem, log)
    if row:
        silent = time.time() - run.files.live.stat().st_mtime > SILENT
        return RunState(run.key, STOPPED if silent else RUNNING, step, steps, note, log)
    return RunState(run.key, WAITING, 0, steps)


def _last_row(live: Path) -> dict[str, float]:
    """The last whole line of a live file; {} where there is none."""
    try:
        lines = live.read_bytes().split(b"\n")[:-1]
        row = json.loads(lines[-1]) if lines else {}
    except (OSError, ValueError):
        return {}
    return row if isinstance(row, dict) else {}


def _problem(log: Path) -> str:
    """The last line of a job's log if it says that the job failed, else ""."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    last = lines[-1].strip() if lines else ""
    name = last.partition(":")[0]
    failed = last.startswith("error:") or (name.isidentifier() and name.endswith(("Error", "Exception")))
    return last if failed else ""


def counted(states: Iterable[RunState]) -> str:
    """Numbers of runs by state: "3 done, 2 running, 3 waiting"."""
    counts = Counter(found.state for found in states)
    return ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])


def progress_of(states: Iterable[RunState], costs: dict[str, float]) -> float:
    """The share of the study's expected training cost that is spent: a run that trains counts by its steps."""
    spent = total = 0.0
    for found in states:
        cost = costs.get(found.key, 1.0)
        total += cost
        spent += cost * (found.step / max(found.steps, 1))
    return spent / total if total else 1.0


def time_left(share: float, share_before: float, seconds: float) -> float | None:
    """Seconds left at the pace measured since the start, None before there is any.

    `share` of the cost is spent now, `share_before` was when this began, `seconds` ago.
    """
    return seconds * (1 - share) / (share - share_before) if share > share_before and seconds > 0 else None


def in_words(seconds: float | None) -> str:
    """A time left for people: "about 12 min left"."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


def as_text(study: str, states: Sequence[RunState]) -> str:
    """The state of the study with this name: numbers, then each run that runs, stopped or failed with what to do."""
    lines = [f"{study}: {len(states)} runs: {counted(states)}"]
    for found in states:
        if found.state in (RUNNING, STOPPED):
            lines.append(f"  {found.state} {found.key}  step {found.step}/{found.steps}  {found.note}".rstrip())
        elif found.state == FAILED:
            lines.append(f"  failed {found.key}: {found.note}\n    the whole log: {found.log}")
    if any(found.state in (STOPPED, FAILED, WAITING) for found in states):
        lines.append(f"  `make study STUDY={study}` goes on from here")
    return "\n".join(lines)


def costs_of(study: Study) -> dict[str, float]:
    """Expected training seconds of each run on one core, a guess that is right in proportion."""
    from entrobench.models.cost import cost, training_share, training_tokens
    from entrobench.studies.plan import study_sizes

    sizes = study_sizes(study)
    return {
        run.key: cost(sizes[run.model], training_tokens(run.config.trainer), training_share(run.config.trainer)).seconds
        for run in study.runs
    }
