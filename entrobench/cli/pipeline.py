"""`entrobench run`, which is `make study`, and `entrobench status`: a study runs, and how far it is."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import StudyName

if TYPE_CHECKING:
    from entrobench.results import StudyFolder


def run(
    study: StudyName,
    changed: Annotated[str, typer.Option(help="`rerun` replaces runs whose settings have changed")] = "",
    seeds: Annotated[str, typer.Option(help="other seeds than the study's, as 0-9 or 0,3")] = "",
    packed: Annotated[str, typer.Option(help="`use` takes matching runs of the committed pack as done")] = "",
) -> None:
    """Run a study, as `make study` does: a line per finished run, all of Snakemake's output in a file.

    It can be repeated, and goes on where it was stopped. Example: entrobench run quickstart
    """
    from entrobench.documents import study_kind
    from entrobench.pipeline.front import Shown, run_study
    from entrobench.pipeline.state import costs_of, study_states
    from entrobench.studies.lock import unlock
    from entrobench.studies.study import load_study

    unlock()
    command = [str(Path(sys.executable).with_name("snakemake")), "--config", f"study={study}"]
    options = {"seeds": seeds, "changed": changed, "packed": packed}
    command += [f"{key}={value}" for key, value in options.items() if value]
    if study_kind(study) == "theory":
        from entrobench.theory.study import load

        files, shown = load(study).files, Shown(sys.stdout, list, {})
    else:
        loaded = load_study(f"{study}@{seeds}" if seeds else study)
        files, shown = loaded.files, Shown(sys.stdout, lambda: study_states(loaded), costs_of(loaded))
    print(f"study {files.name}: all output goes to {files.log('snakemake')}", flush=True)
    status = run_study(command, files, shown, f"make study STUDY={study}")
    if status == 0:
        _say_done(files)
    raise typer.Exit(status)


def _say_done(files: StudyFolder) -> None:
    from entrobench.tracking.database import server
    from entrobench.tracking.server import links_of

    print(f"study {files.name} is done\n  report: {files.report}\n  tables: {files.table('md')}, .csv, .tex")
    print(f"  runs:   {'' if server() else 'make ui, then'}")
    print("\n".join(f"  {line}" for line in links_of(files, server() or "http://127.0.0.1:5000")))


def status(
    study: StudyName,
    watch: Annotated[bool, typer.Option("--watch", help="again every 5 seconds, until all is done or ctrl-C")] = False,
) -> None:
    """Say how far a study is: runs done, running, failed with the last line of their log, and what to do.

    Example: entrobench status quickstart --watch
    """
    from entrobench.pipeline.state import DONE, as_text, study_states
    from entrobench.studies.study import load_study

    loaded = load_study(study)
    try:
        while True:
            states = study_states(loaded)
            print(as_text(loaded.name, states), flush=True)
            if not watch or all(found.state == DONE for found in states):
                return
            time.sleep(5)
    except KeyboardInterrupt:
        return
