"""docs/reliability.md names tests that are there, and takes the figures of `make faults`."""

from __future__ import annotations

import re
from pathlib import Path

import campaign
import pytest

PAGE = campaign.PAGE.read_text(encoding="utf-8")


def test_the_page_names_tests_that_are_there() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+|Makefile)`", PAGE))
    assert len(named) > 30
    assert not [name for name in named if not (campaign.ROOT / name).exists()]


def test_the_figures_keep_the_promises() -> None:
    figures = PAGE.partition(campaign.BEGIN)[2].partition(campaign.END)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in figures.splitlines() if line.startswith("| ")]
    outcomes = {stage: (int(mishaps), outcome) for stage, mishaps, _, outcome in rows[1:]}
    assert {*campaign.SHARES} < {*outcomes}
    assert sum(mishaps for mishaps, _ in outcomes.values()) >= 50
    assert {outcome for _, outcome in outcomes.values()} == {"equal"}
    assert re.search(r"Checkpoints .* take 0\.\d+% of training", figures)
    assert f"{campaign.ANSWERS} adversarial answers" in figures
    assert " error" not in figures


def test_figures_take_the_place_of_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign, "PAGE", tmp_path / "page.md")
    campaign.PAGE.write_text(f"before\n{campaign.BEGIN}\nold\n{campaign.END}\nafter\n")
    campaign.write_page(["| training | 3 | 3 SIGTERM | equal |", "Ten answers"])
    text = campaign.PAGE.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| training | 3 | 3 SIGTERM | equal |\n\nTen answers.\n" in text
    assert capsys.readouterr().out.startswith("before")
