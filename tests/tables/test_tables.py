from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
from rich.console import Console
from synthetic_results import make_study, write_audit
from tiny import run_config

from entrobench.errors import InputError
from entrobench.evaluation.grading.grader import OUTCOMES
from entrobench.evaluation.report.compare import compare, read_curves, used_values
from entrobench.evaluation.tables.entries import difference_entry, p_text
from entrobench.evaluation.tables.study_tables import JUDGED, read_tables
from entrobench.evaluation.tables.table_formats import Entry, Table, escape_latex, latex, markdown, parts, terminal
from entrobench.evaluation.tables.wide_table import run_costs
from entrobench.studies.headline import Headline

SKILLS = {"grpo": 0.5, "entropy_bonus": 0.5, "aent": 0.75}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A study of 2 cells, 3 methods, 5 seeds and 2 benchmarks after `compare`."""
    root = tmp_path_factory.mktemp("tables")
    study = make_study(
        root, SKILLS, datasets=["chain2", "chain3"], benchmarks=["b1", "b2"], seeds=range(5), problems=30
    )
    compare(study, study.results)
    return study


def text_of(table: Table, row: int, column: str) -> str:
    return table.rows[row][table.columns.index(column)].text


def test_compare_writes_everything(compared: SimpleNamespace) -> None:
    names = {"scores.parquet", "problems.parquet", "curves.parquet", "statistics.json", "figures"}
    assert {*names, "table.md", "table.csv", "table.tex"} <= {path.name for path in compared.results.iterdir()}
    scores = pandas.read_parquet(compared.results / "scores.parquet")
    assert list(scores.columns) == ["model", "dataset", "method", "seed", "benchmark", "metric", "value"]
    assert pandas.read_parquet(compared.results / "problems.parquet")["study"].unique() == ["fake"]
    curves = pandas.read_parquet(compared.results / "curves.parquet")
    assert list(curves.columns[:6]) == ["study", "model", "dataset", "method", "seed", "step"]
    assert json.loads((compared.results / "statistics.json").read_text())["metric"] == "avg@8"


def test_one_row_per_cell_and_method_with_the_base_model_first(compared: SimpleNamespace) -> None:
    wide, tables = read_tables(compared.results)
    order = ["base", "grpo", "entropy_bonus", "aent"]
    assert list(wide["method"]) == order * 2
    assert list(wide["dataset"]) == ["chain2"] * 4 + ["chain3"] * 4
    written = pandas.read_csv(compared.results / "table.csv")
    assert list(written[written["scope"] == "cell"]["method"]) == order * 2
    assert [len(table.rows) for table in tables] == [3, 8, 8, 8, 6, 6, 6]


def test_table_csv_ends_with_the_comparison_of_the_whole_study(compared: SimpleNamespace) -> None:
    written = pandas.read_csv(compared.results / "table.csv").query("scope == 'study'").set_index("method")
    statistics = json.loads((compared.results / "statistics.json").read_text())
    (found,) = (row for row in statistics["comparisons"] if (row["scope"], row["method"]) == ("study", "aent"))
    row = written.loc["aent"]
    assert (row["metric"], row["verdict"]) == ("avg@8", found["verdict"])
    for column, name in (("difference", "difference"), ("difference upper", "upper"), ("Holm p", "p_holm")):
        assert row[column] == pytest.approx(found[name])
    assert row["smallest detectable"] == pytest.approx(found["detectable"])
    assert math.isnan(written.loc["grpo", "difference"])
    assert written["model"].isna().all()


def test_the_wide_table_agrees_with_the_scores(compared: SimpleNamespace) -> None:
    wide, _ = read_tables(compared.results)
    scores = pandas.read_parquet(compared.results / "scores.parquet")
    row = wide[(wide["dataset"] == "chain3") & (wide["method"] == "aent")].iloc[0]
    own = scores[(scores["dataset"] == "chain3") & (scores["method"] == "aent") & (scores["benchmark"] == "b2")]
    for metric in ("avg@8", "maj@8", "pass@2", "length", "truncated"):
        assert row[f"b2 {metric}"] == pytest.approx(own[own["metric"] == metric]["value"].mean())
    assert row["mean avg@8"] == pytest.approx((row["b1 avg@8"] + row["b2 avg@8"]) / 2)
    assert row["b1 answers"] == 5 * 30 * 8
    outcomes = ("correct", "wrong", "unparsable", "timeout", "error")
    assert sum(row[f"b1 {outcome}"] for outcome in outcomes) == row["b1 answers"]
    assert row["b1 correct"] == round(row["b1 avg@8"] * row["b1 answers"])
    assert row["tokens"] == 20 * 4096
    assert row["seconds"] == pytest.approx(20 * 0.4)
    assert row["updates"] == 2


def test_only_the_comparison_carries_verdicts_and_they_decide_what_is_bold(compared: SimpleNamespace) -> None:
    _, tables = read_tables(compared.results)
    statistics = json.loads((compared.results / "statistics.json").read_text())
    verdicts = {row["method"]: row["verdict"] for row in statistics["comparisons"] if row["scope"] == "study"}
    assert verdicts["aent"] == "better"
    for row in tables[0].rows:
        verdict = verdicts.get(row[0].text)
        assert row[tables[0].columns.index("difference to grpo")].bold == (verdict == "better")
        assert row[tables[0].columns.index("verdict")].text == (verdict or "–")
    others = [table for table in tables[1:] if "verdict" in table.columns]
    assert others == []
    assert not any(entry.bold for table in tables[1:] for row in table.rows for entry in row)
    for said in ("A verdict covers these models, tasks and problems; noise of training seeds.", "Smallest detectable"):
        assert said in tables[0].note
    assert float(text_of(tables[0], 2, "smallest\ndetectable")) > 0
    assert text_of(tables[0], 0, "difference to grpo") == "–"
    assert text_of(tables[1], 1, "difference to grpo") == "–"


@pytest.mark.usefixtures("no_figures")
def test_a_co_primary_metric_and_an_a_a_arm_are_shown_as_declared(tmp_path: Path) -> None:
    skills = {"grpo": 0.5, "aent": 0.9, "grpo_again": 0.5}
    study = make_study(tmp_path, skills, seeds=range(5), problems=20)
    study.headline = Headline("avg@n", "pass@4", "grpo_again", 0.05)
    compare(study, study.results)
    _, tables = read_tables(study.results)
    assert [table.name for table in tables[:3]] == ["comparison", "comparison pass@4", "scores"]
    for table in tables[:2]:
        assert [row[0].text for row in table.rows] == ["grpo", "aent", "grpo_again"]
        assert text_of(table, 2, "verdict") == "A/A arm"
        assert text_of(table, 2, "Holm p") == "–"
        assert int(text_of(table, 1, "seeds that\n0.05 needs")) >= 2
    assert "grpo_again is the A/A arm" in tables[0].note
    assert "one family declared beforehand (avg@8 and pass@4, all methods: 2 comparisons)" in tables[0].note


def test_final_entropy_is_the_mean_of_the_last_ten_steps(compared: SimpleNamespace) -> None:
    curves = read_curves(compared, compared.results)
    costs = run_costs(curves.sample(frac=1, random_state=0)).set_index(["dataset", "method", "seed"])
    run = compared.runs[-1]
    steps = pandas.read_parquet(run.folder / "steps.parquet")
    expected = steps[steps["step"] > 10]["entropy"].mean()
    assert costs.loc[(run.dataset, run.method, run.seed), "final_entropy"] == pytest.approx(expected)


@pytest.mark.usefixtures("no_figures")
def test_few_seeds_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.9}, seeds=(0, 1), problems=10)
    compare(study, study.results)
    wide, tables = read_tables(study.results)
    entry = tables[1].rows[2][tables[1].columns.index("chain2-test")]
    values = [float(value) for value in wide.iloc[2]["chain2-test avg@8 seeds"].split()]
    assert entry.detail == f"seeds {values[0]:.3f}, {values[1]:.3f}"
    assert "±" in entry.text
    assert text_of(tables[0], 1, "verdict") == "too few seeds"
    assert not any(entry.bold for table in tables for row in table.rows for entry in row)
    assert "too few seeds" in capsys.readouterr().out


@pytest.mark.usefixtures("no_figures")
def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.9}, seeds=(7,), problems=10)
    compare(study, study.results)
    _, tables = read_tables(study.results)
    shown = [entry.text for table in tables for row in table.rows for entry in row]
    assert not any("±" in text or "[" in text for text in shown)
    assert text_of(tables[0], 1, "verdict") == "too few seeds"


def test_missing_gradings_are_named(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.9}, seeds=(0, 1), problems=5)
    (study.runs[2].folder / "grades" / "chain2-test.parquet").unlink()
    with pytest.raises(InputError, match="1 of 5 gradings are missing, first tiny/chain2/aent/0/chain2-test"):
        compare(study, study.results)


@pytest.mark.usefixtures("no_figures")
def test_runs_outside_the_study_are_left_out(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.9, "old": 0.2}, seeds=(0, 1), problems=5)
    study.runs = [run for run in study.runs if run.method != "old"]
    compare(study, study.results)
    for name in ("scores", "problems", "curves"):
        assert "old" not in set(pandas.read_parquet(study.results / f"{name}.parquet")["method"])


def test_used_values_are_numbers_by_method_and_key() -> None:
    def run(method: str, **values: object) -> SimpleNamespace:
        return SimpleNamespace(method=method, config=run_config(method, values=values))

    study = SimpleNamespace(runs=[run("a", x=0.1, name="n"), run("a", x=0.1), run("a", x=0.2), run("b", x=3)])
    assert used_values(study) == {("a", "x"): [0.1, 0.2], ("b", "x"): [3]}


TABLE = Table(
    "t",
    "A_title & more",
    ["model", "two\nlines"],
    [[Entry("m_1"), Entry("0.5 ± 0.1", "seeds 0.4, 0.6", 0.5, bold=True)], [Entry("m|2"), Entry("−0.1")]],
    "100 % note",
    group=1,
)


def test_markdown() -> None:
    lines = markdown(TABLE).splitlines()
    assert lines[0] == "### A_title & more"
    assert lines[2:4] == ["| model | two lines |", "| --- | --- |"]
    assert lines[4] == "| m_1 | **0.5 ± 0.1** (seeds 0.4, 0.6) |"
    assert lines[5] == "| m\\|2 | −0.1 |"
    assert lines[-1] == "100 % note"


def test_latex() -> None:
    text = latex(TABLE)
    assert r"\caption{A\_title \& more. 100 \% note}" in text
    assert r"m\_1 & \shortstack[l]{\textbf{0.5 $\pm$ 0.1}\\(seeds 0.4, 0.6)} \\" in text
    assert text.count(r"\midrule") == 2
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert escape_latex("a\\b^c") == r"a\textbackslash{}b\textasciicircum{}c"


def test_terminal_text_shows_every_entry() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(terminal(TABLE))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for text in ("A_title & more", "m_1", "0.5 ± 0.1", "seeds 0.4, 0.6", "−0.1", "100 % note"):
        assert text in shown


def test_difference_and_p_texts() -> None:
    assert difference_entry(0.0123, -0.0034, 0.028, "").text == "+0.012 [−0.003, +0.028]"
    assert difference_entry(-0.5, -0.9, 0.1, "-0.5 +0.25").detail == "seeds −0.500, +0.250"
    assert difference_entry(0.1, 0.0, 0.2, " ".join(["+0.1"] * 5)).detail == ""
    assert [p_text(p) for p in (0.0004, 0.0123, 1.0)] == ["< 0.001", "0.012", "1.000"]


@pytest.mark.usefixtures("no_figures")
def test_marks_stand_beside_the_name_in_every_table(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.6}, seeds=(0, 1), problems=5)
    for run in study.runs:
        run.config.method.values.update({"scope": "microbatch"} if run.method == "aent" else {})
    compare(study, study.results)
    wide, tables = read_tables(study.results)
    assert dict(zip(wide["method"], wide["marks"], strict=True)) == {"base": "", "grpo": "", "aent": "not invariant"}
    for table in tables:
        marks = {
            row[table.columns.index("method")].text: row[table.columns.index("method")].detail for row in table.rows
        }
        assert marks["aent"] == "not invariant"
        assert marks["grpo"] == ""
    said = "\n".join(table.note for table in tables)
    assert said.count("Updates per rollout: 2.") == 1, "what holds for all tables is said once"
    assert "aent (not invariant)" in (study.results / "table.md").read_text()


def test_outcomes_are_counted_in_every_table_of_results(compared: SimpleNamespace) -> None:
    wide, tables = read_tables(compared.results)
    counts = [sum(wide.iloc[1][f"{name} {outcome}"] for name in ("b1", "b2")) for outcome in OUTCOMES]
    for table in tables[1:3]:
        assert text_of(table, 1, JUDGED) == "/".join(map(str, counts))
    own = wide[wide["method"] == "grpo"]
    totals = [sum(own[f"{name} {outcome}"].sum() for name in ("b1", "b2")) for outcome in OUTCOMES]
    assert text_of(tables[0], 0, JUDGED) == "/".join(map(str, totals))
    assert [text_of(tables[3], 1, f"b1\n{outcome}") for outcome in OUTCOMES] == [
        str(wide.iloc[1][f"b1 {outcome}"]) for outcome in OUTCOMES
    ]
    length = wide.iloc[1][["b1 length", "b2 length"]].mean()
    assert text_of(tables[1], 1, "length") == f"{length:.1f}"


def test_the_comparison_cites_the_measured_coverage(compared: SimpleNamespace) -> None:
    note = read_tables(compared.results)[1][0].note
    assert (
        "Coverage measured on simulated studies of 5 seeds and 1 cell (results/reference/statistics/audit.csv)" in note
    )
    assert re.search(r"difference 9\d\.\d %, IQM \d\d\.\d %, bootstrap \d+\.\d %, P\(better\) \d\d\.\d %", note)


@pytest.mark.usefixtures("no_figures")
def test_without_an_audit_there_are_no_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(tmp_path, {"grpo": 0.4, "aent": 0.9}, seeds=range(5), problems=10)
    for wrong, said in ((None, "audit.csv is not there"), (0.2, "wrong too often"), (0.05, "9")):
        monkeypatch.chdir(tmp_path)
        if wrong is not None:
            write_audit(tmp_path, wrong)
        compare(study, study.results)
        table = read_tables(study.results)[1][0]
        assert text_of(table, 1, "verdict") == ("better" if wrong == 0.05 else "no audited interval")
        assert said in table.note
        assert table.rows[1][table.columns.index("verdict")].bold == (wrong == 0.05)


@pytest.mark.usefixtures("no_figures")
def test_few_seeds_are_printed_in_every_table_with_an_interval(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.9}, datasets=["d1", "d2"], seeds=(0, 1), problems=6)
    compare(study, study.results)
    for table in read_tables(study.results)[1]:
        for row in table.rows:
            for entry in row:
                if "±" in entry.text or "[−" in entry.text or "[+" in entry.text:
                    assert table.columns[row.index(entry)] == "bootstrap" or entry.detail.startswith("seeds ")


@pytest.mark.usefixtures("no_figures")
def test_noisy_pass_k_is_said_on_the_screen_and_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path, {"grpo": 0.5}, seeds=(0,), problems=5, draws=6)
    compare(study, study.results)
    assert capsys.readouterr().err == "warning: pass@4 from 6 draws is noisy: 8 or more are recommended\n"
    note = read_tables(study.results)[1][2].note
    assert "Warning: pass@4 from 6 draws is noisy: 8 or more are recommended." in note
    assert "pass@2 from" not in note


def test_a_table_too_wide_for_the_screen_is_cut_between_columns(compared: SimpleNamespace) -> None:
    table = read_tables(compared.results)[1][1]
    assert parts(table, 1000) == [table]
    cut = parts(table, 80)
    assert len(cut) > 1
    assert all(part.columns[:3] == ["model", "dataset", "method"] for part in cut)
    assert [column for part in cut for column in part.columns[3:]] == table.columns[3:]
    assert [part.note for part in cut] == [""] * (len(cut) - 1) + [table.note]
    console = Console(file=io.StringIO(), width=80)
    for part in cut:
        console.print(terminal(part))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for row in table.rows:
        assert all(entry.text in shown for entry in row)  # no entry is broken over lines


def test_methods_that_clip_too_little_and_runs_that_end_at_a_plateau_are_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.6}, seeds=(0, 1), problems=5)
    for run in study.runs:
        steps = pandas.read_parquet(run.folder / "steps.parquet")
        clips = 0.02 if run.method == "aent" else 0.002
        ended = (steps["step"] == len(steps)) & (run.seed == 0)
        steps.assign(clip_low=0.001, clip_high=clips, plateau=ended.astype(float)).to_parquet(
            run.folder / "steps.parquet"
        )
    study.headline = replace(study.headline, clipped_at_least=0.01)
    compare(study, study.results)
    wide, tables = read_tables(study.results)
    assert wide["marks"].tolist() == ["", "not exercised: 0.3 % clipped", ""]
    training = next(table for table in tables if table.name == "training")
    assert [row[-1].text for row in training.rows] == ["1 of 2", "1 of 2"]
    assert "did not end at a plateau ended at the study's limit" in training.note
