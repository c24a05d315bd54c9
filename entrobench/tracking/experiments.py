"""MLflow as a projection of result files: one experiment per study, rebuilt at will, the same after every import.

The tag `run_key` identifies an MLflow run; a run is complete when it has the hash of its content. An import creates
what is missing, and replaces what is incomplete or different. Metrics are never appended to a run that has some, so a
kill at any moment, parallel jobs and repeated imports neither lose nor double one. Runs that still train belong to
`follow`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.errors import InputError
from entrobench.files import synchronise, write_whole
from entrobench.results import Results, StudyFolder

from .database import server, writing
from .projection import mlflow_runs
from .summaries import NOTE, MlflowRun
from .views import experiment_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from entrobench.studies.runs import Study

RUN_KEY, CONTENT, LIVE = "run_key", "content_hash", "live"  # tags of runs
OURS = "entrobench"  # tag of an experiment that this package made
METRICS_PER_CALL, PARAMS_PER_CALL = 1000, 100  # MLflow's limits for log_batch


def initialise(database: Path) -> None:
    """Create the MLflow database, or leave it as it is; takes seconds the first time.

    Where runs go to a server there is nothing to make, and training does not wait for it.
    """
    if not server():
        with writing(database) as client:
            client.search_experiments(max_results=1)


def track(study: Study, folder: Path, database: Path, rebuild: bool = False) -> None:
    """Import a study's result files from `folder` into MLflow and write <folder>/tracking.json.

    Flat runs (tag kind=run) with every step's metrics and the final scores, base models (kind=base), the whole study by
    method (kind=summary), tables, figures and report (kind=study). `rebuild` first deletes what was imported before.
    """
    project(study.name, study.description, mlflow_runs(study, folder), folder, database, rebuild)


def project(
    name: str, description: str, described: list[MlflowRun], folder: Path, database: Path, rebuild: bool = False
) -> None:
    """Make the experiment `name` hold these runs and nothing else, and say so in <folder>/tracking.json."""
    with writing(database) as client:
        if rebuild:
            _delete_imported(client, name, database)
        experiment = study_experiment(client, name, database)
        client.set_experiment_tag(experiment, NOTE, description)
        written, removed = _import(client, experiment, described)
    _write_summary(name, described, experiment, StudyFolder(folder).tracking)
    same = len(described) - written
    print(f"MLflow experiment {name}: {written} runs written, {same} as before, {removed} removed")


def study_experiment(client: MlflowClient, study: str, database: Path) -> str:
    """Id of the study's experiment; created, or restored if a user deleted it in the UI.

    Raises InputError for an experiment of that name which is a user's own, and if the results were moved since, because
    MLflow cannot change where artifacts are.
    """
    location = _artifacts(study, database)
    found = client.get_experiment_by_name(study)
    if found is None:
        identity = str(client.create_experiment(study, location))
    else:
        identity = str(found.experiment_id)
        if not _is_ours(client, found, location):
            todo = "rename it in MLflow, or give the study another name"
            raise InputError(f"{server() or database}: the experiment {study!r} there was not made by a study; {todo}")
        if location and found.artifact_location != location:
            raise InputError(f"{database}: was moved here; run `entrobench track {study} --rebuild`")
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(identity)
    for key, value in {OURS: study, **experiment_tags()}.items():
        if found is None or found.tags.get(key) != value:
            client.set_experiment_tag(identity, key, value)
    return identity


def _artifacts(study: str, database: Path) -> str | None:
    """Where artifacts lie: beside the database (unsaid, in ./mlruns of who came first), or where a server decides."""
    return None if server() else Results.of_database(database.resolve()).mlflow_artifacts(study).as_uri()


def _is_ours(client: MlflowClient, experiment: Any, location: str | None) -> bool:
    """Whether a study made the experiment: it bears our tag, keeps its artifacts where ours do, or holds our runs."""
    if OURS in experiment.tags or experiment.artifact_location == location:
        return True
    return any(RUN_KEY in run.data.tags for run in _runs(client, experiment.experiment_id, deleted=True))


def _import(client: MlflowClient, experiment: str, described: list[MlflowRun]) -> tuple[int, int]:
    """Make the experiment what the files say; returns how many runs were written and removed."""
    from rich.console import Console
    from rich.progress import track as progress

    wanted = {(entry.key, entry.content_hash) for entry in described}
    keys = {entry.key for entry in described}
    complete: set[tuple[str, str]] = set()
    removed = 0
    for run in _runs(client, experiment):
        identity = (run.data.tags.get(RUN_KEY), run.data.tags.get(CONTENT))
        if identity in wanted - complete:
            complete.add(identity)
        elif identity[0] is None or (LIVE in run.data.tags and identity[0] not in keys):
            continue  # a user's own run, or one that still trains
        else:
            _delete_run(client, run)
            removed += 1
    missing = [entry for entry in described if (entry.key, entry.content_hash) not in complete]
    for entry in progress(missing, "track", console=Console(stderr=True), disable=not missing):
        _write_run(client, experiment, entry)
    return len(missing), removed


def _runs(client: MlflowClient, experiment: str, deleted: bool = False) -> list[Any]:
    """All runs of an experiment; those deleted in the UI only if asked for."""
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    search = partial(client.search_runs, [experiment], run_view_type=view, max_results=1000)
    found = search()
    runs = list(found)
    while found.token:
        found = search(page_token=found.token)
        runs += found
    return runs


def _write_run(client: MlflowClient, experiment: str, entry: MlflowRun) -> None:
    tags = {**entry.tags, "kind": entry.kind, RUN_KEY: entry.key}
    run = client.create_run(experiment, start_time=entry.started, tags=tags, run_name=entry.name).info.run_id
    log_params(client, run, entry.params)
    log_metrics(client, run, entry.metrics)
    for path, below in entry.artifacts.items():
        client.log_artifact(run, str(path), below or None)
    for name, columns in entry.tables.items():
        client.log_table(run, columns, name)
    _synchronise_artifacts(client.get_run(run))
    client.set_terminated(run, "FINISHED", end_time=entry.ended)
    client.set_tag(run, CONTENT, entry.content_hash)  # last: it says that the run is complete


def _synchronise_artifacts(run: Any) -> None:
    """Ask the disk to have a run's artifacts, before its tag says that it is complete; a server keeps its own."""
    if not server():
        folder = _artifacts_of(run)
        above = Results.above_artifacts(folder)  # any of these may be new
        for path in [*folder.rglob("*"), folder, *above] if folder.exists() else ():
            synchronise(path)


