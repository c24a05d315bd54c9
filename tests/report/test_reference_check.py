from __future__ import annotations

import json
import math
from pathlib import Path

import pandas
import pytest

from entrobench.errors import InputError
from entrobench.evaluation.report.reference_check import (
    check,
    compare_with_reference,
    reference_lines,
    write_reference,
)

KEY = ["model", "dataset", "method", "seed", "benchmark", "metric", "value"]


def write_scores(folder: Path, rows: list[tuple[str, int, str, float]]) -> None:
    """Scores of one cell and benchmark from (method, seed, metric, value)."""
    folder.mkdir(parents=True, exist_ok=True)
    table = [
        ("m", "none" if name == "base" else "d", name, seed, "b", metric, value) for name, seed, metric, value in rows
    ]
    pandas.DataFrame(table, columns=KEY).to_parquet(folder / "scores.parquet")


def write_csv(folder: Path, rows: list[tuple[str, str, float, float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["model", "dataset", "method", "benchmark", "metric", "mean", "tolerance"]
    pandas.DataFrame([("m", "d", name, "b", *rest) for name, *rest in rows], columns=columns).to_csv(
        folder / "scores.csv", index=False
    )


def test_each_line_says_inside_outside_or_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scores(tmp_path / "s", [("grpo", 0, "avg@8", 0.80), ("grpo", 1, "avg@8", 0.82), ("aent", 0, "avg@8", 0.7)])
    write_csv(tmp_path / "r", [("grpo", "avg@8", 0.79, 0.02), ("aent", "avg@8", 0.79, 0.02), ("x", "avg@8", 0.5, 0.1)])
    lines = check(tmp_path / "s", tmp_path / "r")
    assert lines == [
        "ok       m/d/grpo b avg@8: 0.8100, reference 0.7900 ± 0.0200",
        "OUTSIDE  m/d/aent b avg@8: 0.7000, reference 0.7900 ± 0.0200",
        "MISSING  m/d/x b avg@8: reference 0.5000 ± 0.1000",
    ]
    written = json.loads((tmp_path / "s" / "reference_check.json").read_text())
    assert written == {"ok": 1, "OUTSIDE": 1, "MISSING": 1, "unknown": 0, "lines": lines}
    assert "1 of 3 scores within tolerance" in capsys.readouterr().out


def test_a_study_reproduces_itself(tmp_path: Path) -> None:
    rows = [("grpo", seed, "avg@8", value) for seed, value in enumerate([0.7, 0.8, 0.75])]
    write_scores(tmp_path / "s", [*rows, ("base", 0, "avg@8", 0.3), ("grpo", 0, "length", 17.0)])
    file = write_reference(tmp_path / "s", tmp_path / "r", ["avg@8"])
    table = pandas.read_csv(file, keep_default_na=False).set_index("method")
    # sd 0.05, t of 2 degrees of freedom 4.302653
    assert table.loc["grpo", "tolerance"] == pytest.approx(4.302653 * 0.05 * math.sqrt(2 / 3), rel=1e-4)
    assert table.loc["base", "tolerance"] == 0.02
    assert table.loc["base", "dataset"] == "none"
    assert [line[:7].strip() for line in compare_with_reference(tmp_path / "s", tmp_path / "r")] == ["ok", "ok"]


def test_a_reference_that_is_not_there_or_incomplete_is_named(tmp_path: Path) -> None:
    write_scores(tmp_path / "s", [("grpo", 0, "avg@8", 0.8)])
    with pytest.raises(InputError, match=r"scores.csv: missing; this study has no reference"):
        check(tmp_path / "s", tmp_path / "r")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "scores.csv").write_text("model,dataset,method,benchmark,metric,mean\n")
    with pytest.raises(InputError, match="the column 'tolerance' is missing"):
        check(tmp_path / "s", tmp_path / "r")


def test_seeds_of_all_arms_say_how_far_a_mean_may_lie(tmp_path: Path) -> None:
    """Three arms of two seeds share s² = (0.02² + 0.04² + 0.03²)/2/3; t of 3 degrees of freedom is 3.182446."""
    spreads = {"a": 0.02, "b": 0.04, "c": 0.03, "wild": 0.6}
    rows = [(name, seed, "avg@8", 0.5 + seed * spread) for name, spread in spreads.items() for seed in (0, 1)]
    write_scores(tmp_path / "s", [*rows, ("base", 0, "avg@8", 0.3)])
    table = pandas.read_csv(write_reference(tmp_path / "s", tmp_path / "r", ["avg@8"])).set_index("method")
    expected = 3.182446 * math.sqrt((0.02**2 + 0.04**2 + 0.03**2) / 2 / 3)
    assert table.loc[["a", "b", "c"], "tolerance"].tolist() == pytest.approx([expected] * 3, rel=1e-4)
    assert math.isnan(table.loc["wild", "tolerance"])
    lines = compare_with_reference(tmp_path / "s", tmp_path / "r")
    assert sorted(line.split()[0] for line in lines) == ["ok", "ok", "ok", "ok", "unknown"]
    assert any("whose seeds differ too much to say how far" in line for line in lines)


def test_the_report_counts_and_says_what_would_be_alarming(tmp_path: Path) -> None:
    write_scores(tmp_path / "s", [("grpo", 0, "avg@8", 0.80), ("aent", 0, "avg@8", 0.7)])
    write_csv(tmp_path / "r", [("grpo", "avg@8", 0.79, 0.02), ("aent", "avg@8", 0.79, 0.02)])
    title, why, alarming, *outside = reference_lines(tmp_path / "s", tmp_path / "r")
    assert title == "Against the committed run: 1 of 2 scores within what other seeds may differ by"
    assert "rounds differently" in why
    assert alarming.startswith("About 0 of 2 are outside by chance. Alarming are")
    assert outside == ["OUTSIDE  m/d/aent b avg@8: 0.7000, reference 0.7900 ± 0.0200"]
