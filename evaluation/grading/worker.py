"""The grader's worker process: one JSON job a line on standard input, one JSON verdict a line on standard output.

Started by worker_pool.py, never by hand. Bounded in memory, and ended by the kernel when a job outlives its deadline
(the default action of SIGALRM needs no interpreter), so that nothing survives a parent that died.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

MEMORY_BYTES = 2 * 1024**3
GRACE_SECONDS = 1.0  # the parent kills first; this is for parents that died


def main() -> None:
    """Answer jobs until standard input closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our input
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a library that prints must not break the protocol
    answer({"job": "compare", "prediction": "\\frac{x}{2}+2", "gold": "\\frac{x+4}{2}"})  # imports and warms sympy

    print("ready", file=replies)
    for line in sys.stdin:
        job = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, job["seconds"] + GRACE_SECONDS)
        reply = answer(job)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(reply), file=replies)


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