def _artifacts_of(run: Any) -> Path:
    """The folder of a run's artifacts."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(run.info.artifact_uri))


def log_params(client: MlflowClient, run: str, params: Mapping[str, str]) -> None:
    """Write a run's settings."""
    from mlflow.entities import Param

    rows = [Param(key, value) for key, value in params.items()]
    for start in range(0, len(rows), PARAMS_PER_CALL):
        client.log_batch(run, params=rows[start : start + PARAMS_PER_CALL])


def log_metrics(client: MlflowClient, run: str, metrics: Sequence[tuple[str, float, int, int]]) -> None:
    """Write (name, value, unix milliseconds, step) to a run; a metric that is there already is not doubled."""
    from mlflow.entities import Metric

    for start in range(0, len(metrics), METRICS_PER_CALL):
        client.log_batch(run, metrics=[Metric(*metric) for metric in metrics[start : start + METRICS_PER_CALL]])


def _delete_run(client: MlflowClient, run: Any) -> None:
    """Delete a run for good, with its artifacts; MLflow's own delete, which a server does, keeps every metric."""
    import shutil

    if server():
        client.delete_run(run.info.run_id)
        return
    client._tracking_client.store._hard_delete_run(run.info.run_id)  # what `mlflow gc` calls
    shutil.rmtree(_artifacts_of(run).parent, ignore_errors=True)


def _delete_imported(client: MlflowClient, name: str, database: Path) -> None:
    """Delete what was imported of a study; its experiment too, unless a user keeps runs of their own there.

    Those are never deleted: where the experiment has to be made anew, it keeps them under another name.
    """
    found, location = client.get_experiment_by_name(name), _artifacts(name, database)
    if found is None or not _is_ours(client, found, location):
        return  # the import that follows says why it refuses
    runs = _runs(client, found.experiment_id, deleted=not server())
    own = [run for run in runs if RUN_KEY not in run.data.tags]
    for run in runs:
        if run not in own:
            _delete_run(client, run)
    if server():
        return
    if not own:
        if found.lifecycle_stage == "active":
            client.delete_experiment(found.experiment_id)
        client._tracking_client.store._hard_delete_experiment(found.experiment_id)
    elif found.artifact_location != location:
        client.rename_experiment(found.experiment_id, f"{name} ({len(own)} runs kept from before the move)")


def _write_summary(name: str, described: list[MlflowRun], experiment: str, path: Path) -> None:
    """Write to tracking.json what MLflow now holds of the study."""
    content = {
        "experiment": name,
        "experiment_id": experiment,
        "runs": {kind: sum(entry.kind == kind for entry in described) for kind in ("run", "base", "summary", "study")},
        "metrics": sum(len(entry.metrics) for entry in described),
        "content_hash": {entry.key: entry.content_hash for entry in described},
    }
    write_whole(path, json.dumps(content, indent=2) + "\n")
