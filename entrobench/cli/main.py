"""The `entrobench` command: every command by its name, from the file of its subject.

Commands are thin functions that import what they call. STUDY is everywhere a name in config/studies or the path of a
YAML file. Bad input is one line and exit status 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from entrobench.errors import InputError
from entrobench.files import is_full, room_left
from entrobench.results import RESULTS
from entrobench.text import visible

from . import (
    answers,
    calibration,
    comparison,
    inputs,
    machine,
    methods,
    pipeline,
    runs,
    studies,
    theory,
    tracking,
    training,
)

USERS, FILES, PIPELINE = "For users", "On single files", "What the pipeline calls"  # groups of --help

COMMANDS: dict[str, tuple[str, Callable[..., None]]] = {
    "run": (USERS, pipeline.run),
    "status": (USERS, pipeline.status),
    "plan": (USERS, studies.plan),
    "ui": (USERS, tracking.ui),
    "diagnose": (USERS, runs.diagnose),
    "import-run": (USERS, runs.import_run),
    "calibrate": (USERS, calibration.calibrate),
    "methods": (USERS, methods.methods),
    "new-method": (USERS, methods.new_method),
    "check-method": (USERS, methods.check_method),
    "new-study": (USERS, studies.new_study),
    "new-dataset": (USERS, inputs.new_dataset),
    "headline": (USERS, comparison.headline),
    "check": (USERS, comparison.check),
    "doctor": (USERS, machine.doctor),
    "pin": (USERS, inputs.pin),
    "grade": (FILES, answers.grade),
    "audit-grader": (FILES, answers.audit_grader),
    "audit-statistics": (FILES, comparison.audit_statistics),
    "accept-task": (FILES, calibration.accept_task),
    "sweep": (FILES, comparison.sweep),
    "clamp-law": (FILES, theory.clamp_law),
    "reward-law": (FILES, theory.reward_law),
    "pack": (FILES, comparison.pack),
    "track": (PIPELINE, tracking.track),
    "compare": (PIPELINE, comparison.compare),
    "report": (PIPELINE, comparison.report),
    "tune": (PIPELINE, comparison.tune),
    "train": (PIPELINE, training.train),
    "generate": (PIPELINE, answers.generate),
    "lock": (PIPELINE, studies.lock),
    "lock-evaluation": (PIPELINE, studies.lock_evaluation),
    "base-model": (PIPELINE, inputs.base_model),
    "prepare-data": (PIPELINE, inputs.prepare_data),
    "theory": (PIPELINE, theory.theory),
    "unlock": (PIPELINE, studies.unlock),
    "unpack": (PIPELINE, comparison.unpack),
}


class Grouped(typer.core.TyperGroup):
    """Lists the commands under the groups of COMMANDS, in their order."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names as COMMANDS has them, not by letter."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section per group."""
        for group in dict.fromkeys(found for found, _ in COMMANDS.values()):
            names = [name for name, (found, _) in COMMANDS.items() if found == group]
            with formatter.section(group):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=90)) for name in names])


app = typer.Typer(cls=Grouped, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
for name, (_, command) in COMMANDS.items():
    app.command(name)(command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"entrobench {version('entrobench')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say it and end")
    ] = False,
) -> None:
    """Reproduce and benchmark entropy control in LLM-RL. A study: `make study`, or `entrobench run quickstart`."""


def main() -> None:
    """Run the command line; bad input ends with one line and status 2."""
    try:
        app(prog_name="entrobench")
    except InputError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)  # it may quote a file of anybody
        raise SystemExit(2) from None
    except OSError as error:
        if not is_full(error):
            raise
        place = Path(error.filename or RESULTS.folder)
        print(f"error: the disk is full: {place}: {error.strerror}; {room_left(place)}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
