"""The audit of the grader: our verdicts beside math-verify's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from entrobench.cli.main import app
from entrobench.errors import InputError
from entrobench.evaluation.grading.grader import Verdict
from entrobench.evaluation.grading.grader_audit import Judged, describe, generation_files
from entrobench.evaluation.grading.pair_audit import audit_pairs, is_labelled
from entrobench.text import excerpt, printable


def verdict(outcome: str, answer: str = "1") -> Verdict:
    return Verdict(outcome == "correct", outcome, "last box: exact numbers", answer, "1", 0.0)


def judged(problem: str, ours: str, theirs: str, response: str = "\\boxed{1}") -> Judged:
    return Judged(Path("a.jsonl"), problem, 0, "1", response, verdict(ours), verdict(theirs))


def test_the_command_compares_both_graders_on_a_file(tmp_path: Path) -> None:
    rows = [
        {"id": "same", "gold": "2", "response": "\\boxed{2}"},
        {"id": "base", "gold": "1101_2", "response": "\x1b[2J\u202eSo \\boxed{1101_3}"},
        {"id": "bomb", "gold": "1", "response": "\\boxed{9^{9^{9^{9}}}}"},
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(app, ["audit-grader", str(path)])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "3 answers, both graders agree on 2 (66.67 %)"
    assert lines[1] == "1 disagree: 0 correct for entrobench alone, 1 correct for math-verify alone"
    assert "1 timeout" in next(line for line in lines if line.startswith("math-verify:"))
    assert lines[-1].startswith("base")
    assert "1101_3" in lines[-1]
    assert all(character.isprintable() for line in lines for character in line)


def test_disagreements_are_sorted_by_who_is_alone_and_by_problem() -> None:
    rows = [judged("b", "wrong", "correct"), judged("z", "correct", "wrong"), judged("a", "correct", "timeout")]
    text = describe([*rows, judged("c", "wrong", "unparsable")])
    assert [line.split()[0] for line in text.splitlines()[-3:]] == ["a", "z", "b"]
    assert "agree on 1 (25.00 %)" in text


def test_full_agreement_and_an_empty_file_say_so() -> None:
    assert describe([judged("a", "correct", "correct")]).splitlines()[1].startswith("0 disagree")
    assert "nothing to compare" in describe([])


def test_a_folder_means_all_generations_below_it(tmp_path: Path) -> None:
    for run in ("b", "a"):
        (tmp_path / run / "generations").mkdir(parents=True)
        (tmp_path / run / "generations" / "toy.jsonl.zst").touch()
    assert [file.parent.parent.name for file in generation_files(tmp_path)] == ["a", "b"]
    with pytest.raises(InputError, match="no such file"):
        generation_files(tmp_path / "none")
    with pytest.raises(InputError, match="no generations"):
        generation_files(tmp_path / "a" / "generations")


def test_text_is_shown_and_not_obeyed() -> None:
    assert printable("1\x00\n\u202e\ud800é√") == "1\\x00\\n\\u202e\\ud800é√"
    assert excerpt("abcdef", 6) == "abcdef"
    assert excerpt("abcdefg", 6) == "…cdefg"
    assert excerpt("\x1b" * 100, 6) == "…\\x1b\\x1b"[:1] + "\\x1b\\x1b"[-5:]


def test_labelled_pairs_give_wrong_yes_and_wrong_no_by_kind(tmp_path: Path) -> None:
    rows = [("a", "5", "5", True), ("a", "5", "6", True), ("b", "7", "7", False)]
    path = tmp_path / "pairs.jsonl"
    keys = ("kind", "prediction", "gold", "expected")
    path.write_text("".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows))
    done = CliRunner().invoke(app, ["audit-grader", str(path)])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert lines[1:3] == [["a", "2", "0", "1", "0", "1"], ["b", "1", "1", "0", "1", "0"]]


def test_help_has_an_example() -> None:
    assert "Example: entrobench audit-grader" in " ".join(
        CliRunner().invoke(app, ["audit-grader", "--help"]).output.split()
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"prediction": "1", "gold": 1, "expected": true}', "row 2: a labelled pair needs the texts"),
        (b'{"prediction": "1", "gold": "1"}', "row 2: a labelled pair needs the texts"),
        (b'{"prediction": "\\ud800", "gold": "1", "expected": true}', "row 2: prediction: holds half a character"),
        (b"\xe9", "row 2: not UTF-8"),
        (b"7" * 5000, "row 2: a whole number of 5000 digits"),
    ],
)
def test_labelled_pairs_that_cannot_be_read_are_one_line(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b'{"prediction": "1", "gold": "1", "expected": true}\n' + line + b"\n")
    assert is_labelled(path)
    with pytest.raises(InputError, match=message):
        audit_pairs(path, progress=False)
