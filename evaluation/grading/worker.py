"""The grader's worker process: one JSON job a line on standard input, one JSON verdict a line on standard output.

Started by worker_pool.py, never by hand. Bounded in memory, and in CPU time per job, which a busy machine does not
change: at the limit an exception ends the job, and where no interpreter runs the kernel ends the process soon after
(the default action of SIGPROF).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from .sandbox import bound_memory, confine

GRACE_SECONDS = 0.1  # of CPU time after the exception, for work that no interpreter interrupts


# What imports and warms the parts of sympy that verdicts need, before the first CPU time that counts.
_WARMING = (
    ("\\frac{x}{2}+\\sin x", "\\frac{x+2\\sin x}{2}"),
    ("\\sum_{n=0}^{\\infty}\\frac{1}{n!}", "e"),
    ("\\lim_{x\\to 0}\\frac{\\sin x}{x}", "(0,1)\\cup(1,2)"),
    ("|x|<1", "(-1,1)"),
    (
        "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}^{-1}\\cdot\\begin{pmatrix}1\\\\2\\end{pmatrix}",
        "\\begin{pmatrix}1\\\\2\\end{pmatrix}",
    ),
    ("\\prod_{k=1}^{5}(x^{2}+\\sqrt{k})+\\frac{d}{dx}(x^2)", "x"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\3\\end{pmatrix}"),
)


class OutOfTime(BaseException):
    """The job used its CPU time up; no Exception, which libraries swallow."""


def main() -> None:
    """Answer jobs until standard input closes."""
    bound_memory()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGVTALRM, _out_of_time)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our input
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a library that prints must not break the protocol
    for prediction, gold in _WARMING:
        answer({"job": "compare", "prediction": prediction, "gold": gold})
    confine()

    print("ready", file=replies)
    for line in sys.stdin:
        print(json.dumps(_answer_in_time(json.loads(line))), file=replies)


def _answer_in_time(job: dict[str, Any]) -> dict[str, str]:
    signal.setitimer(signal.ITIMER_PROF, job["cpu_seconds"] + GRACE_SECONDS)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, job["cpu_seconds"])
        try:
            return answer(job)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except OutOfTime:
        return {"outcome": "timeout", "reason": f"{job['cpu_seconds']:g} s of CPU time used up"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _out_of_time(*_: Any) -> None:
    raise OutOfTime


def answer(job: dict[str, Any]) -> dict[str, str]:
    """Answer one job with its outcome and reason; whatever goes wrong inside is the outcome "error", never an end."""
    try:
        return _JOBS[job["job"]](job)
    except (Exception, RecursionError) as error:  # the boundary: a verdict, not an exception
        return {"outcome": "error", "reason": f"{type(error).__name__} while grading"}


def _ping(job: dict[str, Any]) -> dict[str, str]:
    return {"outcome": "correct", "reason": "ping"}


def _compare(job: dict[str, Any]) -> dict[str, str]:
    from entrobench.evaluation.grading.mathematics.guards import Unparsable
    from entrobench.evaluation.grading.mathematics.structure import decide, is_readable

    try:
        equal, name = decide(job["prediction"], job["gold"])
    except Unparsable as reason:
        readable = is_readable(job["prediction"])
        return {"outcome": "wrong" if readable else "unparsable", "reason": f"not comparable: {reason}"}
    return (
        {"outcome": "correct", "reason": f"equal as {name}"}
        if equal
        else {"outcome": "wrong", "reason": f"not equal as {name}"}
    )


def _describe(job: dict[str, Any]) -> dict[str, str]:
    from entrobench.evaluation.grading.mathematics.structure import describe

    return {"outcome": "correct", "reason": describe(job["prediction"])}


def _paper(job: dict[str, Any]) -> dict[str, str]:
    from .paper_grader import paper_verdict

    return paper_verdict(job)


_JOBS = {"ping": _ping, "compare": _compare, "describe": _describe, "paper": _paper}


if __name__ == "__main__":
    main()
