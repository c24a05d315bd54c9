"""The grader's policies, rule by rule, and its outer promises (spellings of grading.md, section 5)."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from entrobench.evaluation.grading.grader import OUTCOMES, Verdict, grade, is_correct, warm_up
from entrobench.evaluation.grading.reading.normalization import normalize
from entrobench.evaluation.grading.replies.extraction import extract

SAME = [
    ("1/2", "\\frac12"),
    ("0.5", "\\tfrac{1}{2}"),
    ("50\\%", "0.5"),
    ("50\\%", "50"),
    ("1{,}234", "1234"),
    ("12,345,678", "12345678"),
    ("3 1/2", "7/2"),
    ("2\\frac{3}{4}", "2.75"),
    ("1.5 million", "1500000"),
    ("2.5 \\times 10^{3}", "2500"),
    ("\\$18.90", "18.9"),
    ("12\\text{ cm}", "12"),
    ("12 \\text{ cm}^2", "12 square centimeters"),
    ("120^\\circ", "120"),
    ("\\frac{2\\pi}{3}", "120^\\circ"),
    ("0.3333", "1/3"),
    ("3.142", "\\pi"),
    ("1/3", "0.333"),
    ("\\sqrt{8}", "2\\sqrt2"),
    ("√2", "\\sqrt{2}"),
    ("x²+1", "1+x^2"),
    ("sin(2x)", "2 \\sin x \\cos x"),
    ("(x-1)(x+1)", "x^2-1"),
    ("\\frac{x^2-1}{x-1}", "x+1"),
    ("e^{i\\pi}", "-1"),
    ("\\log_2 8", "3"),
    ("\\binom{5}{2}", "10"),
    ("0.\\overline{3}", "1/3"),
    ("x=5", "5"),
    ("5", "x = 2+3 = 5"),
    ("2x+4y=6", "x + 2y = 3"),
    ("y = 2x+3", "2x - y + 3 = 0"),
    ("f(m)=2m", "f(n)=2n"),
    ("(1,2)", "\\left(1, \\frac{4}{2}\\right)"),
    ("1,2,3", "\\{3,2,1\\}"),
    ("x=1 or x=-1", "\\pm 1"),
    ("1\\pm\\sqrt2", "1+\\sqrt{2}, 1-\\sqrt{2}"),
    ("(1,2),(3,4)", "(3,4) and (1,2)"),
    ("x=1,y=2", "(1,2)"),
    ("2<x", "x>2"),
    ("(2,\\infty)", "x > 2"),
    ("-1 \\le x < 3", "[-1,3)"),
    ("x<-1 \\text{ or } x>1", "(-\\infty,-1)\\cup(1,\\infty)"),
    ("\\{x | x \\ne 2\\}", "(-\\infty,2)\\cup(2,\\infty)"),
    ("\\mathbb{R}", "(-\\infty,\\infty)"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{bmatrix}1\\\\2\\end{bmatrix}"),
    ("\\begin{pmatrix}1/2&1\\end{pmatrix}", "\\begin{pmatrix}0.5&1\\end{pmatrix}"),
    ("3:6", "1:2"),
    ("3:1", "3"),
    ("11011_2", "11011_{2}"),
    ("8:05 \\text{ p.m.}", "20:05:00"),
    ("(C)", "C"),
    ("\\textbf{(C)}\\ 12", "C"),
    ("\\text{Monday}", "monday"),
    ("$-\\infty$", "-oo"),
    ("1 000 000", "10^6"),
    ("0.1\\overline{6}", "1/6"),
    ("\\sqrt[3]{-8}", "-2"),
    ("C_5^2", "10"),
    ("\\langle 1,2,3\\rangle", "(1,2,3)"),
    ("P(1,2)", "(1,2)"),
    ("Matrix([[1,2],[3,4]])", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}"),
    ("-\\infty < x < \\infty", "\\mathbb{R}"),
    ("\\text{The area is } 12", "12"),
    ("2\\text{ to }3", "2:3"),
    ("x \\equiv 3 \\pmod 7", "3"),
    ("\\{x | x = 2k\\pi, k\\in\\mathbb{Z}\\}", "2k\\pi"),
    ("(1) 3; (2) 5", "3, 5"),
    ("A and C", "A, C"),
    ("AC", "A, C"),
    ("\\frac{\\pi}{2} - \\alpha", "90^\\circ-\\alpha"),
    ("\\text{no solution}", "\\emptyset"),
    ("3 < \\lambda \\le 4", "(3,4]"),
    ("\\begin{cases} x=1 \\\\ y=2 \\end{cases}", "x=1, y=2"),
    ("\\boxed{x+11} or \\boxed{11+x}", "11+x"),
]
DIFFERENT = [
    ("0.333", "1/3"),
    ("1.41", "\\sqrt2"),
    ("50", "0.5"),
    ("2.232", "2.23"),
    ("12345.678", "12345.679"),
    ("12\\text{ hours}", "12\\text{ minutes}"),
    ("32, 349", "32349"),
    ("(1,234)", "1234"),
    ("x^2", "y^2"),
    ("a+b", "A+B"),
    ("|x|", "x"),
    ("\\sqrt{x^2}", "x"),
    ("x=5", "y=5"),
    ("2x+z=1", "1"),
    ("7 = 11a+c", "11a+c"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "\\{1,2\\}"),
    ("(1,2)", "[1,2]"),
    ("(2,\\infty)", "[2,\\infty)"),
    ("x>2", "x\\ge 2"),
    ("1,2", "1,2,3"),
    ("1,2,3,4,5,6,7", "7"),
    ("7 or 8", "7"),
    ("not 7", "7"),
    ("1101_2", "1101_3"),
    ("13", "1101_2"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"),
    ("10^{10^{10}}+1", "10^{10^{10}}"),
    ("2^{100}+1", "2^{100}"),
    ("nan", "nan"),
    ("undefined", "0"),
    ("\\frac{1}{0}", "\\infty"),
    ("", "1"),
    ("1", ""),
    ("odd", "even"),
    ("B", "C"),
    ("1\x00", "1"),
    ("\u202e12", "12"),
    ("x > 2", "y > 2"),
    ("[1,2,3)", "(1,2,3)"),
    ("30^\\circ", "30\\%"),
    ("2h", "2"),
    ("5 \\text{ cm}", "5 \\text{ m}"),
    ("\\$5", "€5"),
    ("\\boxed{12", "12"),
    ("I(0) e^{+t}", "I(0) e^{-t}"),
    ("(1,2)\\cup(3,4)", "(1,2)\\cup(3,5)"),
]


@pytest.fixture(scope="module", autouse=True)
def _warm_workers() -> None:
    warm_up()


@pytest.mark.parametrize(("prediction", "gold"), SAME)
def test_same_answers_are_correct(prediction: str, gold: str) -> None:
    verdict = grade(prediction, gold)
    assert verdict.correct, verdict


@pytest.mark.parametrize(("prediction", "gold"), DIFFERENT)
def test_different_answers_are_not(prediction: str, gold: str) -> None:
    verdict = grade(prediction, gold)
    assert not verdict.correct, verdict


@pytest.mark.parametrize(
    ("reply", "answer", "rule"),
    [
        ("so \\boxed{1}? No: \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}", "last box"),
        ("\\boxed{2} and \\boxed{3}", "2, 3", "last box"),
        ("first \\boxed{2}, so the final answer is \\boxed{3}", "3", "last box"),
        ("\\boxed{3}, then \\boxed{unclosed", "", "no closed box"),
        ("<think>\\boxed{1}</think> It is \\boxed{2}", "2", "last box"),
        ("<think>\\boxed{1}", "", "reply ends while thinking"),
        ("We add them. The answer is 42. I hope it is correct.", "42", "stated answer"),
        ("We see that the value must be $x=3$ here.", "x=3", "last statement"),
        ("That makes a total of **73** apples for everyone.", "73", "last statement"),
        ("There are 5 + 4 and so he has 9 toys in the end", "9", "last statement"),
        ("\\frac{1}{2}", "\\frac{1}{2}", "whole text"),
        ("First compute 6*7.\n42", "42", "last line"),
        ("The answer is 42. Frobnicate it.", "The answer is 42. Frobnicate it.", "whole text"),
        ("The answer frobnicates 42.", "The answer frobnicates 42.", "whole text"),
        ("The total is 42 frobnicated by one.", "The total is 42 frobnicated by one.", "whole text"),
    ],
)
def test_extraction_names_its_rule(reply: str, answer: str, rule: str) -> None:
    found = extract(reply)
    assert (found.answer, found.rule) == (answer, rule)


@pytest.mark.parametrize(
    "statement",
    [
        "The answer is 42.",
        "Therefore the total area is 42.",
        "We get 42 in total.",
        "Final answer: 42 meters.",
        "So there are exactly 42 of them.",
        "Hence x equals 42 as required.",
        "The correct choice is 42.",
        "Each child gets 42.",
    ],
)
def test_an_unknown_word_in_a_known_statement_earns_nothing(statement: str) -> None:
    """Between any two words of it, for a word that nobody knows may deny or alter the value."""
    assert grade(statement, "42").correct
    words = statement.split()
    for gap in range(1, len(words)):
        unknown = " ".join([*words[:gap], "blorfed", *words[gap:]])
        assert not grade(unknown, "42").correct, unknown
    assert not grade(f"{statement} Blorf it by one.", "42").correct


def test_strict_box_takes_nothing_else() -> None:
    assert grade("The answer is 4", "4").correct
    verdict = grade("The answer is 4", "4", strict_box=True)
    assert (verdict.correct, verdict.outcome) == (False, "unparsable")
    assert grade("\\boxed{4}", "4", strict_box=True).correct


@pytest.mark.parametrize(
    ("raw", "spelled"),
    [
        ("$\\dfrac12$", "\\frac{1}{2}"),
        ("\\left( 1 , 2 \\right)", "(1, 2)"),
        ("½", "\\frac{1}{2}"),
        ("\x0crac{1}{2}", "\\frac{1}{2}"),
        ("5\\lex", "5\\le x"),
        ("sqrt(2)/2", "\\sqrt{2}/2"),
        ("**12**.", "12"),
        ("\\text{13}", "13"),
    ],
)
def test_one_spelling(raw: str, spelled: str) -> None:
    assert normalize(raw) == spelled


def test_verdict_is_frozen_and_its_outcome_is_listed() -> None:
    verdict = grade("\\boxed{2}", "3")
    assert isinstance(verdict, Verdict)
    assert verdict.outcome in OUTCOMES
    assert verdict.extracted_prediction == "2"
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.correct = True  # type: ignore[misc]


def test_unreadable_and_wrong_are_counted_apart() -> None:
    assert grade("3", "4").outcome == "wrong"
    assert grade("\\frac{1}{", "x+1").outcome == "unparsable"
    assert grade("", "4").outcome == "unparsable"


def test_neither_the_grader_nor_its_worker_imports_torch() -> None:
    program = (
        "import sys\n"
        "from entrobench.evaluation import graders\n"
        "from entrobench.evaluation.grading import grade_files, rewards, worker\n"
        "from entrobench.evaluation.grading.mathematics import structure\n"
        "graders.grade('\\\\sin(2x)', '2\\\\sin x\\\\cos x')\n"
        "print('torch' in sys.modules, 'math_verify' in sys.modules, 'multiprocessing.pool' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]


def test_a_prompt_that_opens_thinking_makes_a_cut_reply_say_nothing() -> None:
    cut = "First 2+3=5, so \\boxed{5} would be a guess"
    assert grade(cut, "5").correct
    assert not grade(cut, "5", prompt_opens_thinking=True).correct
    assert grade(f"{cut}</think>So it is \\boxed{{6}}", "6", prompt_opens_thinking=True).correct


def test_is_correct_says_the_same() -> None:
    assert is_correct("\\boxed{x+1}", "1+x")
    assert not is_correct("\\boxed{x}", "1+x")
