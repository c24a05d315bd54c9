"""Dr. GRPO: advantages without the standard deviation, losses divided by a constant length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrobench.api import Method, StepBatch

if TYPE_CHECKING:
    from torch import Tensor


class DrGrpo(Method):
    """A = R - mean of the group; token losses summed and divided by (sequences · configured longest response)."""

    paper = "Understanding R1-Zero-Like Training, arXiv 2503.20783"
    neutral = "it has no settings: it takes two terms out of GRPO, the standard deviation and the response's length"
    evidence = "code read"
    loss_agg = "seq-mean-token-sum-norm"

    def advantages(self, step: StepBatch) -> Tensor:
        from entrobench.objective import centred_rewards

        return centred_rewards(step.rewards, step.group)[:, None] * step.mask
