"""The commands that look at runs: what went wrong, how far a study is, runs of other trainers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def diagnose(
    name: Annotated[str, typer.Argument(metavar="RUN|STUDY|LOG", help="a run's folder, a study, or a log file")],
) -> None:
    """Say what went wrong in a run: entropy, reward, cut answers, clipping, controllers; evidence and what to change.

    Ends with status 1 if anything was found. Examples: entrobench diagnose quickstart; entrobench diagnose log.csv
    """
    from entrobench.diagnosis import diagnose as diagnosis
    from entrobench.documents import named_files
    from entrobench.results import RunFolder

    path = Path(name)
    if name in named_files("studies") or path.suffix == ".yaml":
        from entrobench.studies.study import load_study

        found = diagnosis.study_findings(load_study(name).files)
    elif diagnosis.is_run(path):
        found = diagnosis.run_findings(RunFolder(path))
    else:
        from entrobench.foreign.logs import read_log

        found = diagnosis.diagnose(read_log(path).rows)
    print(diagnosis.as_text(found))
    raise typer.Exit(1 if found else 0)


def import_run(
    logs: Annotated[list[Path], typer.Argument(metavar="LOG...", help="one file per run; seeds count from --seed on")],
    study: Annotated[str, typer.Option(metavar="STUDY", help="results/STUDY gets the runs")],
    method: Annotated[str, typer.Option(help="the arm's name in curves and tables")],
    model: Annotated[str, typer.Option(help="name of the base model")] = "imported-model",
    dataset: Annotated[str, typer.Option(help="name of what it was trained on")] = "imported-data",
    seed: Annotated[int, typer.Option(min=0, help="of the first log")] = 0,
    answers: Annotated[
        list[Path] | None, typer.Option(help="<benchmark>.jsonl with gold and response, of one LOG; graded here")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="take the new log of a run that was imported before")
    ] = False,
) -> None:
    """Put runs of another trainer into a study, as an arm marked `imported`: its curves, and its answers graded by us.

    Reads TRL's trainer_state.json, W&B's offline files and CSV exports, TensorBoard event files, JSON lines, CSV, and
    what verl and OpenRLHF print. Example: entrobench import-run a.csv b.csv --study mine --method theirs
    """
    from entrobench.errors import InputError
    from entrobench.foreign.imported import import_run
    from entrobench.results import RESULTS
    from entrobench.run_keys import RunKey
    from entrobench.text import visible

    if answers and len(logs) > 1:
        raise InputError("entrobench import-run: --answers belong to one LOG; import the runs one by one")
    for number, log in enumerate(logs):
        key = RunKey(model, dataset, method, seed + number)
        print(visible(import_run(RESULTS.study(study), key, log, answers or [], replace).text))
    print(f"next: entrobench compare {study}; entrobench report {study}; entrobench track {study}")
