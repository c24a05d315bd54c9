"""Grading a generations file, and the explanation of one verdict."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import zstandard
from typer.testing import CliRunner

from entrobench.cli.main import app
from entrobench.errors import InputError
from entrobench.evaluation.grading.explanation import explain
from entrobench.evaluation.grading.grade_files import grade_file
from entrobench.evaluation.grading.grader import GRADER_VERSION

HEADER = {"header": {"benchmark": "toy", "benchmark_version": 1, "evaluation": {}, "seed": 0}}


def row(problem: str, draw: int, gold: Any, response: str, finish: str = "stop") -> dict[str, Any]:
    return {
        **{"problem_id": problem, "draw": draw, "problem": "?", "gold": gold, "response": response},
        **{"tokens": len(response), "finish": finish},
    }


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(zstandard.ZstdCompressor().compress(text.encode()))
    return path


def test_a_file_becomes_the_grades_table(tmp_path: Path) -> None:
    rows = [
        row("p1", 0, "4", "so \\boxed{4}"),
        row("p1", 1, "4", "so \\boxed{5}"),
        row("p2", 0, "2(x+1)", "\\boxed{2x+2}"),
        row("p2", 1, "2(x+1)", "we try and", finish="length"),
        row("p3", 0, "4", "so \\boxed{4}"),
    ]
    output = tmp_path / "grades" / "toy.parquet"
    grade_file(write(tmp_path / "toy.jsonl.zst", [HEADER, *rows]), output, progress=False)
    table = pyarrow.parquet.read_table(output)
    assert table.schema.metadata[b"grader_version"] == GRADER_VERSION.encode()
    assert table.column("problem_id").to_pylist() == ["p1", "p1", "p2", "p2", "p3"]
    assert table.column("draw").to_pylist() == [0, 1, 0, 1, 0]
    assert table.column("correct").to_pylist() == [True, False, True, False, True]
    assert table.column("outcome").to_pylist()[:3] == ["correct", "wrong", "correct"]
    assert table.column("truncated").to_pylist() == [False, False, False, True, False]
    assert table.column("extracted_prediction").to_pylist()[0] == "4"
    assert table.column("tokens").to_pylist() == [len(one["response"]) for one in rows]


@pytest.mark.parametrize("gold", ["", "  ", None])
def test_an_empty_gold_stops_with_file_and_row(tmp_path: Path, gold: str | None) -> None:
    path = write(tmp_path / "toy.jsonl.zst", [HEADER, row("p1", 0, "4", "4"), row("p2", 0, gold, "5")])
    with pytest.raises(InputError, match=r"toy\.jsonl\.zst: row 3: gold is empty"):
        grade_file(path, tmp_path / "out.parquet", progress=False)
    assert not (tmp_path / "out.parquet").exists()


def test_a_missing_gold_stops_with_file_and_row(tmp_path: Path) -> None:
    bad = row("p1", 0, "4", "4")
    del bad["gold"]
    with pytest.raises(InputError, match=r"row 2: missing gold"):
        grade_file(write(tmp_path / "toy.jsonl.zst", [HEADER, bad]), tmp_path / "out.parquet", progress=False)


def test_a_missing_file_stops(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        grade_file(tmp_path / "none.jsonl.zst", tmp_path / "out.parquet", progress=False)


def test_explain_shows_each_step() -> None:
    text = explain("The answer is \\boxed{50\\%}.", "\\frac12")
    assert "last box" in text
    assert "'\\\\frac{1}{2}'" in text
    assert "exact number 50, percent" in text
    assert "exact number 1/2" in text
    assert text.splitlines()[-1].startswith("verdict    correct")


def test_explain_says_what_cannot_be_read() -> None:
    assert "unreadable: control character" in explain("1\x00", "1")


@pytest.mark.parametrize(
    ("prediction", "gold", "seconds", "expected"),
    [
        ("So \\boxed{7}.", "8", 0.4, ["the last box that closes", "decided    by last box: exact numbers", "wrong"]),
        ("Therefore, she has 3 apples left.", "3", 0.4, ["what the last sentence states, every word", "correct"]),
        ("\\boxed{5 + }", "5", 0.4, ["no expression", "decided    by last box: not comparable", "unparsable"]),
        ("\\boxed{12}, or \\boxed{", "12", 0.4, ["never closes retracts", "no answer", "unparsable"]),
        ("\\sum_{k=1}^{900} \\sqrt{k}", "\\sqrt{2}", 0.001, ["0.001 s of CPU time used up", "timeout"]),
    ],
)
def test_explain_tells_why_for_every_outcome(prediction: str, gold: str, seconds: float, expected: list[str]) -> None:
    lines = explain(prediction, gold, seconds=seconds).splitlines()
    assert [line for line in expected[:-1] if line not in "\n".join(lines)] == []
    assert lines[-1].startswith(f"verdict    {expected[-1]} in ")


def test_explain_shows_how_each_side_is_read() -> None:
    text = explain("\\boxed{(x-1)(x+1)}", "[0, 1)")
    assert "read as expression (x - 1)*(x + 1)" in text
    assert "read as half-open: 0; 1" in text
    assert "\x1b" not in explain("\x1b[31m1", "1")


def test_a_file_of_another_source_needs_gold_and_response_only(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{"gold": "4", "response": "\\boxed{4}"}, {"id": "b", "gold": "4", "response": "\u2028 5"}]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    done = CliRunner().invoke(app, ["grade", str(path)])
    assert done.exit_code == 0, done.output
    assert "2 answers: 1 correct, 1 wrong, 0 unparsable, 0 timeout, 0 error" in done.output
    table = pyarrow.parquet.read_table(tmp_path / "mine.grades.parquet")
    assert table.column("problem_id").to_pylist() == ["1", "b"]
    assert table.column("correct").to_pylist() == [True, False]
    assert table.column("truncated").to_pylist() == [None, None]


def test_a_run_and_one_of_its_files_are_graded_into_its_grades(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "generations"
    folder.mkdir(parents=True)
    file = write(folder / "toy.jsonl.zst", [HEADER, row("p1", 0, "4", "\\boxed{4}")])
    for path in (tmp_path / "run", file):
        assert CliRunner().invoke(app, ["grade", str(path)]).exit_code == 0
        (tmp_path / "run" / "grades" / "toy.parquet").unlink()
    chosen = tmp_path / "elsewhere" / "toy.parquet"
    assert CliRunner().invoke(app, ["grade", str(file), "--output", str(chosen)]).exit_code == 0
    assert chosen.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a FILE"),
        (["--prediction", "1"], "both --prediction and --gold"),
        (["x.jsonl", "--prediction", "1", "--gold", "1"], "name a FILE"),
        (["none.jsonl"], "none.jsonl: no such file"),
        (["pyproject.toml"], "a generations file ends in .jsonl.zst or .jsonl"),
        (["tests"], "no generations"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["grade", *arguments])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


GOOD = b'{"gold": "4", "response": "4"}\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl.zst", b"no zstd", "not readable as zst"),
        ("a.jsonl.zst", zstandard.compress(GOOD * 99)[:-9], "row|not readable as zst"),
        ("a.jsonl", b"\xff\xfe", "is UTF-16"),
        ("a.jsonl", gzip.compress(GOOD, mtime=0), "is gzip"),
        ("a.jsonl", GOOD + "é".encode("latin-1"), "row 2: not UTF-8"),
        ("a.jsonl", b"[1]\n", "row 1: must be a JSON object, got list"),
        ("a.jsonl", GOOD + b"{", "row 2: not JSON"),
        ("a.jsonl", GOOD + b"null\n", "row 2: must be a JSON object, got NoneType"),
        ("a.jsonl", b'{"gold": ' + b"7" * 5000 + b"}\n", "row 1: a whole number of 5000 digits"),
        ("a.jsonl", b'{"gold": ' + b"[" * 9999 + b"]" * 9999 + b"}\n", "row 1: nested deeper than 100"),
        ("a.jsonl", b'{"gold": "4", "response": "\\ud800"}\n', "row 1: response: holds half a character"),
        ("a.jsonl", GOOD + b'{"gold": "4", "response": null}\n', "row 2: response is not text .None"),
        ("a.jsonl", GOOD + b'{"gold": ["4"], "response": "4"}\n', "row 2: gold is empty or not text"),
        ("a.jsonl", GOOD + b'{"response": "4"}\n', "row 2: missing gold .required: gold, response"),
        ("a.jsonl", b'{"gold": "4", "response": "4", "draw": "x"}\n', "row 1: draw is no number of this kind"),
        ("a.jsonl", b'{"gold": "4", "response": "4", "tokens": 99999999999999999999}\n', "row 1: tokens is no number"),
    ],
)
def test_what_is_no_generations_file_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        grade_file(tmp_path / name, tmp_path / "out.parquet", progress=False)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_gold_answer_may_be_a_whole_number(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"gold": 0, "response": "\\\\boxed{0}"}\n{"gold": -12, "response": "12"}\n')
    grade_file(path, tmp_path / "out.parquet", progress=False)
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").column("correct").to_pylist() == [True, False]


def test_a_second_grading_is_free(tmp_path: Path) -> None:
    """In a new process, too: nothing is judged, so no worker starts."""
    rows = [row("p", draw, "2(x+1)", f"\\boxed{{2x+{draw}}}") for draw in range(4)]
    file, output = write(tmp_path / "toy.jsonl.zst", [HEADER, *rows]), tmp_path / "toy.parquet"
    grade_file(file, output, progress=False)
    first = pyarrow.parquet.read_table(output)
    program = (
        "import sys, pathlib\nfrom entrobench.evaluation.grading import grade_files, worker_pool\n"
        "grade_files.grade_file(*map(pathlib.Path, sys.argv[1:]), progress=False)\nprint(worker_pool._pool)"
    )
    done = subprocess.run([sys.executable, "-c", program, file, output], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "None"
    again = pyarrow.parquet.read_table(output)
    for name in ("correct", "outcome", "reason", "extracted_prediction", "extracted_gold"):
        assert again.column(name).to_pylist() == first.column(name).to_pylist()


def test_whole_numbers_need_no_worker(tmp_path: Path) -> None:
    """Two of them cost four seconds a job, and the embedded tasks have whole numbers alone: the reward, too."""
    rows = [row("p", draw, "7", reply) for draw, reply in enumerate(["\\boxed{7}", "it is 8.", "\\boxed{}", ""])]
    file = write(tmp_path / "toy.jsonl.zst", [HEADER, *rows])
    program = (
        "import sys, pathlib\nfrom entrobench.evaluation.grading import grade_files, rewards, worker_pool\n"
        "reward = rewards.reward_function('boxed')\n"
        "print([reward(text, '7', True).correct for text in ('\\\\boxed{7}', '')])\n"
        "grade_files.grade_file(*map(pathlib.Path, sys.argv[1:]), progress=False)\n"
        "print(worker_pool._pool, 'sympy' in sys.modules)"
    )
    command = [sys.executable, "-c", program, file, tmp_path / "toy.parquet"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert (lines[0], lines[-1]) == ("[True, False]", "None False")
    graded = pyarrow.parquet.read_table(tmp_path / "toy.parquet")
    assert graded.column("outcome").to_pylist() == ["correct", "wrong", "unparsable", "unparsable"]


def test_grades_of_another_grader_version_are_not_taken_over(tmp_path: Path) -> None:
    file, output = (
        write(tmp_path / "toy.jsonl.zst", [HEADER, row("p", 0, "3x", "\\boxed{3x+17}")]),
        tmp_path / "toy.parquet",
    )
    grade_file(file, output, progress=False)
    wrong = pyarrow.parquet.read_table(output)
    right = wrong.set_column(wrong.column_names.index("outcome"), "outcome", [["correct"]])
    pyarrow.parquet.write_table(right.replace_schema_metadata({"grader_version": "0.0.1"}), output)
    grade_file(file, output, progress=False)
    assert pyarrow.parquet.read_table(output).column("outcome").to_pylist() == ["wrong"]
