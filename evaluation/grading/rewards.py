"""Training rewards by name: each says what one response earned against its gold answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from entrobench.errors import unknown
from entrobench.evaluation.grading.reading.extraction import boxes

from .grader import Verdict, grade, judge_answer
from .worker_pool import Overrun, WorkerDied, shared_pool

Reward = Callable[[str, str, bool, str], Verdict]
PAPER_SECONDS = 5.0  # of CPU time for the whole reply; math-verify's own default for one step, its alarms are off


def reward_function(name: str) -> Reward:
    """Return the reward `name` as a function (response, gold, finished, key) -> Verdict, 1 iff correct.

    Raises InputError for an unknown name. `boxed`: finished, exactly one closed box, equal (ours, the embedded study).
    `entrobench`: the grader over the whole reply. `paper`: math-verify over the whole reply (AEnt's published runs).
    `random`: right for every second answer, whatever it says; drawn anew for each by its key (a control).
    """
    if name not in REWARDS:
        raise unknown("reward", name, REWARDS, "trainer.reward")
    if name != "random":  # which needs no grader
        shared_pool().prepare()
    return REWARDS[name]


def _boxed(response: str, gold: str, finished: bool, key: str = "") -> Verdict:
    start = time.monotonic()
    found = boxes(response)
    if not finished or len(found) != 1:
        reason = f"{len(found)} closed boxes, not one" if finished else "no end token"
        return Verdict(False, "unparsable", reason, "", gold, time.monotonic() - start)
    return judge_answer(found[0][2], gold, rule="the only box", start=start)


def _entrobench(response: str, gold: str, finished: bool, key: str = "") -> Verdict:
    return grade(response, gold)


def _paper(response: str, gold: str, finished: bool, key: str = "") -> Verdict:
    start = time.monotonic()
    job = {"job": "paper", "prediction": response, "gold": gold}
    reply: dict[str, Any]
    try:
        reply = shared_pool().run(job, PAPER_SECONDS)
    except Overrun:
        reply = {"outcome": "timeout", "reason": f"{PAPER_SECONDS:g} s of CPU time used up"}
    except WorkerDied:
        reply = {"outcome": "error", "reason": "the worker died"}
    outcome, extracted = reply["outcome"], reply.get("extracted", "")
    return Verdict(outcome == "correct", outcome, reply["reason"], extracted, gold, time.monotonic() - start)


def _random(response: str, gold: str, finished: bool, key: str) -> Verdict:
    start = time.monotonic()
    correct = hashlib.blake2b(f"random reward/{key}".encode()).digest()[0] < 128  # half of a uniform byte's values
    outcome = "correct" if correct else "wrong"
    return Verdict(correct, outcome, "drawn at random", "", gold, time.monotonic() - start)


REWARDS: dict[str, Reward] = {"boxed": _boxed, "entrobench": _entrobench, "paper": _paper, "random": _random}
