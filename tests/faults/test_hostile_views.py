"""What a model wrote is shown and not obeyed wherever people look: report, tables, terminal, MLflow."""

from __future__ import annotations

import io
import json
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
import zstandard
from rich.console import Console
from synthetic_results import make_study, write_audit

from entrobench.cli.main import main
from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.report.page.blocks import (
    Answer,
    Definitions,
    Folded,
    Page,
    Paragraphs,
    SampleProblem,
    Samples,
    Section,
    Tabular,
)
from entrobench.evaluation.report.page.render import render
from entrobench.evaluation.report.study_page import write_report
from entrobench.evaluation.tables.table_formats import Entry, Table, latex, markdown, terminal
from entrobench.results import AnswersFolder
from entrobench.text import visible
from entrobench.tracking.samples import sample_answers

ANSI, MARKS, MARKUP = "\x1b[2J\x1b]0;owned\x07\x9b31m", "\u202e\u2066\u200f", "</script><script>alert(1)</script>"
TEXT = f'{ANSI}{MARKS}\x00\r{MARKUP}<img src=x onerror="alert(1)">\'"&{{{{ 7 * 7 }}}}]]>-->'
HALF = "\ud83d"  # cannot be in a file of UTF-8, but in what another program's JSON says
LONG = "<b>x\u202e" * 20_000  # 100,000 characters


def hidden(text: str) -> set[str]:
    """The characters of a text that no reader sees, or that move the text around them."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") and c not in "\n\t"}


class Seen(HTMLParser):
    """A page as a browser would take it: how often each element stands in it, its attributes, its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.attributes: set[str] = set()
        self.text, self.inside = "", ""
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attributes}
        self.inside = tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.inside in ("script", "style") else data


def page_of(text: str) -> str:
    """A page with a block of each kind that holds words, all of them this text."""
    entry, long = Entry(text, text, text), Entry(text, value=text, bold=True)
    table = Table(text, text, ["model", "dataset", text, "verdict"], [[entry] * 4, [long] * 4], text)
    answer = Answer(text, True, text, text)
    blocks = [
        Paragraphs([text]),
        Tabular(table),
        Definitions(text, [(text, text)]),
        Samples([SampleProblem(text, text, text, [(text, [answer])])]),
    ]
    section = Section("name", text, [*blocks, Folded(text, blocks)], text)
    return render(Page(text, text, [(text, text)], [text], [section], text, ["grpo", "aent"]))


def test_a_page_shows_it_in_every_kind_of_block() -> None:
    source = page_of(TEXT + HALF)
    plain, seen = Seen(page_of("text")), Seen(source)
    source.encode()  # a file of UTF-8 can hold it
    assert hidden(source) == set()
    assert seen.count == plain.count, "no element but the page's own"
    assert seen.attributes == plain.attributes
    assert seen.text.count(visible(TEXT + HALF)) == plain.text.count("text") - plain.text.count("text/")


def test_tables_show_it_in_every_format() -> None:
    table = Table("name", "title", ["problem", "score"], [[Entry(TEXT + HALF, TEXT), Entry("0.5")]])
    console = Console(file=io.StringIO(), width=4000, force_terminal=True, color_system=None)
    console.print(terminal(table))
    for text in (markdown(table), latex(table), console.file.getvalue()):  # type: ignore[attr-defined]
        text.encode()
        assert hidden(text) == set()
        assert "x1b[2J" in text
        assert "u202e" in text
    assert "\\<script>" in markdown(table)
    assert not any("<script" in line.replace("\\<", "") for line in markdown(table).splitlines())
    assert len([line for line in markdown(table).splitlines() if line.startswith("|")]) == 3


@pytest.fixture
def hostile_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A study of which every answer, problem and reading is hostile, one in three of 100,000 characters."""
    monkeypatch.chdir(tmp_path)
    write_audit(tmp_path)
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.75}, seeds=(0,), problems=6, answers=True)
    for file in study.results.glob("**/generations/*.zst"):
        rows = [json.loads(line) for line in zstandard.decompress(file.read_bytes()).decode().splitlines()]
        for number, row in enumerate(rows):
            row["problem"] = row["response"] = LONG if number % 3 == 0 else TEXT
        file.write_bytes(zstandard.compress("\n".join(json.dumps(row) for row in rows).encode()))
    for file in study.results.glob("**/grades/*.parquet"):
        grades = pandas.read_parquet(file)
        grades["extracted_prediction"], grades["reason"] = LONG, TEXT
        grades.to_parquet(file)
    return study


@pytest.mark.usefixtures("no_figures")
def test_the_report_of_a_study_shows_it(hostile_study: SimpleNamespace) -> None:
    compare(hostile_study, hostile_study.results)
    source = write_report(hostile_study, hostile_study.results).read_text(encoding="utf-8")
    seen = Seen(source)
    assert hidden(source) == set()
    assert seen.count["script"] == source.count("</script>") == 1
    assert "img" not in seen.count
    assert {name for name in seen.attributes if name.startswith("on")} == set()
    assert visible(TEXT) in seen.text
    assert len(source) < 300_000, "long answers are cut"
    for name in ("table.md", "table.tex", "table.csv"):
        assert hidden((hostile_study.results / name).read_text()) == set()


def test_mlflow_holds_it_in_words(hostile_study: SimpleNamespace, empty_database: Path, tmp_path: Path) -> None:
    """The table of answers as MLflow keeps it, whose UI shows texts as they are."""
    columns = sample_answers(AnswersFolder(hostile_study.runs[0].folder))
    texts = [text for column in columns.values() for text in column]
    assert visible(TEXT) in texts
    assert max(map(len, texts)) < 5000
    database = tmp_path / "results" / "mlflow.db"
    database.write_bytes(empty_database.read_bytes())
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{database}")
    experiment = client.create_experiment("hostile", artifact_location=(tmp_path / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    client.log_table(run, columns, "sample_answers.json")
    (file,) = (tmp_path / "artifacts").rglob("sample_answers.json")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert hidden("".join(str(cell) for row in kept["data"] for cell in row)) == set()


@pytest.mark.parametrize("needed", ["accuracy", "entropy"])
def test_names_in_a_foreign_log_are_inert(
    needed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the log is refused, and where it is imported and its columns are told."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 1, needed: 0.5, f"{ANSI}{MARKS}owned": 2}) + "\n")
    monkeypatch.setattr("sys.argv", ["entrobench", "import-run", str(path), "--study", "mine", "--method", "theirs"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = "".join(capsys.readouterr())
    assert bool(ended.value.code) == (needed == "accuracy"), said
    assert "owned" in said
    assert hidden(said) == set()
