"""The report in a real browser: wide and on a phone, light and dark, printed, with mouse and keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser

WIDE, PHONE = 1280, 390
PRINTED = 1032  # CSS pixels between the margins of A4 landscape
HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")]
SCORE = "#answer thead th:nth-child(3) button"


def opened(chromium: Browser, report: str, width: int = WIDE, scheme: str = "light", media: str = "") -> Browser:
    """The page as it comes, with helpers.js beside it."""
    chromium.errors.clear()
    chromium.requests.clear()
    chromium.look(width, scheme=scheme, media=media)
    chromium.open(report)
    chromium.run((HERE / "helpers.js").read_text() + "; 0")
    return chromium


def too_faint(page: Browser) -> list[list[Any]]:
    """The texts whose contrast is below what WCAG AA asks."""
    seen = page.run("contrasts()")
    assert len(seen) > 200
    return [found for found in seen if found[0] < found[1]]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_everything_is_drawn_and_readable_and_nothing_is_fetched(
    chromium: Browser, report: str, width: int, scheme: str
) -> None:
    page = opened(chromium, report, width, scheme)
    page.run("openAll()")
    drawings = page.run("drawings()")
    assert len(drawings) > 8
    assert all(across > 250 and size > 1500 for across, size in drawings)
    assert page.run("document.documentElement.scrollWidth") <= width, "the page itself never scrolls sideways"
    assert too_faint(page) == []
    white = page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert white == (scheme == "light")
    assert page.errors == []
    assert set(page.requests) == {report}


def press_enter(page: Browser) -> None:
    page.run(f"document.querySelector('{SCORE}').focus()")
    page.press("Enter")


@pytest.mark.parametrize("act", [lambda page: page.click(SCORE), press_enter], ids=["mouse", "keyboard"])
def test_a_heading_sorts_turns_round_and_restores(
    chromium: Browser, report: str, act: Callable[[Browser], None]
) -> None:
    page = opened(chromium, report)
    at_first = page.run("names()")
    found: list[tuple[str, list[float]]] = []
    for _ in range(3):
        act(page)
        found.append((page.run("sorts()")[2], page.run("scores()")))
    (up, rising), (down, falling), (none, _) = found
    assert (up, down, none) == ("ascending", "descending", "none")
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert page.run("names()") == at_first
    act(page)
    page.click("#answer thead th:nth-child(1) button")
    assert page.run("sorts()")[:3] == ["ascending", "none", "none"], "one column sorts at a time"
    assert page.errors == []


def test_one_method_can_be_shown_alone_and_pointing_at_a_line_shows_it(chromium: Browser, report: str) -> None:
    page = opened(chromium, report)
    page.run("still()")
    page.click("[data-show='aent']")
    assert page.run("document.querySelector('[data-show=aent]').ariaPressed") == "true"
    seen = {(method, full) for method, full in page.run("shown()")}
    assert seen == {("aent", True), ("grpo", False), ("entropy_bonus", False), ("clip_higher", False)}
    page.click("[data-show='aent']")
    assert all(full for _, full in page.run("shown()"))
    page.point_at("#answer .panel [data-method='clip_higher'] text")
    assert {method for method, full in page.run("shown()") if full} == {"clip_higher"}


def test_on_a_phone_panels_stack_text_stays_readable_and_the_first_column_stays(chromium: Browser, report: str) -> None:
    page = opened(chromium, report, PHONE)
    page.run("openAll()")
    lefts = page.run("all('.panel').map((panel) => Math.round(panel.getBoundingClientRect().left))")
    assert len(set(lefts)) == 1
    assert min(page.run("textSizes()")) >= 9, "CSS pixels of the smallest text in a figure"
    assert page.run("scrolled()") == [200, 0, 0]


def test_the_print_has_all_columns_marks_and_folded_parts_on_white(chromium: Browser, report: str) -> None:
    page = opened(chromium, report, PRINTED, scheme="dark", media="print")
    folded = "all('details:not([open])').length"
    before = page.run(folded)
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run(folded) == 0
    rights = page.run("all('table').map((table) => Math.round(table.getBoundingClientRect().right))")
    assert max(rights) <= PRINTED, "no column is cut"
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("getComputedStyle(document.querySelector('.sign')).printColorAdjust") == "exact"
    assert too_faint(page) == []
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(folded) == before > 0
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_axe_finds_no_serious_fault(chromium: Browser, report: str, width: int, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there; make test-browser installs it where there is npm")
    page = opened(chromium, report, width, scheme)
    page.run("openAll()")
    page.run(AXE.read_text() + "; 0")
    found: dict[str, Any] = json.loads(page.run("axe.run().then((found) => JSON.stringify(found))"))
    assert len(found["passes"]) > 15
    serious = [
        (fault["id"], [node["html"][:160] for node in fault["nodes"][:3]])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []
