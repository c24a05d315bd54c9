"""The standard entropy bonus: a constant coefficient times the full-vocabulary entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor

    from entrobench.api import TokenStat


class EntropyBonus(Method):
    """loss - coefficient · H, with H the token mean of the full-vocabulary entropy in nats."""

    paper = "A3C, arXiv 1602.01783, section 4; 'EntReg' in arXiv 2509.03493"
    neutral = {"coefficient": 0.0}

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.002, low=0.0, source="ours; the paper's EntReg coefficient is UNKNOWN")

    def token_stats(self) -> Mapping[str, TokenStat]:
        from entrobench.logits import entropy

        return {"entropy": entropy}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        return -self.config.coefficient * tokens.stats["entropy"]
