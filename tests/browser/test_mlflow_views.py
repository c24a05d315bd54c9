"""MLflow over the finished study smoke, as `make ui` links to it: right runs, right grouping, drawn, nothing fetched.

At 1280 pixels alone: at 390 MLflow's own menus leave no room for what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser
from mlflow_page import CHARTS, LEGENDS, cells, open_view, served

from entrobench.evaluation.statistics.analysis import comparison
from entrobench.results import StudyFolder
from entrobench.tracking.views import BETTER, CURVES, TITLES

STUDY = StudyFolder(Path(__file__).parents[2] / "results" / "smoke")
KNOWN = (  # MLflow's own: it asks a server without accounts for the user, and redraws while it measures
    "/ajax-api/2.0/mlflow/users/current",
    "ResizeObserver loop completed with undelivered notifications",
)


@pytest.fixture(scope="module")
def links(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The links of `make ui`, over a copy of the study's runs; the page is left before its server ends."""
    if not STUDY.tracking.is_file() or not STUDY.statistics.is_file():
        pytest.skip(f"{STUDY.folder} is not there; make test-browser makes it")
    with served(STUDY, tmp_path_factory.mktemp("mlflow") / "served") as found:
        yield found
        chromium.open("about:blank")  # MLflow's page asks its server again and again


@pytest.fixture
def scores() -> dict[str, dict[str, Any]]:
    """What the study found of each method in its headline metric."""
    statistics = json.loads(STUDY.statistics.read_text())
    return {row["method"]: row for row in statistics["aggregates"] if row["metric"] == statistics["metric"]}


def opened(chromium: Browser, links: dict[str, str], view: str) -> Browser:
    chromium.look(1280)
    open_view(chromium, TITLES[view], links[TITLES[view]])
    return chromium


def check_clean(page: Browser, link: str) -> None:
    """Nothing went wrong in the page, and all that it asked for came from the server or was in it."""
    assert [error for error in page.errors if not any(name in error for name in KNOWN)] == []
    own = (link.partition("/#")[0], "data:", "blob:", "about:")
    assert [url for url in page.requests if not url.startswith(own)] == []


def test_which_is_better_has_a_row_per_method_with_the_reports_numbers(
    chromium: Browser, links: dict[str, str], scores: dict[str, dict[str, Any]]
) -> None:
    page = opened(chromium, links, BETTER)
    assert sorted(cells(page, "attributes.`Run Name`")) == sorted(scores), "a row per method"
    shown = cells(page, "metrics.`pooled/difference`")
    statistics = json.loads(STUDY.statistics.read_text())
    found = [comparison(statistics, "study", method=method) for method in scores]
    wanted = sorted((row["difference"] for row in found if row), reverse=True)
    assert [float(text) for text in shown if text != "-"] == pytest.approx(wanted, abs=5e-4)
    assert shown.count("-") == 1, "the baseline's"
    check_clean(page, links[TITLES[BETTER]])


def test_learning_curves_draw_a_line_per_method_entropy_and_reward_first(
    chromium: Browser, links: dict[str, str], scores: dict[str, dict[str, Any]]
) -> None:
    page = opened(chromium, links, CURVES)
    drawn, legends = page.run(CHARTS), page.run(LEGENDS)
    assert [title for title, _ in drawn][:2] == ["train/entropy", "train/reward"]
    assert all(lines >= len(scores) for _, lines in drawn[:2])
    for (title, _), legend in zip(drawn[:2], legends[:2], strict=True):
        assert [f"{method} ({title})" in legend for method in scores] == [True] * len(scores), "grouped by method"
    check_clean(page, links[TITLES[CURVES]])
