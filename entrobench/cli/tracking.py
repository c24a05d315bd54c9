"""`entrobench track` and `entrobench ui`: a study's files in MLflow."""

from __future__ import annotations

from typing import Annotated

import typer

from entrobench.errors import InputError
from entrobench.results import RESULTS


def track(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="name in config/studies, or path")] = None,
    initialise: Annotated[bool, typer.Option("--initialise", help="only create the database")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="delete the study's MLflow runs and import anew")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="show the runs that train, of all studies")] = False,
) -> None:
    """Import a study's result files into MLflow (results/mlflow.db); `make ui` shows them.

    Example: entrobench track quickstart
    """
    from entrobench.tracking import experiments

    if initialise:
        experiments.initialise(RESULTS.database)
        return
    if follow:
        from entrobench.tracking.follow import follow as follow_runs

        follow_runs(RESULTS.database)
        return
    if study is None:
        raise InputError("entrobench track: name a STUDY, or give --initialise or --follow")
    from entrobench.documents import study_kind

    if study_kind(study) == "theory":
        from .theory import track_theory

        track_theory(study, RESULTS.database, rebuild)
        return
    from entrobench.studies.lock import with_derived_values
    from entrobench.studies.study import load_study

    loaded = with_derived_values(load_study(study))
    experiments.track(loaded, loaded.folder, RESULTS.database, rebuild=rebuild)


def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="of this machine")] = 5000) -> None:
    """Browse the runs in MLflow; prints a link to the learning curves and to the comparison of each study.

    Runs that train are shown as they go on. Example: entrobench ui --port 5001
    """
    from entrobench.tracking.server import serve

    raise typer.Exit(serve(RESULTS.database, port))
