"""`entrobench report`: one self-contained HTML page per study, from the files that `compare` wrote.

What was found stands in `results_sections`, in the order of a reader's questions; what was run, in `origin_sections`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError
from entrobench.results import RESULTS, StudyFolder

from .headline_words import answer_of, headline
from .origin_sections import origin_sections
from .page.blocks import Page
from .results_sections import Found, results_sections

if TYPE_CHECKING:
    from entrobench.studies.runs import Study


def write_report(study: Study, folder: Path) -> Path:
    """Write `folder`/report.html and return its path; reads what `compare` wrote and each run's provenance.json.

    Style, script and figures are inside the page; every text is escaped. Raises InputError where `compare` did not run.
    """
    from .page.render import render

    files = StudyFolder(folder)
    if not files.statistics.is_file():
        raise InputError(f"{files.statistics}: missing; run `entrobench compare {study.name}` first")
    found = Found(study, folder)
    page = Page(
        study.name,
        study.description,
        _facts(study, found.metric),
        headline(answer_of(folder)),
        [*results_sections(found), *origin_sections(study, folder)],
        str(RESULTS.study(study.name).folder),
        found.methods,
    )
    files.report.write_text(render(page), encoding="utf-8")
    return files.report


def _facts(study: Study, metric: str) -> list[tuple[str, str]]:
    """The numbers under the headline."""
    counts = {name: len({getattr(run, name) for run in study.runs}) for name in ("model", "dataset", "method", "seed")}
    facts = [(str(count), name if count == 1 else f"{name}s") for name, count in counts.items()]
    return [(str(len(study.runs)), "training runs"), *facts, (metric, "headline metric")]
