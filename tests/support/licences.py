"""The licence of each package of the lock file, as the installed packages state it.

python tests/support/licences.py > docs/licences.md
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """# Licences of what requirements.lock installs

Made by `python tests/support/licences.py > docs/licences.md` from what each package states of itself. entrobench is
under the MIT licence and contains none of them.

| package | version | licence |
|---|---|---|
"""


def locked() -> dict[str, str]:
    """The versions of the lock file by package."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def licence(package: str) -> str:
    """What a package says its licence is: the expression, else the classifiers, else the first line of the text."""
    about = metadata(package)
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    classifiers = [name for name in classifiers if name != "OSI Approved"]
    stated = (about["License"] or "").strip().partition("\n")[0].strip()
    text = about["License-Expression"] or " / ".join(classifiers) or stated or _in_its_file(package) or "not stated"
    return text.replace("|", "/")[:80]


def _in_its_file(package: str) -> str:
    """The first line of the licence that comes with a package, "" where none does."""
    for file in files(package) or []:
        if re.match(r"(?i)licen[cs]e|copying", file.name):
            return next((line.strip() for line in file.read_text().splitlines() if line.strip()), "")
    return ""


def page() -> str:
    """The page as docs/licences.md holds it; packages for other machines are not installed here."""
    lines = []
    for package, version in sorted(locked().items(), key=lambda item: item[0].lower()):
        try:
            lines.append(f"| {package} | {version} | {licence(package)} |")
        except PackageNotFoundError:
            lines.append(f"| {package} | {version} | not installed on this machine |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
