"""Adversarial answers, drawn from a grammar of what breaks readers, parsers, algebra systems and terminals."""

from __future__ import annotations

import random
import string
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from entrobench.evaluation.grading.grader import OUTCOMES, grade, warm_up
from entrobench.evaluation.grading.worker_pool import shared_pool

GOLDS = ("1", "x+1", "\\frac{1}{2}", "(1, 2)", "[0, 1)", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", "50\\%", "C", "x=3")
LEAVES = (
    *(
        "0",
        "1",
        "-1",
        "x",
        "y",
        "e",
        "\\pi",
        "i",
        "\\infty",
        "10^{9}",
        "1e999",
        "0.1",
        "½",
        "٣",
        "²",
        "NaN",
        "zoo",
        "oo",
    ),
    *("import os", "__class__", "open('escaped','w')", "lambda: 0", "eval", "E", "I", "S", "N", "\\input{/etc/passwd}"),
    *("\x1b[2J", "\x1b]0;title\x07", "<script>alert(1)</script>", "\u202e", "\u2066", "\x00", "\ufeff", "\u200b", "\r"),
)
SHAPES = (
    *(
        "{a}+{b}",
        "{a}-{b}",
        "{a}*{b}",
        "{a}/{b}",
        "\\frac{{{a}}}{{{b}}}",
        "{a}^{{{b}}}",
        "({a})!",
        "\\sqrt[{a}]{{{b}}}",
    ),
    *(
        "\\binom{{{a}}}{{{b}}}",
        "\\log_{{{a}}}({b})",
        "|{a}|",
        "({a}, {b})",
        "\\{{{a}, {b}\\}}",
        "[{a}, {b})",
        "{a}={b}",
    ),
    *(
        "{a} \\cup {b}",
        "\\sum_{{k={a}}}^{{{b}}} k",
        "\\int_{{{a}}}^{{{b}}} x dx",
        "\\lim_{{x\\to {a}}} {b}",
        "{a} < {b}",
    ),
    *("\\begin{{pmatrix}}{a}&{b}\\\\1&2\\end{{pmatrix}}", "{a} \\bmod {b}", "\\boxed{{{a}}}{b}", "\\text{{{a}}} {b}"),
    *(
        "${a}$ and ${b}$",
        "**{a}** {b}",
        "<think>{a}</think>{b}",
        "{a} <think>{b}",
        "answer is {a}. No, {b}",
        "{a}\n\n{b}",
    ),
)


def answer(draw: random.Random) -> str:
    """One answer."""
    kind = draw.random()
    if kind < 0.1:
        return draw.choice(("{", "(", "\\boxed{", "\\frac", "^", "$", "\\left(", "1+", "-", "\\")) * draw.randint(
            1, 4000
        )
    if kind < 0.2:
        return "".join(draw.choice(string.printable + "".join(LEAVES)) for _ in range(draw.randint(0, 200)))
    if kind < 0.25:
        return str(draw.randint(0, 10 ** draw.randint(1, 4000)))
    text = draw.choice(LEAVES)
    for _ in range(draw.choice((1, 2, 3, 5, 8, 40))):
        other = draw.choice(LEAVES)
        first, second = (text, other) if draw.random() < 0.7 else (other, text)
        text = draw.choice(SHAPES).format(a=first, b=second)
        if len(text) > 100_000:
            break
    return f"\\boxed{{{text}}}" if draw.random() < 0.5 else text


def judge_all(answers: Sequence[str], clients: int = 8, seed: int = 0) -> tuple[Counter[str], int, float]:
    """Grade answers by parallel clients; (outcomes, largest memory of a worker in bytes, seconds of the slowest)."""
    warm_up()
    golds, peak, done = random.Random(seed), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            for worker in list(shared_pool()._idle):
                peak[0] = max(peak[0], _peak_of(worker.process.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(clients) as threads:
            verdicts = list(threads.map(grade, answers, [golds.choice(GOLDS) for _ in answers]))
    finally:
        done.set()
        watching.join()
    assert all(verdict.outcome in OUTCOMES for verdict in verdicts)
    return Counter(v.outcome for v in verdicts), peak[0], max(v.seconds for v in verdicts)


def unconfined() -> list[str]:
    """What living workers have that none may have: a process or a socket of their own, leave to write a file."""
    found = []
    for worker in (one for one in shared_pool()._idle if one.ready):  # another is just starting, and has seen no text
        place = Path(f"/proc/{worker.process.pid}")
        if (place / "task" / place.name / "children").read_text():
            found.append(f"{place}: a process")
        targets = {str(link.readlink()) for link in (place / "fd").iterdir()}
        if sum(target.startswith("socket:") for target in targets) > 1:  # one is its end of the pair with its parent
            found.append(f"{place}: a socket")
        if "Max file size             0 " not in (place / "limits").read_text():
            found.append(f"{place}: leave to write")
    return found


def _peak_of(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
