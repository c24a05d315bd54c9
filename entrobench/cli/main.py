"""The `entrobench` command: every command by its name, from the file of its subject.

Commands are thin functions that import what they call. STUDY is everywhere a name in config/studies or the path of a
YAML file. Bad input is one line and exit status 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import typer

from entrobench.errors import InputError
from entrobench.files import is_full, room_left
from entrobench.results import RESULTS

from . import answers, calibration, comparison, inputs, machine, methods, studies, theory, tracking, training

COMMANDS: dict[str, Callable[..., None]] = {
    "grade": answers.grade,
    "audit-grader": answers.audit_grader,
    "compare": comparison.compare,
    "tune": comparison.tune,
    "sweep": comparison.sweep,
    "check": comparison.check,
    "audit-statistics": comparison.audit_statistics,
    "accept-task": calibration.accept_task,
    "calibrate": calibration.calibrate,
    "report": comparison.report,
    "track": tracking.track,
    "methods": methods.methods,
    "new-method": methods.new_method,
    "check-method": methods.check_method,
    "plan": studies.plan,
    "doctor": machine.doctor,
    "pin": inputs.pin,
    "unlock": studies.unlock,
    "train": training.train,
    "generate": answers.generate,
    "lock": studies.lock,
    "lock-evaluation": studies.lock_evaluation,
    "base-model": inputs.base_model,
    "prepare-data": inputs.prepare_data,
    "theory": theory.theory,
    "clamp-law": theory.clamp_law,
    "reward-law": theory.reward_law,
}

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Reproduce and benchmark entropy control in LLM-RL. A whole study: `make study`, or `snakemake`.",
)
for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """Run the command line; bad input ends with one line and status 2."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if not is_full(error):
            raise
        place = Path(error.filename or RESULTS.folder)
        print(f"error: the disk is full: {place}: {error.strerror}; {room_left(place)}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
