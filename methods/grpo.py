"""GRPO without entropy control: the baseline that every default of the protocol describes."""

from __future__ import annotations

from entrobench.api import Method


class Grpo(Method):
    """Group-normalised rewards and the clipped surrogate, nothing else."""

    paper = "DeepSeekMath, arXiv 2402.03300, eq. 3 without the KL term"
    neutral = {}
    evidence = "text read"
