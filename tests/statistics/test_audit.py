from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy
import pandas
import pytest
from typer.testing import CliRunner

from entrobench.cli.main import app
from entrobench.evaluation.statistics import audit
from entrobench.evaluation.statistics.admission import COLUMNS, NEW, THESE, read_audit
from entrobench.evaluation.tables.audit_tables import audit_tables

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "quickstart"


@pytest.fixture(scope="module")
def rates() -> pandas.DataFrame:
    return audit.audit_intervals(simulations=20, seed=0, progress=False)


def differences(board: audit.Board) -> numpy.ndarray:
    """New method minus baseline: [cells, seeds]."""
    scores = board.means["b"].reshape(len(audit.CELLS), 2, -1)
    return scores[:, 1] - scores[:, 0]


def test_the_simulated_study_has_the_stated_variances() -> None:
    rng = numpy.random.default_rng(0)
    boards = [audit.simulate(rng, audit.EFFECT, THESE)[0] for _ in range(60)]
    found = numpy.array([differences(board) for board in boards])
    # own noise of two runs, and of their samples: problems * draws answers at a mean variance of ease (1 - ease)
    within = numpy.prod(audit.EASE) / (sum(audit.EASE) * (sum(audit.EASE) + 1))
    sampled = within / (audit.PROBLEMS * audit.DRAWS)
    expected = [math.sqrt(2 * ((audit.RUN_NOISE * cell) ** 2 + sampled)) for cell in audit.CELL_NOISE]
    assert found.std(axis=2).mean(axis=0) == pytest.approx(expected, rel=0.1)
    assert found.mean() == pytest.approx(audit.EFFECT, abs=0.001)
    raw = numpy.array([board.means["b"].reshape(len(audit.CELLS), 2, -1)[:, 0] for board in boards])
    total = [math.sqrt((audit.RUN_NOISE**2 + audit.SEED_NOISE**2) * cell**2 + sampled) for cell in audit.CELL_NOISE]
    assert raw.std(axis=2).mean(axis=0) == pytest.approx(total, rel=0.1)


def test_only_new_problems_change_what_the_method_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "RUN_NOISE", 0.006)  # little enough not to hide what problems do
    rng = numpy.random.default_rng(1)
    own, new = (
        numpy.std([differences(audit.simulate(rng, 0.0, problems)[0]).mean() for _ in range(60)])
        for problems in (THESE, NEW)
    )
    assert own < 0.002
    assert new > 1.4 * own


def test_the_variances_are_those_of_the_committed_quickstart() -> None:
    """To a factor of 1.5: the reference run has two seeds."""
    scores = pandas.read_csv(REFERENCE / "scores.csv", keep_default_na=False)
    trained = scores[scores["dataset"] != "none"]
    means = trained.pivot_table(index=["model", "dataset", "method", "benchmark"], columns="metric", values="mean")
    mean, square = means["pass@1"], 2 * means["pass@1"] - means["pass@2"]  # E[p] and E[p²], from E[1 - (1 - p)²]
    total = (mean * (1 - mean) / (square - mean**2) - 1).mean()
    assert [mean.mean() * total, (1 - mean.mean()) * total] == pytest.approx(audit.EASE, rel=0.5)
    lines = (REFERENCE / "table.md").read_text().splitlines()
    lines = lines[lines.index("### Scores (avg@8)") :]
    seeds = [
        re.findall(r"seeds ([−+0-9., ]+)\)", line.rpartition("[")[2])
        for line in lines[: lines.index("### Other metrics")]
    ]
    paired = [[float(v.replace("−", "-")) for v in found[-1].split(", ")] for found in seeds if found]
    sampled = (mean - square).mean() / (2 * audit.PROBLEMS * audit.DRAWS)  # of a run's mean over two benchmarks
    own = math.sqrt(numpy.mean([numpy.var(values, ddof=1) for values in paired]) / 2 - sampled)
    assert 1 / 1.5 < own / audit.RUN_NOISE < 1.5


def test_every_interval_is_measured_for_either_question(rates: pandas.DataFrame) -> None:
    assert list(rates.columns) == list(COLUMNS)
    keys = rates[["problems", "interval", "cells", "seeds"]]
    assert not keys.duplicated().any()
    assert len(keys) == 2 * 5 * (2 * 6 + 1)
    assert set(rates["seeds"]) == set(audit.SEEDS)
    single = rates["interval"].isin(list(audit.SINGLE))
    assert rates.loc[single, ["false_positives", "power"]].isna().all(axis=None)
    assert rates.loc[~single, ["false_positives", "power"]].notna().all(axis=None)
    assert rates["coverage"].between(0, 1).all()


def test_the_rates_are_of_the_right_kind(rates: pandas.DataFrame) -> None:
    """20 simulations: within four standard errors of what theory says."""
    own = rates[rates["problems"] == THESE].set_index(["interval", "cells", "seeds"]).sort_index()
    assert own.loc["paired t", "false_positives"].max() < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 20)
    assert own.loc[("seed bootstrap", 1, 2), "false_positives"] > 0.25  # two seeds: about one half
    assert own.loc[("paired t", 4, 20), "power"] == 1.0


def test_the_same_seed_gives_the_same_rates(rates: pandas.DataFrame) -> None:
    few = [audit.audit_intervals(simulations=2, seed=seed, progress=False) for seed in (0, 0, 1)]
    pandas.testing.assert_frame_equal(few[0], few[1])
    assert not few[0].equals(few[2])


def test_the_command_writes_table_and_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["audit-statistics", "--simulations", "2", "--seed", "3"])
    assert done.exit_code == 0, done.output
    assert "False positives on the benchmark's own problems" in done.output
    folder = Path("results/statistics")
    assert {file.name for file in folder.iterdir()} == {"audit.csv", "audit.md", "provenance.json"}
    assert read_audit() is None  # only --write makes it the reference
    found = read_audit(folder / "audit.csv")
    assert found is not None
    assert found.measured("paired t", 5, 4)["simulations"] == 2
    provenance = json.loads((folder / "provenance.json").read_text())
    assert (provenance["seed"], provenance["simulations"]) == (3, 2)
    assert provenance["simulated"]["problems"] == audit.PROBLEMS
    assert CliRunner().invoke(app, ["audit-statistics", "--simulations", "2", "--write"]).exit_code == 0
    assert read_audit() is not None


def test_zero_simulations_are_refused() -> None:
    assert CliRunner().invoke(app, ["audit-statistics", "--simulations", "0"]).exit_code == 2


def test_tables_mark_the_intervals_that_may_give_a_verdict(rates: pandas.DataFrame) -> None:
    tables = audit_tables(rates.to_dict("records"), 0)
    assert [table.title for table in tables] == [
        "False positives on the benchmark's own problems",
        "Coverage on the benchmark's own problems",
        "False positives on new problems of the same kind",
        "Coverage on new problems of the same kind",
    ]
    first = tables[0].rows
    assert all(entry.bold for entry in first[0][2:])
    wrong = next(row for row in first if row[0].text == audit.DIFFERENCES["seed bootstrap"])
    assert not wrong[2].bold
    assert not any(entry.bold for table in tables[1:] for row in table.rows for entry in row)
