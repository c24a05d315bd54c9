"""Entropy-shaped advantage: uncertain tokens count a little more, never enough to turn a sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat


class EntropyAdvantage(Method):
    """The clipped surrogate with A + min(coefficient·sg(H), |A|/kappa) for A, H the current policy's entropy."""

    paper = "Reasoning with Exploration: An Entropy Perspective, arXiv 2506.14758"
    neutral = {"coefficient": 0.0}
    evidence = "text read"

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.4, low=0.0, source="α 0.4: SIREN's baseline of it, for GRPO")
        kappa: float = setting(2.0, low=1.0, source="the paper: 2; below 1 signs would turn")

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import entropy

        return {"entropy": entropy}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        bonus = self.config.coefficient * tokens.stats["entropy"].detach()
        shaped = tokens.advantages + bonus.minimum(tokens.advantages.abs() / self.config.kappa)
        return super().token_loss(replace(tokens, advantages=shaped))
