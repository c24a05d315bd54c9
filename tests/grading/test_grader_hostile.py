"""Hostile text gets a verdict in time: properties, bombs, injected code, threads, dead workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entrobench.evaluation.grading.grader import OUTCOMES, grade, warm_up
from entrobench.evaluation.grading.worker_pool import Overrun, WorkerPool, shared_pool

ENDLESS = {"job": "paper", "prediction": "\\boxed{9^{9^{9^{9}}}}", "gold": "1"}  # math-verify computes the power
NO_HANG = 30.0  # wall seconds on a loaded machine; what a verdict may use is CPU time
BOMBS = [
    "9**9**9**9",
    "9^{9^{9^{9}}}",
    "100000000!",
    "(((((9!)!)!)!)!)!",
    "\\sum_{n=1}^{10^9} n",
    "\\binom{10^9}{5\\cdot 10^8}",
    "\\prod_{n=1}^{10^8} n",
    "7^{7^{7^7}} \\bmod 1000",
    "x^{x^{x^{x^{x^{x}}}}}",
    "(a+b+c+d+e+f)^{60}",
    "\\int_0^\\infty \\frac{\\sin(x^x)}{\\ln(1+x^{x^x})}dx",
    "1e999999999",
    "10^{-999999999}",
    "\\operatorname{eye}(100000)",
]
BROKEN = [
    "",
    " ",
    "\x00",
    "1\x00",
    "\u202e1",
    "\ud800",
    "{" * 1_000,
    "{" * 1_000 + "1" + "}" * 1_000,
    "(" * 1_000 + "1" + ")" * 1_000,
    "\\boxed{" * 20_000,
    "\\frac" * 500,
    "$" * 5_000,
    "\\" * 1_001,
    "a" * 1_000_000,
    "answer " * 150_000,
    "1+" * 900 + "1",
    "\\begin{pmatrix}" * 40,
    "**" * 10_000,
    "1," * 999 + "1",
    "\\text{" * 300 + "1",
    *("The answer is 1" + space * 1_900 + "x" for space in (" ", "~", "$", "\\)", "\n")),
    "word " * 12_000 + "$x$",
    "x" * 60_000 + "$1$",
]
INJECTED = [
    '__import__("os").system("touch graderpwned")',
    "exec(\"import os; os.environ['GRADERPWNED']='1'\")",
    "[open('graderpwned','w')]",
    "\\frac{open('graderpwned','w')}{2}",
    "Point(open('graderpwned','w'), 1)",
    "\\boxed{(lambda: open('graderpwned','w'))()}",
    "().__class__.__base__.__subclasses__()",
    "\\input{/etc/hostname}",
    "sin(\"__import__('os').system('touch graderpwned')\")",
]
# What has no value: orders of complex numbers, bounds that count nothing, infinity and division by zero computed with.
UNDEFINED = [
    "\\sum_{k=0.1}^{i} k",
    "\\sum_{k=i}^{(i)!} k",
    "\\sum_{k=1}^{\\pi} k",
    "\\prod_{k=1}^{1/2} k",
    "\\lim_{x\\to \\sum_{k=I}^{1/2} k} 1",
    "\\sum_{k=\\begin{pmatrix}1&2\\\\1&2\\end{pmatrix}/2}^{y} k",
    "i \\bmod 10^{9}",
    "\\frac{1}{2} \\bmod x",
    "\\binom{x}{y} \\bmod 0.1",
    "\\max(i, 1)",
    "ix < 1",
    "\\begin{pmatrix}0.1&x\\\\1&2\\end{pmatrix} x < 1",
    "\\begin{pmatrix}1\\\\2\\end{pmatrix}^{2}",
    *(
        "\\sqrt[\\infty]{7}",
        "7^{1/\\infty}",
        "\\infty^0",
        "\\infty-\\infty+1",
        "1+\\frac{7}{\\infty}",
        "\\tanh(\\infty)",
    ),
    *("1+\\frac{1}{\\frac{1}{0}}", "1+\\frac{1}{\\ln 0}", "e^{1/\\ln 0}", "\\frac{1}{\\sum_{n=1}^{\\infty}\\frac1n}+1"),
]
RUNS = (
    "-",
    "+",
    "-+",
    "- ",
    "\\sin ",
    "\\ln",
    "|",
    "\\det ",
    "\\int ",
    "\\sum_{k=1}^{2} ",
    "x^",
    "a_",
    "\\text{a}",
    "(2)",
)
FORMULA_TOKENS = (
    *("\\frac", "\\sqrt", "{", "}", "(", ")", "[", "]", "1", "2", "x", "+", "-", "^", "_", "=", ",", "<"),
    *("\\cup", "\\pm", "\\le", "|", "!", "%", "\\text{a}", "&", "\\\\"),
)
ANSWERS = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.fractions(max_denominator=999).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.tuples(st.integers(-9, 9), st.integers(1, 9)).map(lambda pair: f"\\frac{{{pair[0]}}}{{{pair[1]}}}\\sqrt{{3}}"),
    st.lists(st.integers(-99, 99), min_size=2, max_size=4).map(lambda items: f"({', '.join(map(str, items))})"),
    st.sets(st.integers(-99, 99), min_size=2, max_size=4).map(lambda items: f"\\{{{', '.join(map(str, items))}\\}}"),
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)).map(lambda pair: f"x^2+{pair[0]}x+{pair[1]}"),
    st.tuples(st.integers(-9, 0), st.integers(1, 9)).map(lambda pair: f"[{pair[0]},{pair[1]})"),
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module", autouse=True)
def _warm_workers() -> None:
    warm_up()


@given(ANSWERS)
@QUICK
def test_an_answer_equals_itself(answer: str) -> None:
    assert grade(answer, answer).correct
    assert grade(f"We get $\\boxed{{{answer}}}$.", answer).correct


@given(ANSWERS, ANSWERS)
@QUICK
def test_exact_answers_are_judged_symmetrically(first: str, second: str) -> None:
    if "." not in first + second:  # a decimal for an exact value needs more digits than the other way round
        assert grade(first, second).correct == grade(second, first).correct


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**4), st.integers(2, 50))
@QUICK
def test_unreduced_fractions_are_the_same(numerator: int, denominator: int, factor: int) -> None:
    assert grade(f"{numerator * factor}/{denominator * factor}", f"\\frac{{{numerator}}}{{{denominator}}}").correct
    assert not grade(
        f"{numerator * factor + 1}/{denominator * factor}", f"\\frac{{{numerator}}}{{{denominator}}}"
    ).correct


@given(st.text(max_size=60), st.text(max_size=30))
@settings(QUICK, max_examples=120)
def test_any_text_gets_a_verdict_in_time(prediction: str, gold: str) -> None:
    verdict = grade(prediction, gold)
    assert verdict.outcome in OUTCOMES
    assert verdict.correct == (verdict.outcome == "correct")
    assert verdict.seconds < NO_HANG


@given(
    st.lists(
        st.sampled_from(FORMULA_TOKENS),
        max_size=20,
    )
)
@settings(QUICK, max_examples=120)
def test_any_formula_gets_a_verdict_in_time(tokens: list[str]) -> None:
    verdict = grade(" ".join(tokens), "x+1")
    assert verdict.outcome in OUTCOMES
    assert verdict.outcome not in ("timeout", "error"), verdict
    assert verdict.seconds < NO_HANG


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_not_correct_and_come_back(bomb: str) -> None:
    start = time.monotonic()
    verdict = grade(bomb, "2")
    assert not verdict.correct
    assert time.monotonic() - start < NO_HANG


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_broken_text_comes_back(number: int) -> None:
    start = time.monotonic()
    verdict = grade(BROKEN[number], "x+1")
    assert not verdict.correct
    assert time.monotonic() - start < NO_HANG


@pytest.mark.parametrize("gold", ["1", "\\frac{1}{2}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"])
def test_what_has_no_value_is_wrong_with_a_reason(gold: str) -> None:
    verdicts = [(text, grade(text, gold, seconds=5)) for text in UNDEFINED]
    assert [(text, verdict) for text, verdict in verdicts if verdict.outcome not in ("wrong", "unparsable")] == []


@pytest.mark.parametrize("run", RUNS)
def test_long_runs_of_one_sign_are_cheap(run: str) -> None:
    for text in (run * (1_200 // len(run)), run * 60 + "2", run * 60 + "\\begin{pmatrix}1\\\\2\\end{pmatrix}"):
        for gold in ("1", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"):
            assert grade(text, gold).outcome in ("wrong", "unparsable"), text[:40]


def test_injected_code_is_not_run(tmp_path: Path) -> None:
    golds = ["1", "0.5", "x+1", "(1, 2)", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"]
    program = (
        "import sys, json\nfrom entrobench.evaluation.grading.grader import grade\n"
        "texts, golds = map(json.loads, sys.argv[1:])\n"
        "print([grade(text, gold).correct for gold in golds for text in texts])"
    )
    import json

    arguments = [sys.executable, "-c", program, json.dumps(INJECTED), json.dumps(golds)]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([False] * len(INJECTED) * len(golds))
    assert list(tmp_path.iterdir()) == []
    assert "GRADERPWNED" not in os.environ


def test_many_threads_get_the_right_verdicts() -> None:
    pairs = [(f"{number}x+{number}", f"{number}(x+{number % 3})") for number in range(1, 41)]
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda pair: grade(*pair, seconds=20).correct, pairs))
    assert verdicts == [number % 3 == 1 for number in range(1, 41)]


def test_a_forked_child_starts_its_own_workers() -> None:
    program = (
        "import os\nfrom entrobench.evaluation.grading.grader import grade, warm_up\nwarm_up()\nchild = os.fork()\n"
        "right = grade(f'{2 + child * 0}y+2', '2(y+1)', seconds=20).correct\n"
        "if child == 0: os._exit(0 if right else 1)\n"
        "print(right, os.waitpid(child, 0)[1])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0"]


def test_an_overrun_is_told_and_the_next_job_finds_a_worker() -> None:
    pool = WorkerPool(1)
    pool.warm_up()
    with pytest.raises(Overrun):
        pool.run(ENDLESS, 1.0)
    assert pool.run({"job": "ping"}, 1.0)["outcome"] == "correct"
    pool.close()


def test_the_pool_is_shared_by_all_threads() -> None:
    with ThreadPoolExecutor(4) as threads:
        pools = set(threads.map(lambda _: shared_pool(), range(8)))
    assert len(pools) == 1
