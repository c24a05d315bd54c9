"""Claims: verdicts at least 10 times math-verify's rate on real replies and on MATH, 5 times on the gathered cases.

And 10,000 training rewards of short numeric answers in under 2 s. Both graders run in this one process, our sympy work
in its one worker; each round is a slice of pairs that neither has seen, so no cache of verdicts helps.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from shared.measure import describe_machine, one_thread, table

ROUNDS = 5
GROUP = 16  # answers per gold, as in GRPO
REWARDS = 10_000
SHARED = Path(__file__).resolve().parents[2] / "shared"
Pair = tuple[str, str]  # prediction, gold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shared", type=Path, default=SHARED, help="folder with grader/ and data/ (default: %(default)s)"
    )
    shared = parser.parse_args().shared
    files = [shared / "grader/responses.jsonl", shared / "data/math_test.jsonl", shared / "grader/cases.jsonl"]
    if missing := [str(file) for file in files if not file.exists()]:
        sys.exit(f"{', '.join(missing)}: not here; name the folder that holds grader/ and data/ with --shared")
    one_thread()
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it tells of every pair that runs into its limit
    responses, problems, cases = (read(file) for file in files)
    claims = {
        "real replies (responses.jsonl)": ([(row["response"], row["gold"]) for row in responses], 10),
        "MATH: right solution, own and another's answer": (math_pairs(problems), 10),
        "gathered cases (cases.jsonl, ordinary)": (case_pairs(cases), 5),
    }
    print(describe_machine())
    lines = [compared(name, pairs, wanted) for name, (pairs, wanted) in claims.items()]
    print(table(["pairs", "number", "ours/s", "math-verify/s", "ratio", "at least"], lines))
    print(table([f"{REWARDS:,} rewards of short numeric answers, {GROUP} per gold", "seconds", "at most"], rewards()))


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.open(encoding="utf-8")]


def math_pairs(problems: list[dict[str, Any]]) -> list[Pair]:
    """Every solution of a sample of 500 against its own answer and the next problem's."""
    sample = random.Random(0).sample(problems, 500)
    return [
        (a["solution"], row["answer"]) for a, b in zip(sample, sample[1:] + sample[:1], strict=True) for row in (a, b)
    ]


def case_pairs(cases: list[dict[str, Any]]) -> list[Pair]:
    """All ordinary cases, in random order, for those of one source are alike."""
    pairs = [(case["prediction"], case["gold"]) for case in cases if case["tier"] != "adversarial"]
    return random.Random(0).sample(pairs, len(pairs))


def compared(name: str, pairs: list[Pair], wanted: int) -> list[str]:
    """Rates of both graders over interleaved slices, and the median ratio of the slices."""
    from entrobench.evaluation.grading.grader import grade, warm_up

    warm_up()
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    for start in range(ROUNDS):
        slice_ = pairs[start::ROUNDS]
        order: list[tuple[str, Callable[[str, str], Any]]] = [("ours", grade), ("theirs", math_verify)]
        for side, verdict in order if start % 2 else order[::-1]:
            rates[side].append(len(slice_) / seconds(lambda v=verdict, s=slice_: [v(*pair) for pair in s]))
    ratio = median(ours / theirs for ours, theirs in zip(rates["ours"], rates["theirs"], strict=True))
    ours, theirs = (f"{median(rates[side]):,.0f}" for side in ("ours", "theirs"))
    return [name, str(len(pairs)), ours, theirs, f"{ratio:.1f}", f"{wanted}"]


def math_verify(prediction: str, gold: str) -> bool:
    """math-verify as it does best: its own extraction where there are delimiters, else $..$ round the text."""
    from math_verify import parse, verify

    marks = ("$", "\\boxed", "\\(", "\\[")
    sides = (text if any(mark in text for mark in marks) else f"${text}$" for text in (prediction, gold))
    found, wanted = (parse(text) for text in sides)
    return bool(verify(wanted, found))


def rewards() -> list[list[str]]:
    """The wall time of a batch under each of our rewards, replies all different, half of them right."""
    from entrobench.evaluation.grading.rewards import reward_function

    draw = random.Random(0)
    golds = [draw.randint(-10_000, 10_000) for _ in range(REWARDS // GROUP)]
    batch = [
        (f"{gold - number} + {number} = {answer}, so \\boxed{{{answer}}}", str(gold))
        for gold in golds
        for number in range(GROUP)
        for answer in [gold if number % 2 else gold + number + 1]
    ]
    taken = {name: seconds(partial(reward_all, reward_function(name), batch)) for name in ("boxed", "entrobench")}
    return [[name, f"{wall:.2f}", "2"] for name, wall in taken.items()]


def reward_all(reward: Callable[..., Any], batch: Sequence[Pair]) -> None:
    right = sum(reward(reply, gold, True).correct for reply, gold in batch)
    if right != len(batch) // 2:
        sys.exit(f"{right} of {len(batch)} rewarded, {len(batch) // 2} expected: the benchmark measures nothing")


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
