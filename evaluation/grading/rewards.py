"""Training rewards by name: each says what one response to a problem earned."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from entrobench.errors import InputError
from entrobench.evaluation.grading.reading.thinking import spoken
from entrobench.evaluation.grading.replies.boxes import boxes

from .grader import Verdict, grade, judge_answer
from .own_rewards import Earned, own_reward
from .worker_pool import Overrun, WorkerDied, shared_pool

Reward = Callable[..., Verdict | Earned]  # (response, gold, finished, key, problem)
BuiltIn = Callable[..., Verdict]
PAPER_SECONDS = 5.0  # of CPU time for the whole reply; math-verify's own default for one step, its alarms are off


def reward_function(name: str) -> Reward:
    """Return the reward `name`, built in or the user's own (own_rewards.py). Raises InputError for an unknown name."""
    return built_in_reward(name) if name in REWARDS else own_reward(name, Path(), "trainer.reward", REWARDS)


def built_in_reward(name: str) -> BuiltIn:
    """Return one of REWARDS as a function (response, gold, finished, key, problem) -> Verdict, 1 iff correct.

    `boxed`: finished, exactly one closed box outside of the thinking part, equal (ours, the embedded study).
    `entrobench`: the grader over the whole reply. `paper`: math-verify over the whole reply (AEnt's published runs).
    `chain`: the problem's own operands and operations in their order, every step true modulo 10, nothing else (ours).
    `random`: right for every second answer, whatever it says; drawn anew for each by its key (a control).
    """
    return REWARDS[name]


def _boxed(response: str, gold: str, finished: bool, key: str = "", problem: str = "") -> Verdict:
    start = time.monotonic()
    found = boxes(spoken(response) or "")
    if not finished or len(found) != 1:
        reason = f"{len(found)} closed boxes, not one" if finished else "no end token"
        return Verdict(False, "unparsable", reason, "", gold, time.monotonic() - start)
    return judge_answer(found[0][2], gold, rule="the only box", start=start)


def _entrobench(response: str, gold: str, finished: bool, key: str = "", problem: str = "") -> Verdict:
    return grade(response, gold)


def _paper(response: str, gold: str, finished: bool, key: str = "", problem: str = "") -> Verdict:
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


_STEP = re.compile(r"(\d+) ?([-+*]) ?(\d+) ?= ?(\d+)")
_PROBLEM = re.compile(r"\d+( [-+*] \d+)+ =")
_BETWEEN = re.compile(r"[\s;,a-z]*")  # what separates steps says nothing: punctuation and words
_MODULUS = 10


def _chain(response: str, gold: str, finished: bool, key: str = "", problem: str = "") -> Verdict:
    """Whether a worked chain is true: of 10 possible answers a false chain ends in the right one by luck."""
    start = time.monotonic()
    wanted = _steps(problem, gold)
    response = spoken(response) or ""
    found = boxes(response)
    if not finished or len(found) != 1:
        reason = f"{len(found)} closed boxes, not one" if finished else "no end token"
        return Verdict(False, "unparsable", reason, "", gold, time.monotonic() - start)
    answer = found[0][2].strip()
    worked, rest = response.partition("\\boxed")[0], response.rpartition("}")[2]
    steps = [" ".join(step) for step in _STEP.findall(worked)]
    outcome, reason = "wrong", f"{len(steps)} steps of {len(wanted)}"
    if not _BETWEEN.fullmatch(_STEP.sub("", worked)) or rest.strip():
        outcome, reason = "unparsable", "more than steps and a box"
    elif len(steps) == len(wanted):
        false = next((n for n, pair in enumerate(zip(steps, wanted, strict=True), 1) if pair[0] != pair[1]), None)
        reason = "every step true" if false is None else f"step {false} is not the problem's, or false"
        outcome = "correct" if false is None and answer == gold else "wrong"
    return Verdict(outcome == "correct", outcome, reason, answer, gold, time.monotonic() - start)


def _steps(problem: str, gold: str) -> list[str]:
    """The true chain, worked from left to right: "3 + 4 7". InputError for a problem of another kind."""
    operations = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    if not _PROBLEM.fullmatch(problem):
        raise InputError(f"trainer.reward: chain: {problem!r} is no chain of arithmetic; use another reward")
    first, *others = problem.removesuffix(" =").split()
    steps, current = [], int(first)
    for sign, number in zip(others[::2], map(int, others[1::2]), strict=True):
        result = operations[sign](current, number) % _MODULUS
        steps.append(f"{current} {sign} {number} {result}")
        current = result
    if str(current) != gold:
        raise InputError(f"trainer.reward: chain: {problem!r} is not worked modulo {_MODULUS}: its answer is {gold}")
    return steps


def _random(response: str, gold: str, finished: bool, key: str, problem: str = "") -> Verdict:
    start = time.monotonic()
    correct = hashlib.blake2b(f"random reward/{key}".encode()).digest()[0] < 128  # half of a uniform byte's values
    outcome = "correct" if correct else "wrong"
    return Verdict(correct, outcome, "drawn at random", "", gold, time.monotonic() - start)


REWARDS: dict[str, BuiltIn] = {
    "boxed": _boxed,
    "entrobench": _entrobench,
    "paper": _paper,
    "chain": _chain,
    "random": _random,
}
