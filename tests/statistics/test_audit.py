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
from entrobench.evaluation.statistics import audit, simulation
from entrobench.evaluation.statistics.admission import COLUMNS, KEYED, read_audit
from entrobench.evaluation.statistics.analysis import Declared, analyse, comparison
from entrobench.evaluation.tables.audit_tables import audit_tables

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "quickstart-two-seeds"


@pytest.fixture(scope="module")
def rates() -> pandas.DataFrame:
    return audit.audit_intervals(simulations=20, seed=0, progress=False)


KEYED_SEEDS = simulation.SCENARIOS[0]


def paired(scores: numpy.ndarray) -> numpy.ndarray:
    """Judged method minus baseline: [studies, cells, seeds]."""
    return scores[:, :, -1] - scores[:, :, 0]


def drawing_variance() -> float:
    """Of one run: problems * draws answers at a mean variance of ease (1 - ease)."""
    within = numpy.prod(simulation.EASE) / (sum(simulation.EASE) * (sum(simulation.EASE) + 1))
    return float(within / (simulation.PROBLEMS * simulation.DRAWS))


@pytest.mark.parametrize("in_full", [True, False])
def test_the_simulated_study_has_the_stated_variances(in_full: bool) -> None:
    rng, size = numpy.random.default_rng(0), 30 if in_full else 300
    studies = simulation.simulate(rng, size, KEYED_SEEDS, simulation.EFFECT)
    scores = simulation.answered(rng, studies).mean(-1) if in_full else simulation.scored(rng, studies)
    found, sampled = paired(scores), drawing_variance()
    expected = [math.sqrt(2 * ((simulation.RUN_NOISE * cell) ** 2 + sampled)) for cell in simulation.CELL_NOISE]
    assert found.std(axis=2).mean(axis=0) == pytest.approx(expected, rel=0.1)
    assert found.mean() == pytest.approx(simulation.EFFECT, abs=0.001)
    assert found[:, 0].mean() == pytest.approx(simulation.EFFECT, abs=0.003)
    assert found.mean(axis=2)[:, 1:].std() > simulation.CELL_EFFECT  # methods differ by cell
    noise = simulation.RUN_NOISE**2 + simulation.SEED_NOISE**2
    total = [math.sqrt(noise * cell**2 + sampled) for cell in simulation.CELL_NOISE]
    assert scores[:, :, 0].std(axis=2).mean(axis=0) == pytest.approx(total, rel=0.1)


def test_scores_alone_have_the_moments_of_the_answers() -> None:
    """The same shifts, answered 40 times: equal means and variances, to four standard errors."""
    rng = numpy.random.default_rng(2)
    one = simulation.simulate(rng, 1, KEYED_SEEDS, 0.0)
    answers = numpy.concatenate([simulation.answered(rng, one).mean(-1) for _ in range(40)])
    scores = numpy.concatenate([simulation.scored(rng, one) for _ in range(40)])
    error = math.sqrt(2 * drawing_variance() / 40)
    assert numpy.abs(answers.mean(0) - scores.mean(0)).mean() == pytest.approx(0.8 * error, rel=0.3)  # E|z| = 0.8
    assert answers.var(0).mean() == pytest.approx(scores.var(0).mean(), rel=4 * math.sqrt(4 / 39 / 320))


def test_shared_seeds_correlate_cells_and_keyed_seeds_do_not() -> None:
    rng = numpy.random.default_rng(3)
    for scenario, correlation in ((KEYED_SEEDS, 0.0), (simulation.SCENARIOS[3], 0.4)):
        found = paired(simulation.simulate(rng, 400, scenario, 0.0).shift)
        centered = found - found.mean(axis=2, keepdims=True)
        pair = (centered[:, 0] * centered[:, 1]).mean() / (centered[:, 0].std() * centered[:, 1].std())
        assert pair == pytest.approx(correlation, abs=4 / math.sqrt(400 * 19))


def test_only_new_problems_change_what_the_method_is_worth() -> None:
    rng = numpy.random.default_rng(1)
    own, new = (
        numpy.std(numpy.diff(simulation.simulate(rng, 60, scenario, 0.0).chances.mean(-1)[:, [0, -1]]))
        for scenario in (KEYED_SEEDS, simulation.SCENARIOS[4])
    )
    assert own < 1e-12
    assert new > 0.002


def test_studies_are_judged_like_real_ones() -> None:
    """The arrays of the audit give the intervals that `analyse` gives, study by study."""
    rng = numpy.random.default_rng(5)
    values = simulation.answered(rng, simulation.simulate(rng, 2, KEYED_SEEDS, simulation.EFFECT))[..., :5, :]
    drawn = audit.score_variance(values, values, simulation.DRAWS, "avg")
    found = audit.t_intervals(values.mean(-1, dtype=float), drawn)["paired t"]
    methods = ["grpo", "a", "b", "new"]
    for study in range(2):
        rows = [
            (f"m{cell}", "d", methods[method], seed, "b", str(problem), float(value))
            for (cell, method, seed, problem), value in numpy.ndenumerate(values[study])
        ]
        columns = ["model", "dataset", "method", "seed", "benchmark", "problem_id", "avg"]
        problems = pandas.DataFrame(rows, columns=columns).assign(n=simulation.DRAWS, snapshot=0)
        result = analyse(problems, Declared({"avg": "avg@8"}, methods), None, replicates=10)
        row = comparison(result, "study", method="new")
        bounds = row["difference"], row["lower"], row["upper"]
        assert bounds == pytest.approx([part[study] for part in found], abs=1e-9)


