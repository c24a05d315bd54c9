"""Clip-higher: a wider upper clip lets unlikely tokens grow further before their gradient stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class ClipHigher(Method):
    """The clipped surrogate with an asymmetric range [1 - clip_low, 1 + clip_high]."""

    paper = "DAPO, arXiv 2503.14476, section 3.1"
    inert_on_policy = True
    neutral = {"clip_low": 0.2, "clip_high": 0.2}
    evidence = "code read"

    @dataclass(frozen=True)
    class Config:
        clip_low: float = setting(0.2, low=0.0, high=1.0, source="DAPO section 4.1: 0.2")
        clip_high: float = setting(0.28, low=0.0, source="DAPO section 4.1: 0.28")

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss

        return clipped_surrogate_loss(tokens, self.config.clip_low, self.config.clip_high, self.trainer)
