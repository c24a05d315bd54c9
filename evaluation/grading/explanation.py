"""Explains one verdict step by step: what was extracted, how it is spelled and read, which rule decided."""

from __future__ import annotations

from entrobench.evaluation.grading.reading.exact_numbers import read_number
from entrobench.evaluation.grading.reading.extraction import Extraction, extract, extract_gold
from entrobench.evaluation.grading.reading.normalization import Unreadable, normalize
from entrobench.text import printable

from .grader import GRADER_VERSION, SECONDS, grade, warm_up
from .worker_pool import Overrun, WorkerDied, shared_pool


def explain(prediction: str, gold: str) -> str:
    """Return, line by line, how the verdict on one prediction came about; safe to print whatever the texts hold."""
    warm_up()
    verdict = grade(prediction, gold)
    lines = [
        *_explain_side("prediction", extract(prediction)),
        *_explain_side("gold", extract_gold(gold)),
        f"decided    by {verdict.reason}",
        f"verdict    {verdict.outcome} in {verdict.seconds * 1000:.1f} ms (grader {GRADER_VERSION})",
    ]
    return "\n".join(map(printable, lines))


def _explain_side(name: str, found: Extraction) -> list[str]:
    lines = [f"{name:<10} answer {found.answer!r} (rule: {found.rule})"]
    try:
        spelled = normalize(found.answer)
    except Unreadable as unreadable:
        return [*lines, f"{'':<10} unreadable: {unreadable}"]
    number = read_number(spelled)
    lines.append(f"{'':<10} spelled {spelled!r}")
    if number is None:
        return [*lines, f"{'':<10} read as {_describe(spelled)}"]
    unit = f", unit {number.unit}" if number.unit not in ("", "?") else ""
    percent = ", percent" if number.percent else ""
    return [*lines, f"{'':<10} read as exact number {number.value}{percent}{unit}"]


def _describe(spelled: str) -> str:
    try:
        job = {"job": "describe", "prediction": spelled}
        return str(shared_pool().run(job, SECONDS)["reason"])
    except (Overrun, WorkerDied):
        return "nothing, within the time limit"
