"""The grader of AEnt's published runs: math-verify over the whole reply. Runs in the worker only."""

from __future__ import annotations

from typing import Any


def paper_verdict(job: dict[str, Any]) -> dict[str, str]:
    """Run math-verify as AEnt's runs called it (gold in a box, whole reply searched); in the worker only.

    Its limits by signal are off: the worker's deadline stands in for them. Source: verl's `math_verify.compute_score`.
    """
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    gold = parse(f"\\boxed{{{job['gold']}}}", (LatexExtractionConfig(),), parsing_timeout=None)
    found = parse(job["prediction"], (ExprExtractionConfig(), LatexExtractionConfig()), parsing_timeout=None)
    if not found:
        return {"outcome": "unparsable", "reason": "math-verify found no answer"}
    equal = bool(gold) and verify(gold, found, timeout_seconds=None)
    return {"outcome": "correct" if equal else "wrong", "reason": "math-verify", "extracted": str(found[-1])}
