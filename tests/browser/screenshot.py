"""Screenshots of a finished study for the README: python tests/browser/screenshot.py results/STUDY FOLDER

Writes report.png (1280 pixels wide, light) and report-phone.png (390, dark), the top of the page each; and
learning-curves.png and which-is-better.png, the two views of MLflow that `make ui` links to.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from chromium import Browser, browser
from mlflow_page import FILES, open_view, served

from entrobench.results import StudyFolder

SHOTS = {"report.png": (1280, 1180, "light"), "report-phone.png": (390, 1180, "dark")}
WINDOW = (1280, 800)  # of MLflow's views


def main(study: StudyFolder, folder: Path) -> None:
    """Write all four pictures."""
    with tempfile.TemporaryDirectory() as scratch, browser(Path(scratch) / "profile") as page:
        for name, (width, height, scheme) in SHOTS.items():
            page.look(width, height, scheme)
            page.open(study.report.resolve().as_uri())
            page.screenshot(folder / name)
        views(page, study, folder, Path(scratch) / "served")


def views(page: Browser, study: StudyFolder, folder: Path, scratch: Path) -> None:
    """The views of MLflow."""
    page.look(*WINDOW)
    with served(study, scratch) as links:
        for title, link in links.items():
            open_view(page, title, link)
            page.screenshot(folder / FILES[title])


if __name__ == "__main__":
    main(StudyFolder(Path(sys.argv[1])), Path(sys.argv[2]))
