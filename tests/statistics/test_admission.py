from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_results import make_audit, write_audit

from entrobench.errors import InputError
from entrobench.evaluation.statistics.admission import FILE, PRIMARY, read_audit

COMMITTED = Path(__file__).parents[2] / FILE


def test_an_interval_is_admitted_up_to_five_percent_and_the_error_of_the_simulation() -> None:
    # 1,000 simulations: 5 % + 3 * sqrt(0.05 * 0.95 / 1000) = 7.07 %
    assert make_audit(wrong=0.07).admits(PRIMARY, 5)
    assert not make_audit(wrong=0.071).admits(PRIMARY, 5)
    assert make_audit(wrong=0.071).admits("crossed bootstrap", 5)
    assert not make_audit().admits("never simulated", 5)


def test_every_simulated_number_of_cells_has_to_be_right() -> None:
    audit = make_audit()
    for row in [r for r in audit.rows if (r["interval"], r["seeds"], r["cells"]) == (PRIMARY, 5, 4)]:
        row["false_positives"] = 0.2  # whether the methods are equally noisy or not
        assert not audit.admits(PRIMARY, 5)
        assert audit.admits(PRIMARY, 4)
        row["false_positives"] = 0.05
    assert audit.admits(PRIMARY, 5)


def test_scenarios_that_studies_are_not_run_in_refuse_nothing() -> None:
    audit = make_audit()
    audit.rows.append({**audit.rows[0], "scenario": "shared seeds, 0.4", "seeds": 5, "false_positives": 0.18})
    assert audit.admits(PRIMARY, 5)


def test_other_sizes_are_judged_by_the_next_smaller_one() -> None:
    audit = make_audit()
    assert audit.measured(PRIMARY, 7, 9) == audit.measured(PRIMARY, 5, 4)
    assert audit.measured(PRIMARY, 4, 3) == audit.measured(PRIMARY, 2, 1)
    assert audit.measured(PRIMARY, 1, 1) is None
    assert not audit.admits(PRIMARY, 1)


def test_reading_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_audit() is None
    write_audit(tmp_path)
    found = read_audit()
    assert found is not None
    assert found.rows == make_audit().rows
    assert found.file == FILE
    FILE.write_text(FILE.read_text().replace("coverage", "covers"))
    with pytest.raises(InputError, match=r"audit.csv: the column 'coverage' is missing"):
        read_audit()
    write_audit(tmp_path)
    FILE.write_text(FILE.read_text().replace("0.95", "most"))
    with pytest.raises(InputError, match=r"audit.csv: row 1: could not convert"):
        read_audit()


def test_the_committed_audit_admits_the_primary_interval_and_not_the_percentile_bootstrap() -> None:
    audit = read_audit(COMMITTED)
    assert audit is not None
    assert {row["seeds"] for row in audit.rows} == {2, 3, 5, 10, 20}
    assert min(row["simulations"] for row in audit.rows) >= 4000
    for seeds in (5, 10, 20):
        assert audit.admits(PRIMARY, seeds)
        assert not audit.admits("seed bootstrap", seeds)
    assert audit.measured("seed bootstrap", 5, 1)["false_positives"] > 0.12
    for correlation in ("0.2", "0.4"):  # why seeds are keyed by cell
        assert audit.measured(PRIMARY, 5, 4, f"shared seeds, {correlation}")["false_positives"] > 0.07
