"""The grader: is a model's answer the gold answer?

Layers: extraction, one spelling and exact numbers here in the caller; structure and sympy in killable worker
processes, whose CPU time is bounded, so that a busy machine changes no verdict. Text is never evaluated and torch is
never imported. Policies (order, percent, decimals, units, ...) stand in POLICY.md and the modules that carry them out.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from fractions import Fraction

from entrobench.evaluation.grading.reading.normalization import (
    Unreadable,
    normalize,
    refuse_control_characters,
    repair_escapes,
)
from entrobench.evaluation.grading.reading.words import choice_of_gold, choice_of_prediction, without_choice_label
from entrobench.evaluation.grading.replies.extraction import extract, extract_gold

from .reading.exact_numbers import numbers_equal, read_number
from .worker_pool import Overrun, WorkerDied, shared_pool

GRADER_VERSION = "2.4.0"
SECONDS = 0.4  # of CPU time in the worker for one verdict, ours; its warm answers take .001 to .05
MOST_CACHED = 200_000  # verdicts, ours

OUTCOMES = ("correct", "wrong", "unparsable", "timeout", "error")
# What states no value equals nothing, not even itself.
_UNDEFINED = frozenset({"nan", "zoo", "0/0", "\\frac{0}{0}"})


@dataclass(frozen=True)
class Verdict:
    """A verdict: `outcome` is one of OUTCOMES, `reason` names the rule that decided, `seconds` is wall time."""

    correct: bool
    outcome: str
    reason: str
    extracted_prediction: str
    extracted_gold: str
    seconds: float

    @property
    def reward(self) -> float:
        """What the answer earns in training."""
        return float(self.correct)


class _VerdictCache:
    """Verdicts of this grader version by (extracted gold, extracted prediction); emptied when full.

    What a loaded machine decides (timeout, error) is never kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def get(self, gold: str, prediction: str) -> tuple[str, str] | None:
        with self._lock:
            return self._known.get((gold, prediction))

    def put(self, gold: str, prediction: str, decided: tuple[str, str]) -> None:
        if decided[0] in ("timeout", "error"):
            return
        with self._lock:
            if len(self._known) >= MOST_CACHED:
                self._known.clear()
            self._known[gold, prediction] = decided


_cache = _VerdictCache()


def is_correct(prediction: str, gold: str) -> bool:
    """Say whether the prediction's final answer is the gold answer; False too for timeouts and unreadable text."""
    return grade(prediction, gold).correct


def grade(
    prediction: str,
    gold: str,
    *,
    strict_box: bool = False,
    prompt_opens_thinking: bool = False,
    seconds: float = SECONDS,
) -> Verdict:
    """Grade a bare answer or a whole reply against the gold answer within `seconds` of the worker's CPU time.

    Any text gets a verdict, none an exception. With `strict_box` only the last closed box of the prediction counts;
    `prompt_opens_thinking` says that the prompt ended inside the thinking part, which the reply has to close.
    """
    start = time.monotonic()
    found = extract(prediction, strict_box, prompt_opens_thinking)
    answer = found.answer
    if found.choice and _asks_for_letter(gold) and choice_of_prediction(answer) is None:
        answer = found.choice
    return judge_answer(answer, gold, found.rule, start, seconds)


def _asks_for_letter(gold: str) -> bool:
    return choice_of_gold(extract_gold(gold).answer.strip()) is not None


def judge_answer(answer: str, gold: str, rule: str, start: float, seconds: float = SECONDS) -> Verdict:
    """Judge an answer that `rule` extracted since `start` (time.monotonic()); the gold is still to be extracted."""
    wanted = extract_gold(gold).answer
    outcome, reason = _decide(answer, wanted, seconds)
    return Verdict(outcome == "correct", outcome, f"{rule}: {reason}", answer, wanted, time.monotonic() - start)


def _decide(prediction: str, gold: str, seconds: float) -> tuple[str, str]:
    decided = _decide_without_worker(prediction, gold)
    if decided is None:
        mine, wanted = normalize(prediction), normalize(gold)
        bare = without_choice_label(mine), without_choice_label(wanted)
        one_label = (bare[0] == mine) != (bare[1] == wanted)
        decided = _ask_worker(*(bare if one_label else (mine, wanted)), seconds)
        _cache.put(gold, prediction, decided)
    return decided


