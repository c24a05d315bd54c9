from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
from synthetic_results import make_study

from entrobench.errors import InputError
from entrobench.evaluation.figures.sweep_figure import sweep_figure
from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.tables.sweep import COLUMNS, sweep_table, write_sweep
from entrobench.run_config import Variant

VARIANTS = {"grpo": None, "low": 0.01, "high": 0.1}


@pytest.fixture
def study(tmp_path: Path, no_figures: None) -> SimpleNamespace:
    """A compared sweep of the entropy bonus over two values and grpo, in two cells."""
    made = make_study(tmp_path, dict.fromkeys(VARIANTS, 0.5), datasets=["chain2", "chain3"], seeds=(100,), problems=10)
    for run in made.runs:
        value = VARIANTS[run.method]
        given = ("grpo", {}) if value is None else ("entropy_bonus", {"coefficient": value, "other": "same"})
        run.config = replace(run.config, method=Variant(run.method, *given))
    made.primary = "avg@8"
    compare(made, made.results)
    return made


def test_one_row_per_value_and_seed_with_grpo_at_the_neutral_value(study: SimpleNamespace) -> None:
    table = sweep_table(study, study.results)
    assert list(table.columns) == COLUMNS
    assert list(table["value"]) == [0.0, 0.01, 0.1]
    assert set(table["method"]) == {"entropy_bonus"}
    assert set(table["key"]) == {"coefficient"}
    assert set(table["seed"]) == {100}
    scores = pandas.read_parquet(study.results / "scores.parquet")
    scores = scores[scores["metric"] == "avg@8"]
    for row, name in zip(table.to_dict("records"), ["grpo", "low", "high"], strict=True):
        assert row["score"] == pytest.approx(scores[scores["method"] == name]["value"].mean())


def test_the_file_is_what_the_figure_reads(study: SimpleNamespace, tmp_path: Path) -> None:
    file = write_sweep(study, study.results, tmp_path / "reference")
    written = sweep_figure(pandas.read_csv(file), {("entropy_bonus", "coefficient"): [0.01]})
    assert [axes.get_ylabel() for axes in written.axes] == ["validation avg@8", "final entropy (nats/token)"]


def test_a_study_that_sweeps_nothing_or_two_keys_is_refused(study: SimpleNamespace) -> None:
    for run in study.runs:
        run.config.method.values["other"] = run.method
    with pytest.raises(
        InputError, match="the variants of entropy_bonus differ in coefficient, other; a sweep varies one"
    ):
        sweep_table(study, study.results)
    study.runs = [run for run in study.runs if run.method != "high"]
    with pytest.raises(InputError, match="no two variants of a method differ in a value"):
        sweep_table(study, study.results)
