"""`make ui`: MLflow's web page over the database, the runs that train beside it, and a link to each study's answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

from entrobench.errors import InputError
from entrobench.results import Results, StudyFolder

from .database import QUIET, address_of, check, server
from .views import links

HOST = "127.0.0.1"
SETTINGS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true", **QUIET}
PATIENCE = 60.0  # seconds until the page has to answer


def serve(database: Path, port: int) -> int:
    """Show the database at http://127.0.0.1:PORT until ctrl-C; returns the server's exit status.

    Where MLFLOW_TRACKING_URI names a server, nothing is started but what shows the runs that train. Raises InputError
    for a database that cannot be used and for a port that is taken.
    """
    address = server() or f"http://{HOST}:{port}"
    if not server():
        if not database.exists():
            raise InputError(f"{database} is not there yet: run make study first")
        check(database)
        _check_port(port)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # the children must not outlive this process
    children = [subprocess.Popen([sys.executable, "-m", "entrobench", "track", "--follow"])]
    try:
        if not server():
            children.insert(0, _start(database, port))
            _wait(children[0], address)
        print("\n".join(["MLflow (ctrl-C ends it):", *study_links(Results.of_database(database), address)]), flush=True)
        return children[0].wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for child in children:
            child.terminate()
            child.wait()
        signal.signal(signal.SIGTERM, before)


def study_links(results: Results, address: str) -> Iterator[str]:
    """A line per study and saved view; the address itself where no study is imported yet."""
    found = [line for study in results.studies() for line in links_of(study, address)]
    yield from found or [f"  {address}"]


def links_of(study: StudyFolder, address: str) -> list[str]:
    """The lines of one study, none before it is imported."""
    if not study.tracking.is_file():
        return []
    experiment = json.loads(study.tracking.read_text())["experiment_id"]
    return [f"  {study.name}, {title}: {link}" for title, link in links(address, experiment)]


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a closed one may linger
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(f"port {port} is taken ({error.strerror}): make ui PORT={port + 1}") from None


def _start(database: Path, port: int) -> subprocess.Popen[bytes]:
    where = ["--backend-store-uri", address_of(database), "--host", HOST, "--port", str(port)]
    return subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *where, "--workers", "1"], env={**SETTINGS, **os.environ}
    )


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    """Until the page answers, or the server has ended, which its exit status then says."""
    last = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < last:
        try:
            with urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    if process.poll() is None:
        print(f"MLflow has not answered for {PATIENCE:g} s: open the links once it does", flush=True)
