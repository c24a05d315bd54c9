"""Published numbers to compare a study with: results/reference/<folder>/ and a setting in it.

A folder holds table<n>.csv (setting, method, benchmark, score). Where they are known it also holds average_scores.csv
and benchmark_scores.csv (scores by step), gpu_hours.csv, and settings.yaml, which says how the numbers were made.
UNKNOWN stays UNKNOWN.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from entrobench.errors import InputError, unknown
from entrobench.results import RESULTS

CURVES = ("average_scores.csv", "benchmark_scores.csv")
UNKNOWN = "UNKNOWN"


def check_published(place: str, where: str) -> None:
    """Raise InputError unless `place` is <folder>/<setting> of published numbers."""
    folder, _, setting = place.partition("/")
    known = RESULTS.references()
    if folder not in known:
        raise unknown("folder of results/reference", folder, known, where)
    settings = {row["setting"] for path in tables(place) for row in _rows(path)}
    if setting not in settings:
        raise unknown(f"setting of {RESULTS.reference(folder).folder}", setting, settings, where)


def files(place: str) -> list[Path]:
    """The files of a folder of published numbers."""
    folder = RESULTS.reference(place.partition("/")[0]).folder
    return [*tables(place), *(path for path in _further(folder) if path.is_file())]


def tables(place: str) -> list[Path]:
    """The files table<n>.csv of published scores, sorted; `place` is <folder>/<setting>."""
    return RESULTS.reference(place.partition("/")[0]).published_tables()


def _further(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in (*CURVES, "gpu_hours.csv", "settings.yaml"))


def rows(place: str, name: str) -> list[dict[str, str]]:
    """The rows of one file that belong to this setting; none where the file does not exist."""
    folder, _, setting = place.partition("/")
    path = RESULTS.reference(folder).folder / name
    return [row for row in _rows(path) if row["setting"] == setting] if path.is_file() else []


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    for key in ("setting", "method"):
        if found and key not in found[0]:
            raise InputError(f"{path}: the column {key!r} is missing")
    return found


def settings(place: str) -> dict[str, dict[str, Any]]:
    """settings.yaml as {section: {key: value in this setting}}; {} where the file does not exist.

    `value` holds for all settings that the file names. In a setting that it never names, everything is UNKNOWN.
    """
    folder, _, setting = place.partition("/")
    path = RESULTS.reference(folder).folder / "settings.yaml"
    content = yaml.safe_load(path.read_text()) if path.is_file() else {}
    names = {name for values in content.values() for said in values.values() for name in said}
    shared = "value" if names <= {"value", "grade"} or setting in names else setting
    return {
        section: {key: said.get(setting, said.get(shared, UNKNOWN)) for key, said in values.items()}
        for section, values in content.items()
    }


def unknown_settings(place: str) -> dict[str, list[str]]:
    """The keys that settings.yaml calls UNKNOWN, by section; a section may be a method's name."""
    found = {
        section: [key for key, value in values.items() if value == UNKNOWN]
        for section, values in settings(place).items()
    }
    return {section: keys for section, keys in found.items() if keys}
