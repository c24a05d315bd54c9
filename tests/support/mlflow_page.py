"""MLflow's page over a copy of a study's results, started as `make ui` starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from chromium import Browser

from entrobench.results import StudyFolder

SECONDS = 600  # until the page answers: a machine may be busy


@contextmanager
def served(study: StudyFolder, folder: Path) -> Iterator[dict[str, str]]:
    """Copy the database and what was imported of a study into an empty folder and serve it; {title of a view: link}.

    So nothing that a browser does reaches the study's own results.
    """
    results = folder / "results"
    (results / study.name).mkdir(parents=True)
    shutil.copy(study.folder.parent / "mlflow.db", results)
    shutil.copy(study.tracking, results / study.name)
    said = folder / "ui.log"
    with said.open("w") as log:
        command = [sys.executable, "-m", "entrobench", "ui", "--port", str(_free_port())]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "PYTHONUTF8": "1"})
    try:
        yield _links(process, said, study.name)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(link: str) -> bool:
    try:
        with urlopen(f"{link.partition('/#')[0]}/health", timeout=5):
            return True
    except OSError:
        return False


def _links(process: subprocess.Popen[bytes], said: Path, study: str) -> dict[str, str]:
    """The two links, once they are printed. Raises RuntimeError with what was said where they never are."""
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        lines = [line.strip() for line in said.read_text().splitlines() if line.startswith(f"  {study}, ")]
        links = {title.removeprefix(f"{study}, "): link for title, _, link in (x.partition(": ") for x in lines)}
        if len(links) == 2 and all(map(_answers, links.values())):
            return links
        time.sleep(0.2)
    raise RuntimeError(said.read_text())


FILES = {"Learning curves": "learning-curves.png", "Which is better": "which-is-better.png"}  # of screenshots
CARDS = "[...document.querySelectorAll('[data-testid=experiment-view-compare-runs-card]')]"
CELLS = "[...document.querySelectorAll('.ag-cell[col-id={}]')].map((cell) => cell.innerText.trim().split('\\n').pop())"
DRAWN = {  # what is there once a view is
    "Learning curves": f"{CARDS}.filter((card) => card.querySelector('.scatterlayer path.js-line')).length > 1",
    "Which is better": "document.querySelector('.ag-center-cols-container .ag-cell') !== null",
}
CHARTS = f"{CARDS}.map((card) => [card.querySelector('h4').title, card.querySelectorAll('path.js-line').length])"
LEGENDS = f"{CARDS}.map((card) => card.innerText)"


def open_view(page: Browser, title: str, link: str) -> None:
    """Open a saved view from an empty page, so that all of it is loaded anew, and wait until it is drawn."""
    page.open("about:blank")
    page.requests.clear()
    page.errors.clear()
    page.open(link)
    page.wait(DRAWN[title])
    if page.run("document.querySelector('[aria-label=Close]') !== null"):
        page.click("[aria-label=Close]")  # an assistant that takes a third of the window
        page.wait("document.querySelector('[aria-label=Close]') === null")


def cells(page: Browser, column: str) -> list[str]:
    """The last lines of a column of the table of runs, from top to bottom: a name stands below its colour."""
    found: list[str] = page.run(CELLS.format(json.dumps(column)))
    return found
