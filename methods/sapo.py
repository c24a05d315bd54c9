"""SAPO: a sigmoid gate in place of the clip; the gradient fades smoothly as the ratio leaves 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class Sapo(Method):
    """-f(r)·A with f(r) = 4/τ·σ(τ·(r - 1)); τ is `gate_positive` for A > 0, else `gate_negative`.

    df/dr = 1 at r = 1, so that the first update of a step has GRPO's gradient.
    """

    paper = "Soft Adaptive Policy Optimization, arXiv 2511.20347"
    loss_agg = "seq-mean-token-mean"
    inert_on_policy = True
    neutral = "none: the gate has no clip to fall back to"
    evidence = "third-party note"

    @dataclass(frozen=True)
    class Config:
        gate_positive: float = setting(1.0, low=1e-3, source="SAPO: τ_pos 1.0, as in TRL and verl")
        gate_negative: float = setting(1.05, low=1e-3, source="SAPO: τ_neg 1.05, as in TRL and verl")

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio

        gates = tokens.logp.new_tensor((self.config.gate_positive, self.config.gate_negative))
        gate = gates[0].where(tokens.advantages > 0, gates[1])
        excess = probability_ratio(tokens, self.trainer) - 1
        return -(gate * excess).sigmoid() * 4 / gate * tokens.advantages
