"""Screenshots of a report for the README: python tests/browser/screenshot.py REPORT.html FOLDER

Writes report.png (1280 pixels wide, light) and report-phone.png (390, dark), the top of the page each.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from chromium import browser

SHOTS = {"report.png": (1280, 1180, "light"), "report-phone.png": (390, 1180, "dark")}


def main(report: Path, folder: Path) -> None:
    """Write both pictures."""
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile) / "profile") as page:
        for name, (width, height, scheme) in SHOTS.items():
            page.look(width, height, scheme)
            page.open(report.resolve().as_uri())
            page.screenshot(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
