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
