from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
from synthetic_results import make_study, write_audit

from entrobench.diagnosis.diagnose import HEALTHY, Finding
from entrobench.errors import InputError
from entrobench.evaluation.figures import study_figures
from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.report.diagnosis_section import diagnosis_blocks
from entrobench.evaluation.report.page import blocks
from entrobench.evaluation.report.page.blocks import Section
from entrobench.evaluation.report.page.render import render
from entrobench.evaluation.report.study_page import write_report

HOSTILE = "<script>alert('x')</script>&\"'"


class Page(HTMLParser):
    """What a browser would see: tags, attributes that load something, and the text outside of script and style."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def prepared(root: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> SimpleNamespace:
    monkeypatch.chdir(root)
    write_audit(root)
    return make_study(root, {"grpo": 0.5, "entropy_bonus": 0.5, "aent": 0.75}, problems=20, **options)


def write_sweep(root: Path, study: SimpleNamespace) -> None:
    folder = root / "results" / "reference" / study.name
    folder.mkdir(parents=True)
    rows = [("entropy_bonus", "coefficient", value, 0, "avg@8", score, 0.1) for value, score in SWEPT]
    columns = ["method", "key", "value", "seed", "metric", "score", "entropy"]
    pandas.DataFrame(rows, columns=columns).to_csv(folder / "sweep.csv", index=False)


SWEPT = [(0.0, 0.8), (0.01, 0.82), (0.02, 0.81), (0.1, 0.0)]


def test_the_page_is_well_formed_and_self_contained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0, 1), steps=6)
    monkeypatch.setattr(study_figures, "write_figures", lambda *arguments: [])
    compare(study, study.results)
    source = write_report(study, study.results).read_text()
    page = Page(source)
    assert page.open == []
    assert re.findall(r"https?:|@import|url\((?!#)", source) == []
    assert all(target.startswith("#") for target in page.loaded)
    assert page.tags.count("svg") > 12
    assert page.tags.count("script") == 1
    ids = re.findall(r' id="([^"]+)"', source)
    assert len(ids) == len(set(ids)), "no two drawings share a part"
    assert {target[1:] for target in page.loaded} <= set(ids)
    titles = re.findall(r"<h2>(.*?)</h2>", source)
    assert titles == [
        "Which is better?",
        "How they learned",
        "Did anything go wrong?",
        "Does entropy go with the score?",
        "How far do more answers help?",
        "Task by task",
        "Every pair of methods",
        "Which problems changed",
        "What it cost",
        "What was run",
        "Provenance",
        "How to run it again",
    ]


@pytest.mark.usefixtures("no_figures")
def test_the_answer_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=range(5))
    compare(study, study.results)
    text = Page(write_report(study, study.results).read_text()).text
    order = [
        "Higher than grpo",
        "training runs",
        "Differences to the baseline",
        "Entropy of the policy",
        "Methods against",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert re.search(r"Higher than grpo in avg@8: aent \+0\.\d+ \[\+0\.\d+, \+0\.\d+\]", text)
    assert "No other method is shown to differ from grpo" in text


@pytest.mark.usefixtures("no_figures")
def test_few_seeds_are_no_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0, 1))
    compare(study, study.results)
    text = Page(write_report(study, study.results).read_text()).text
    assert "Too few seeds to call a method better or worse in avg@8: 2 seeds per cell, a verdict takes 5." in text
    assert "igher than" not in text


@pytest.mark.usefixtures("no_figures")
def test_tables_of_several_tasks_fold_by_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0,), datasets=["chain2", "chain3"])
    compare(study, study.results)
    source = write_report(study, study.results).read_text()
    folded = re.findall(r'<details class="task"( open)?><summary>(.*?)</summary>', source)
    assert (" open", "tiny · chain2") in folded
    assert ("", "tiny · chain3") in folded
    assert '<th scope="col" aria-sort="none"><button type="button">dataset' not in source.split("Every run")[0]


@pytest.mark.usefixtures("no_figures")
def test_answers_stand_side_by_side_with_their_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0, 1), answers=True)
    compare(study, study.results)
    source = write_report(study, study.results).read_text()
    page = Page(source)
    assert source.count('<article class="sample">') == 2
    sample = source.split('<article class="sample">')[1]
    assert re.findall(r'<div data-method="(.*?)">', sample) == ["base", "grpo", "entropy_bonus", "aent"]
    assert "&lt;b&gt;What&lt;/b&gt; is" in sample, "a problem's text is not markup"
    assert re.search(r"✓ correct</b>.*?integer; read as \d+; \d+ tokens", sample)
    assert re.search(r"✗ (wrong|unparsable|timeout)</b>", sample)
    assert "<b>What</b> is" in page.text, "problems that changed are shown by their text"


@pytest.mark.usefixtures("no_figures")
def test_the_sweep_says_which_value_was_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0, 1))
    write_sweep(tmp_path, study)
    compare(study, study.results)
    text = Page(write_report(study, study.results).read_text()).text
    assert (
        "of 4 values the best mean validation avg@8 is 0.820, at 0.01. The study uses 0.02: 0.810, place 2 of 4" in text
    )


@pytest.mark.usefixtures("no_figures")
def test_texts_from_files_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0,))
    compare(study, study.results)
    file = study.runs[0].folder / "provenance.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"package_version": HOSTILE, "git_commit": HOSTILE}))
    study.description = HOSTILE
    page = Page(write_report(study, study.results).read_text())
    assert page.tags.count("script") == 1
    assert page.text.count(HOSTILE) >= 3


@pytest.mark.usefixtures("no_figures")
def test_settings_that_differ_between_cells_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0,), datasets=["chain2", "chain3"])
    for run in study.runs:
        updates = 4 if run.dataset == "chain3" else 2
        run.config = replace(run.config, trainer=replace(run.config.trainer, updates=updates))
    compare(study, study.results)
    text = Page(write_report(study, study.results).read_text()).text
    assert "2 (tiny · chain2); 4 (tiny · chain3)" in text


def test_the_report_needs_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0,))
    with pytest.raises(InputError, match=r"statistics.json: missing; run `entrobench compare fake` first"):
        write_report(study, study.results)


def test_importing_the_comparison_loads_nothing_heavy() -> None:
    modules = "report.compare, report.study_page, report.reference_check, tables.sweep"
    heavy = {"torch", "pandas", "numpy", "scipy", "matplotlib", "jinja2"}
    imports = "; ".join(f"import entrobench.evaluation.{module}" for module in modules.split(", "))
    check = f"import sys; {imports}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.usefixtures("no_figures")
def test_training_rows_that_a_benchmark_asks_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from entrobench.studies.decontamination import RULE, reduced_folder

    study = prepared(tmp_path, monkeypatch, seeds=(0,))
    compare(study, study.results)
    assert "No training row can match" in Page(write_report(study, study.results).read_text()).text
    compared = {"rule": RULE, "against": {"one/test": "a", "two/test": "b"}}
    match = {"benchmark_id": "4567", "kind": "13 words", "words": HOSTILE}
    places = [("first", "one/test"), ("first", "two/test"), ("second", "two/test")]
    matches = [match | {"id": row, "benchmark": benchmark} for row, benchmark in places]
    found = {**compared, "rows": 9, "matching": 2, "matches": matches}
    folder = reduced_folder(tmp_path / "results/data", "chain2", compared)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"decontamination": found}))
    study.compared, study.folder = {"chain2": compared}, study.results
    for run in study.runs:  # they were trained before the second benchmark was named
        left_out = {"rule": RULE, "against": {"one/test": "a"}}
        run.config = replace(run.config, dataset=replace(run.config.dataset, decontaminated=left_out))
    page = Page(write_report(study, study.results).read_text())
    assert "chain2: 2 of 9 training rows match a row of one/test, two/test" in page.text
    assert (page.text.count("removed"), page.text.count("trained on")) == (2, 1)
    assert page.tags.count("script") == 1


@pytest.mark.usefixtures("no_figures")
def test_a_benchmarks_own_sampling_and_the_graders_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = prepared(tmp_path, monkeypatch, seeds=(0,))
    compare(study, study.results)
    study.evaluations["tiny"].benchmarks["chain2-test"] = {"samples": 32}
    study.graders = ["entrobench", "paper"]
    text = Page(write_report(study, study.results).read_text()).text
    assert re.search(r"chain2-test, of its own\s*samples 32", text)
    assert re.search(r"graders\s*entrobench, paper", text)


def test_a_third_partys_method_is_in_the_report(
    plug_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_figures: None
) -> None:
    monkeypatch.chdir(tmp_path)
    study = make_study(tmp_path, {"grpo": 0.5, "length_bonus": 0.7}, problems=10)
    compare(study, study.results)
    write_report(study, study.results)
    text = Page((study.results / "report.html").read_text()).text
    assert "none, a fixture" in text, "its paper, read from the installed package"
    assert "length_bonus" in text


def test_the_diagnosis_stands_with_its_advice_and_the_runs_behind_it() -> None:
    finding = Finding(
        "a/b/aent/seed0", "collapse", "The entropy collapsed", 7, "0.01 of 0.3", "Raise it.", "coefficient"
    )
    (folded,) = diagnosis_blocks([finding, replace(finding, run="a/b/aent/seed1", step=None)])
    assert folded.title == "The entropy collapsed (2 runs)"
    advice, table = folded.blocks
    assert advice.lines == ["Raise it. Settings: coefficient."]
    assert [[entry.text for entry in row] for row in table.table.rows] == [
        ["a/b/aent/seed0", "7", "0.01 of 0.3"],
        ["a/b/aent/seed1", "–", "0.01 of 0.3"],
    ]


def test_the_diagnosis_is_shown_with_settings_and_hostile_names_inert() -> None:
    finding = Finding(
        HOSTILE, "cut off", "Answers are cut off", 7, HOSTILE, "Give room.", "trainer.max_response_tokens"
    )
    shown = diagnosis_page([finding])
    assert shown.tags.count("script") == 1, "the page's own"
    assert shown.text.count(HOSTILE) == 2
    assert "Settings: trainer.max_response_tokens." in shown.text
    assert HEALTHY in diagnosis_page([]).text


def diagnosis_page(findings: list[Finding]) -> Page:
    """A report that holds nothing but a diagnosis."""
    section = Section("diagnosis", "Did anything go wrong?", diagnosis_blocks(findings))
    return Page(render(blocks.Page("small", "", [], ["No method shown better."], [section], "results/small")))
