from __future__ import annotations

import json
import math
from pathlib import Path

import pandas
import pytest

from entrobench.errors import InputError
from entrobench.evaluation.report.reference_check import check, compare_with_reference, write_reference

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
    assert written == {"ok": 1, "OUTSIDE": 1, "MISSING": 1, "lines": lines}
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
