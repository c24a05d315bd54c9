"""Explains one verdict step by step: what was extracted, how it is spelled and read, which rule decided."""

from __future__ import annotations

from entrobench.evaluation.grading.reading.exact_numbers import read_number
from entrobench.evaluation.grading.reading.normalization import Unreadable, normalize
from entrobench.evaluation.grading.reading.units import is_known
from entrobench.evaluation.grading.replies.extraction import Extraction, extract, extract_gold
from entrobench.text import printable

from .grader import GRADER_VERSION, SECONDS, grade, warm_up
from .worker_pool import Overrun, WorkerDied, shared_pool

# Why each rule of extraction takes what it takes.
_WHY = {
    "last box": "the last box that closes",
    "no closed box": "a box that never closes retracts all before it",
    "reply ends while thinking": "what is thought is no answer",
    "answer in JSON": 'the value of the key "answer"',
    "final answer after the last box": 'a line "The final answer is $..$" after the last box',
    "stated answer": 'what the last sentence calls the answer ("the answer is", "Answer:", ####)',
    "last statement": "what the last sentence states, every word round the value known",
    "last line": "a bare value on the last line",
    "whole text": "no known form of a statement: the text is the answer",
}


def explain(prediction: str, gold: str, seconds: float = SECONDS) -> str:
    """Return, line by line, how the verdict on one prediction came about; safe to print whatever the texts hold."""
    warm_up()
    verdict = grade(prediction, gold, seconds=seconds)
    lines = [
        *_explain_side("prediction", extract(prediction)),
        *_explain_side("gold", extract_gold(gold)),
        f"decided    by {verdict.reason}",
        f"verdict    {verdict.outcome} in {verdict.seconds * 1000:.1f} ms (grader {GRADER_VERSION})",
    ]
    return "\n".join(map(printable, lines))


def _explain_side(name: str, found: Extraction) -> list[str]:
    lines = [f"{name:<10} answer {found.answer!r} (rule: {found.rule}, {_WHY[found.rule]})"]
    if found.choice:
        lines.append(f"{'':<10} states the letter {found.choice}, which counts where the gold is a letter")
    try:
        spelled = normalize(found.answer)
    except Unreadable as unreadable:
        return [*lines, f"{'':<10} unreadable: {unreadable}"]
    number = read_number(spelled)
    lines.append(f"{'':<10} spelled {spelled!r}")
    if number is None:
        return [*lines, f"{'':<10} read as {_describe(spelled)}"]
    unit = f", unit {number.unit}" if is_known(number.unit) else ""
    percent = ", percent" if number.percent else ""
    return [*lines, f"{'':<10} read as exact number {number.value}{percent}{unit}"]


def _describe(spelled: str) -> str:
    try:
        job = {"job": "describe", "prediction": spelled}
        return str(shared_pool().run(job, SECONDS)["reason"])
    except (Overrun, WorkerDied):
        return "nothing, within the time limit"