def test_the_variances_are_those_of_the_committed_quickstart() -> None:
    """To a factor of 1.5: the reference run has two seeds."""
    scores = pandas.read_csv(REFERENCE / "scores.csv", keep_default_na=False)
    trained = scores[scores["dataset"] != "none"]
    means = trained.pivot_table(index=["model", "dataset", "method", "benchmark"], columns="metric", values="mean")
    mean, square = means["pass@1"], 2 * means["pass@1"] - means["pass@2"]  # E[p] and E[p²], from E[1 - (1 - p)²]
    total = (mean * (1 - mean) / (square - mean**2) - 1).mean()
    assert [mean.mean() * total, (1 - mean.mean()) * total] == pytest.approx(simulation.EASE, rel=0.5)
    lines = (REFERENCE / "table.md").read_text().splitlines()
    lines = lines[lines.index("### Scores (avg@8)") :]
    seeds = [
        re.findall(r"seeds ([−+0-9., ]+)\)", line.rpartition("[")[2])
        for line in lines[: lines.index("### Other metrics")]
    ]
    paired = [[float(v.replace("−", "-")) for v in found[-1].split(", ")] for found in seeds if found]
    sampled = (mean - square).mean() / (2 * simulation.PROBLEMS * simulation.DRAWS)  # mean of two benchmarks
    own = math.sqrt(numpy.mean([numpy.var(values, ddof=1) for values in paired]) / 2 - sampled)
    assert 1 / 1.5 < own / simulation.RUN_NOISE < 1.5


def test_every_interval_is_measured_in_every_scenario(rates: pandas.DataFrame) -> None:
    assert list(rates.columns) == list(COLUMNS)
    keys = rates[["scenario", "interval", "cells", "seeds"]]
    assert not keys.duplicated().any()
    in_full = sum(scenario.in_full for scenario in simulation.SCENARIOS)
    assert len(keys) == 5 * (in_full * (2 * 7 + 1) + (len(simulation.SCENARIOS) - in_full) * (2 * 2 + 1))
    assert set(rates["seeds"]) == set(simulation.SEEDS)
    single = rates["interval"].isin(list(audit.SINGLE))
    assert rates.loc[single, ["false_positives", "power"]].isna().all(axis=None)
    assert rates.loc[~single, ["false_positives", "power"]].notna().all(axis=None)
    assert rates["coverage"].between(0, 1).all()


def test_the_rates_are_of_the_right_kind(rates: pandas.DataFrame) -> None:
    """20 simulations: within four standard errors of what theory says."""
    own = rates[rates["scenario"] == KEYED].set_index(["interval", "cells", "seeds"]).sort_index()
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
    assert "False positives: keyed seeds" in done.output
    folder = Path("results/statistics")
    assert {file.name for file in folder.iterdir()} == {"audit.csv", "audit.md", "provenance.json"}
    assert read_audit() is None  # only --write makes it the reference
    found = read_audit(folder / "audit.csv")
    assert found is not None
    assert found.measured("paired t", 5, 4)["simulations"] == 2
    provenance = json.loads((folder / "provenance.json").read_text())
    assert (provenance["seed"], provenance["simulations"]) == (3, 2)
    assert provenance["simulated"]["problems"] == simulation.PROBLEMS
    assert CliRunner().invoke(app, ["audit-statistics", "--simulations", "2", "--write"]).exit_code == 0
    assert read_audit() is not None


def test_zero_simulations_are_refused() -> None:
    assert CliRunner().invoke(app, ["audit-statistics", "--simulations", "0"]).exit_code == 2


def test_tables_mark_the_intervals_that_may_give_a_verdict(rates: pandas.DataFrame) -> None:
    tables = audit_tables(rates.to_dict("records"), 0)
    kinds = ("False positives", "Coverage", "Power")
    assert [table.title for table in tables] == [
        *(f"{kind}: {name}" for name in ("keyed seeds", "unequal noise") for kind in kinds),
        *(f"False positives: {scenario.name}" for scenario in simulation.SCENARIOS[2:]),
    ]
    first = tables[0].rows
    assert all(entry.bold for entry in first[0][2:])
    wrong = next(row for row in first if row[0].text == audit.DIFFERENCES["seed bootstrap"])
    assert not wrong[2].bold
    others = [table for number, table in enumerate(tables) if number not in (0, 3)]
    assert not any(entry.bold for table in others for row in table.rows for entry in row)
