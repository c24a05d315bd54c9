"""Where MLflow's runs are kept: results/mlflow.db, or the tracking server that MLFLOW_TRACKING_URI names.

A database that cannot be used is one line, said before mlflow is imported.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError
from entrobench.results import Results

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVER = "MLFLOW_TRACKING_URI"
REVISION = re.compile(r"^(revision|down_revision)\s*(?::[^=]*)?=\s*[\"']?(\w+)", re.MULTILINE)
BUSY = 10.0  # seconds that a writer waits for another program
QUIET = {  # a server that does not answer is tried twice, not for minutes
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def server() -> str:
    """The address of the tracking server, "" where runs are kept in the database beside the results.

    Raises InputError for a value that is no address of a server.
    """
    address = os.environ.get(SERVER, "").rstrip("/")
    if address and not re.match(r"https?://", address):
        raise InputError(f"{SERVER}={address}: only a server's address (http:// or https://) is followed; unset it")
    return address


def address_of(database: Path) -> str:
    """MLflow's address of a database: absolute, or relative where `?` in the path would begin options."""
    path = str(database.resolve())
    if "?" in path:
        path = os.path.relpath(path)
    if "?" in path:
        raise InputError(f"{path}: MLflow reads no database in a folder with '?' in its name from outside of it")
    return f"sqlite:///{path}"


@contextmanager
def writing(database: Path) -> Iterator[MlflowClient]:
    """A client that may write. One process at a time does: MLflow's migrations race, and no run may be created twice.

    Raises InputError for a database that cannot be used and for a server that does not answer.
    """
    address = server()
    if not address:
        check(database)
    with _one_writer(database), _said_in_a_line(address, database):
        yield open_client(database)


@contextmanager
def _one_writer(database: Path) -> Iterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    with Results.of_database(database).database_lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released by the system when the process ends, however it ends
        yield


@contextmanager
def _said_in_a_line(address: str, database: Path) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if address and "API request to" in str(error):
            lost = "nothing is lost: the files are in results/, and the same command catches up"
            raise InputError(f"{address} ({SERVER}) does not answer; {lost}") from None
        if "database is locked" in str(error):
            raise _locked(database) from None
        raise


def open_client(database: Path) -> MlflowClient:
    """A client of the server or the database, without telemetry and without messages about migrations."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):  # they announce each migration
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(server() or address_of(database))


def check(database: Path) -> int:
    """Number of active runs in the database, 0 where there is none yet.

    Raises InputError where it is no database of MLflow, of an older or newer MLflow, or locked by another program.
    """
    if not database.exists() or not database.stat().st_size:
        return 0
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY)
        try:
            connection.execute("begin immediate")
            found = connection.execute("select version_num from alembic_version").fetchone()
            runs = connection.execute("select count(*) from runs where lifecycle_stage = 'active'").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise _locked(database) from None
        again = "move it away, and `entrobench track STUDY` makes it anew from the result files"
        raise InputError(f"{database}: no database of MLflow ({error}); {again}") from None
    _check_revision(database, str(found[0]) if found else "")
    return int(runs)


def _check_revision(database: Path, found: str) -> None:
    known = _revisions()
    if not found or found == _newest(known):
        return
    if found in known:
        todo = f"`mlflow db upgrade sqlite:///{os.path.relpath(database)}` (after a copy) brings it up to date"
        raise InputError(f"{database}: written by an older MLflow than {version('mlflow')}; {todo}")
    newer = f"written by a newer MLflow than the installed {version('mlflow')} (schema {found})"
    raise InputError(
        f"{database}: {newer}: install that one, or move the file away and run `entrobench track STUDY`; "
        "`mlflow db upgrade` helps the other way round only"
    )


def _revisions() -> dict[str, str]:
    """Schema -> the one before it, of the installed MLflow; read from its files, without importing it."""
    spec = find_spec("mlflow")
    assert spec is not None
    assert spec.origin is not None
    found = {}
    for file in (Path(spec.origin).parent / "store/db_migrations/versions").glob("[!_]*.py"):
        values = dict(REVISION.findall(file.read_text()))
        found[values["revision"]] = values["down_revision"]
    return found


def _newest(revisions: dict[str, str]) -> str:
    return next(revision for revision in revisions if revision not in revisions.values())


def _locked(database: Path) -> InputError:
    return InputError(f"{database}: locked by another program for {BUSY:g} seconds; close it, then run this again")
