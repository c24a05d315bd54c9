"""A penalty on the KL divergence from a reference policy, which may be renewed every so many steps (ProRL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class ReferenceKl(Method):
    """loss + coefficient·KL(π || π_ref), a token mean, estimated from the sampled tokens by k1, k2 or k3.

    `ratio_weighted` multiplies the estimate by r = π/π_old, with gradient: then k3, too, has the gradient of the KL
    divergence.
    """

    paper = "ProRL, arXiv 2505.24864; GRPO's own KL term (k3), arXiv 2402.03300, eq. 3 and 4"
    reference = "base"
    neutral = {"coefficient": 0.0}
    evidence = "text read"

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.001, low=0.0, source="verl: kl_loss_coef 0.001; ProRL's is UNKNOWN")
        estimator: str = setting("k3", choices=("k1", "k2", "k3"), source="GRPO eq. 4; verl: low_var_kl")
        ceiling: float | None = setting(10.0, low=1e-3, source="verl and NeMo-RL: 10 per token; null: none")
        ratio_weighted: bool = setting(False, source="verl; TRL 1.16 defaults to true (DeepSeek-V3.2, 2512.02556)")
        reference_reset_every: int = setting(0, low=0, source="ours: never; ProRL's rule is UNKNOWN; steps")

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio, reference_kl

        config = self.config
        penalty = config.coefficient * reference_kl(tokens, config.estimator, config.ceiling, self.trainer)
        return penalty * probability_ratio(tokens, self.trainer) if config.ratio_weighted else penalty