def _decide_without_worker(prediction: str, gold: str) -> tuple[str, str] | None:
    """Decide what a known verdict, the text or exact numbers decide; None leaves it to a worker."""
    if not prediction.strip():
        return "unparsable", "no answer"
    if not gold.strip():
        return "wrong", "empty gold"
    known = _cache.get(gold, prediction)
    if known is not None:
        return known
    try:
        decided = decide_fast(prediction, gold)
    except Unreadable as unreadable:
        decided = ("unparsable", str(unreadable))
    if decided is not None:
        _cache.put(gold, prediction, decided)
    return decided


def needs_worker(prediction: str, gold: str) -> bool:
    """Say whether `grade` will ask a worker; what needs none is decided here, and `grade` then knows it."""
    return _decide_without_worker(extract(prediction).answer, extract_gold(gold).answer) is None


def remember(verdict: Verdict) -> None:
    """Take over a verdict that this grader version gave before, maybe in another process.

    Only one of the form "rule: reason", as `grade` gives them: what a benchmark's tolerance decided is not ours.
    """
    _, separator, reason = verdict.reason.partition(": ")
    if separator:
        _cache.put(verdict.extracted_gold, verdict.extracted_prediction, (verdict.outcome, reason))


def decide_fast(prediction: str, gold: str) -> tuple[str, str] | None:
    """Decide what strings, choice letters and exact numbers can decide; None leaves it to sympy. Raises Unreadable."""
    if prediction.strip() == gold.strip():
        refuse_control_characters(repair_escapes(prediction.strip()))
        if prediction.strip().casefold() not in _UNDEFINED:
            return "correct", "same text"
    mine, wanted = normalize(prediction), normalize(gold)
    if not mine:
        return "unparsable", "no answer"
    if mine.casefold() in _UNDEFINED or wanted.casefold() in _UNDEFINED:
        return "wrong", "an undefined value equals nothing"
    if mine == wanted:
        return "correct", "same text"
    letter = choice_of_gold(wanted)
    if letter is not None:
        chosen = choice_of_prediction(mine)
        if chosen is not None:
            return ("correct" if chosen == letter else "wrong"), "choice letter"
    bare = without_choice_label(mine), without_choice_label(wanted)
    if (bare[0] == mine) != (bare[1] == wanted):  # "C. 12" against 12
        return decide_fast(*bare)
    numbers = read_number(mine), read_number(wanted)
    if numbers[0] is not None and numbers[1] is not None and "," not in mine + wanted:
        return ("correct" if numbers_equal(numbers[0], numbers[1]) else "wrong"), "exact numbers"
    return None


def _ask_worker(prediction: str, gold: str, seconds: float) -> tuple[str, str]:
    try:
        reply = shared_pool().run({"job": "compare", "prediction": prediction, "gold": gold}, seconds)
    except Overrun:
        return "timeout", f"{seconds:g} s of CPU time used up"
    except WorkerDied:
        return "error", "the worker died"
    return reply["outcome"], reply["reason"]


def warm_up() -> None:
    """Start the worker processes now, so that the first call does not spend its deadline on it."""
    shared_pool().warm_up()


def with_tolerance(verdict: Verdict, tolerance: float | None) -> Verdict:
    """Make a wrong verdict correct if both answers are numbers at most `tolerance` apart, units and percent as ever."""
    if tolerance is None or verdict.outcome != "wrong":
        return verdict
    try:
        prediction, gold = (
            read_number(normalize(answer)) for answer in (verdict.extracted_prediction, verdict.extracted_gold)
        )
    except Unreadable:
        return verdict
    if prediction is None or gold is None or abs(prediction.value - gold.value) > Fraction(str(tolerance)):
        return verdict
    if not numbers_equal(replace(prediction, value=gold.value), gold):
        return verdict
    return replace(verdict, correct=True, outcome="correct", reason=f"within the benchmark's tolerance {tolerance:g}")
