"""A penalty on the KL divergence from a reference policy, which may be renewed on the way (ProRL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrobench.api import Method, Progress, StepSummary, TokenBatch, setting

if TYPE_CHECKING:
    from torch import Tensor


class ReferenceKl(Method):
    """loss + coefficient·KL(π || π_ref), aggregated like the policy loss, estimated by k1, k2 or k3.

    `ratio_weighted` multiplies the estimate by r = π/π_old, with gradient: then k3, too, has the gradient of the KL
    divergence. The reference takes over the current weights every `reference_reset_every` steps, or with `patience`
    n > 0 after n steps in which the share of right answers has not been above its best since the last renewal.
    `fresh_optimizer` says whether the optimizer then starts afresh.
    """

    paper = "ProRL, arXiv 2505.24864, section 2.3.1; GRPO's own KL term (k3), arXiv 2402.03300, eq. 3 and 4"
    reference = "base"
    neutral = {"coefficient": 0.0}
    evidence = "text read"

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.001, low=0.0, source="verl: kl_loss_coef 0.001; ProRL's is UNKNOWN")
        estimator: str = setting(
            "k3",
            choices=("k1", "k2", "k3", "k1+", "k3+"),
            source="GRPO eq. 4; verl: low_var_kl, with a + straight through",
        )
        ceiling: float | None = setting(10.0, low=1e-3, source="verl and NeMo-RL: 10 per token; null: none")
        ratio_weighted: bool = setting(False, source="verl; TRL 1.16 defaults to true (DeepSeek-V3.2, 2512.02556)")
        reference_reset_every: int = setting(0, low=0, source="ours: never; a note on ProRL v2: 200 to 500 steps")
        patience: int = setting(0, low=0, added=True, source="ours: off; ProRL: when validation stagnates; steps")
        fresh_optimizer: bool = setting(False, added=True, source="ours: kept; ProRL section 2.3.1: afresh")

        def __post_init__(self) -> None:
            if self.patience and self.reference_reset_every:
                raise ValueError("patience and reference_reset_every exclude each other: set one of them to 0")

    @dataclass
    class State:
        best: float = 0.0  # share of right answers since the last renewal
        waited: int = 0  # steps since then without a better one

    @property
    def regularizer_agg(self) -> str:
        """As TRL and verl do: one aggregation for both terms."""
        return self.trainer.loss_agg

    def renews_reference(self, progress: Progress) -> bool:
        stagnating = self.config.patience > 0 and self.state.waited >= self.config.patience
        return stagnating or super().renews_reference(progress)

    def after_step(self, summary: StepSummary) -> None:
        state, patience = self.state, self.config.patience
        if patience and state.waited >= patience:  # the reference was renewed before this step
            state.best, state.waited = 0.0, 0
        better = summary.pass_rate > state.best
        state.best, state.waited = max(state.best, summary.pass_rate), 0 if better else state.waited + 1

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        from entrobench.objective import probability_ratio, reference_kl

        config = self.config
        penalty = config.coefficient * reference_kl(tokens, config.estimator, config.ceiling, self.trainer)
        return penalty * probability_ratio(tokens, self.trainer) if config.ratio_weighted else penalty
