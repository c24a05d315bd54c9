"""GSPO: one probability ratio per sequence, clipped for the sequence as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


AGGREGATIONS = ("seq-mean-token-mean", "seq-mean-token-sum")


class Gspo(Method):
    """The clipped surrogate of s = (π(y)/π_old(y))^(1/|y|), the geometric mean of the tokens' ratios.

    `loss_agg: seq-mean-token-mean` is GSPO, `seq-mean-token-sum` weights each sequence by its length: LUSPO.
    """

    paper = "GSPO, arXiv 2507.18071, eq. 5, with the token gradients of GSPO-token; LUSPO, arXiv 2602.05261"
    inert_on_policy = True
    neutral = "none: all tokens of a sequence share one ratio"
    evidence = "text read"

    @dataclass(frozen=True)
    class Config:
        clip_low: float = setting(3e-4, low=0.0, high=1.0, source="GSPO section 5.1: 3e-4")
        clip_high: float = setting(4e-4, low=0.0, source="GSPO section 5.1: 4e-4")
        loss_agg: str = setting(AGGREGATIONS[0], choices=AGGREGATIONS, source="GSPO eq. 5; the second is LUSPO's")

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import clipped_surrogate_loss, with_sequence_ratio

        sequences = with_sequence_ratio(tokens)
        return clipped_surrogate_loss(sequences, self.config.clip_low, self.config.clip_high, self.trainer)
