"""The table of what clamping keeps and removes, against counts and means by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest

from entrobench.evaluation.tables import clamps
from entrobench.evaluation.tables.clamps import clamp_tables

ARMS: dict[str, dict[str, Any]] = {"grpo": {}, "full": {"clamp": 0.0}, "cut": {"clamp": 0.2}, "half": {"clamp": 0.5}}


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr(clamps, "study_sizes", lambda study: {"tiny": SimpleNamespace(vocabulary=1024)})
    runs = [
        SimpleNamespace(
            model="tiny", dataset="chain2", method=name, config=SimpleNamespace(method=SimpleNamespace(values=values))
        )
        for name, values in ARMS.items()
    ]
    return SimpleNamespace(runs=runs)


def write_curves(folder: Path, logged: bool) -> None:
    rows = []
    for method in ARMS:
        for seed in (0, 1):
            for step in (1, 2):
                row = {"model": "tiny", "dataset": "chain2", "method": method, "seed": seed, "step": step}
                columns = {"mass": 1e-4 * step * (1 + seed), "entropy": 0.2, "cosine": 0.9, "norm_ratio": 0.5}
                rows.append(row | {f"clamp/0.2/{name}": value for name, value in columns.items() if logged})
    pandas.DataFrame(rows).to_parquet(folder / "curves.parquet")


def test_kept_counts_and_removed_mass(study: SimpleNamespace, tmp_path: Path) -> None:
    write_curves(tmp_path, logged=True)
    (table,) = clamp_tables(study, tmp_path)
    texts = {row[2].text: [entry.text for entry in row[3:]] for row in table.rows}
    assert texts == {
        "full": ["0", "1,024 of 1,024", *["–"] * 5],
        "cut": ["0.2", "820 of 1,024", "1.50e-04", "2.25e-04", "0.200", "0.900", "0.500"],
        "half": ["0.5", "512 of 1,024", *["–"] * 5],
    }
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_no_table_where_nothing_was_logged(study: SimpleNamespace, tmp_path: Path) -> None:
    write_curves(tmp_path, logged=False)
    assert clamp_tables(study, tmp_path) == []
