"""One Chromium for all tests of this folder, and the reports that they look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, browser, executable
from synthetic_results import make_study, write_audit

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "results" / "smoke" / "report.html"
METHODS = {"grpo": 0.5, "entropy_bonus": 0.52, "clip_higher": 0.5, "aent": 0.7}


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if executable() is None:
        pytest.skip("no Chromium here; make test-browser installs the distribution's, where it can")
    with browser(tmp_path_factory.mktemp("chromium") / "profile") as opened:
        yield opened


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a synthetic study of two tasks with answers, a verdict and a sweep."""
    from entrobench.evaluation.report.compare import compare
    from entrobench.evaluation.report.study_page import write_report

    root = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("entrobench.evaluation.figures.study_figures.write_figures", lambda *arguments: [])
        write_audit(root)
        study = make_study(root, METHODS, datasets=["chain2", "chain3"], seeds=range(5), problems=20, answers=True)
        compare(study, study.results)
        return write_report(study, study.results)


@pytest.fixture(params=["made", "smoke"])
def report(request: pytest.FixtureRequest, made: Path) -> str:
    """The address of a report: of synthetic results, and of the finished study `smoke` where it is there."""
    if request.param == "smoke" and not SMOKE.is_file():
        pytest.skip(f"{SMOKE} is not there; make test-browser makes it")
    return (SMOKE if request.param == "smoke" else made).as_uri()
