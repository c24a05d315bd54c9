"""The method protocol: all that the author of a method has to read.

Time scales: a *step* samples N prompts x G answers, then makes one or more updates; a *minibatch* is the B sequences of
one optimizer update; a *micro-batch* is what fits in memory and never changes a result. S = N·G sequences; T = the
longest response; V = rows of the output layer. Tensors are float32, masks bool; a response includes its end token;
prompts never appear. Position t of a row is response token t.

The module does not import torch: importing a method file costs milliseconds. A method file needs `import torch` only if
tensor methods (`x.exp()`, `x.clamp(...)`) do not suffice, and then best inside the hook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .config import TrainerConfig, setting

if TYPE_CHECKING:
    from torch import Tensor

    TokenStat = Callable[[Tensor], Tensor]

__all__ = [
    "EVIDENCE",
    "Method",
    "MiniBatch",
    "Progress",
    "StepBatch",
    "StepSummary",
    "TokenBatch",
    "TrainerConfig",
    "setting",
]

# from the surest: the authors' code; the paper's text; somebody else's account, be it code or prose
EVIDENCE = ("code read", "text read", "third-party note")


@dataclass(frozen=True)
class Progress:
    """Where training stands; `step` counts from 1."""

    step: int
    total_steps: int


@dataclass(frozen=True)
class StepBatch:
    """All S sequences of a step, without gradient."""

    rewards: Tensor  # [S]
    group: Tensor  # [S] int64, number of the prompt within the step
    pass_rate: Tensor  # [S] share of right answers in the prompt's group
    truncated: Tensor  # [S] bool, stopped by the length limit
    mask: Tensor  # [S,T] bool
    logp_old: Tensor  # [S,T] the trainer's own forward at the sampling temperature
    logp_rollout: Tensor | None  # [S,T] what the rollout engine reported
    entropy_old: Tensor  # [S,T] nats, full vocabulary, sampling temperature
    stats_old: Mapping[str, Tensor]  # {name: [S,T]}, the method's `old_stats`
    logp_ref: Tensor | None  # [S,T] if the method declares `reference`
    step: int
    total_steps: int
    temperature: float


@dataclass(frozen=True)
class MiniBatch:
    """The B sequences of one optimizer update, without gradient: what `select` sees, before micro-batching."""

    rewards: Tensor  # [B]
    group: Tensor  # [B]
    pass_rate: Tensor  # [B]
    truncated: Tensor  # [B]
    mask: Tensor  # [B,T]
    logp_old: Tensor  # [B,T]
    logp_rollout: Tensor | None  # [B,T]
    entropy_old: Tensor  # [B,T]
    stats_old: Mapping[str, Tensor]  # {name: [B,T]}
    logp_ref: Tensor | None  # [B,T]
    advantages: Tensor  # [B,T]
    fresh: Mapping[str, Tensor]  # {name: [B,T]}, the method's `fresh`, under the current weights
    micro_batch: Tensor  # [B] int64, number of the micro-batch (only for `scope: microbatch` variants)
    step: int
    total_steps: int
    update: int  # within the step, from 0
    temperature: float


@dataclass(frozen=True)
class TokenBatch:
    """The b sequences of one micro-batch, with gradient in `logp` and `stats`."""

    logp: Tensor  # [b,T]
    logp_old: Tensor  # [b,T]; on the first update of a step it is logp.detach() exactly
    entropy_old: Tensor  # [b,T]
    logp_ref: Tensor | None  # [b,T]
    advantages: Tensor  # [b,T]
    mask: Tensor  # [b,T]
    stats: Mapping[str, Tensor]  # {name: [b,T]} differentiable, from `token_stats`; without those for records alone
    extras: Mapping[str, Tensor]  # {name: [b,T]} what `select` returned


@dataclass(frozen=True)
class StepSummary:
    """What a step measured, as Python floats; means are over all response tokens of all updates and ranks."""

    step: int
    total_steps: int
    updates: int
    temperature: float
    reward: float
    pass_rate: float
    entropy: float  # of the sampling policy, nats per token
    surprisal: float  # mean of -logp_old, nats per token
    stats: Mapping[str, float]  # token mean of each of `token_stats`, from the updates' own forwards, or the record
    kl: float  # mean of logp_old - logp over the updates
    clip_low: float  # share of tokens with A < 0 that a clip leaves a loss without gradient
    clip_high: float  # share of tokens with A > 0 that a clip leaves a loss without gradient
    length: float  # tokens per response
    truncated: float  # share of responses


class Method:
    """An entropy-control method. The defaults of all hooks are GRPO without entropy control.

    A subclass declares a frozen dataclass `Config` (fields made with `setting`), optionally a dataclass `State` of
    JSON values, and overrides only the hooks it changes. `self.config` and `self.state` hold the instances,
    `self.trainer` the study's shared settings. The state is saved in checkpoints, restored on resume and logged; so are
    statistics, extras and the regularizer's share of the loss: a method contains no logging code.
    """

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    @dataclass
    class State:
        """No state."""

    paper: ClassVar[str] = ""
    evidence: ClassVar[str] = ""  # how its formula is known, one of `EVIDENCE`; shown in every list
    provisional: ClassVar[str] = ""  # why its formula or constants are not confirmed; shown in every list
    neutral: ClassVar[Mapping[str, Any] | str] = "none declared"  # settings that equal GRPO, or why there are none
    # own statistics under the sampling policy; unless `fresh` names them too, no update computes them
    old_stats: ClassVar[tuple[str, ...]] = ()
    reference: ClassVar[str | None] = None  # None or "base"
    inert_on_policy: ClassVar[bool] = False  # does nothing at one update per step

    # A subclass assigns these as constants (`divisor = "selected"`), or overrides the property where a setting decides;
    # a `Config` with a field of the same name needs neither.

    @property
    def fresh(self) -> tuple[str, ...]:
        """Of "logp", "entropy" and own statistics: those that `select` gets under the current weights."""
        return getattr(self.config, "fresh", ())

    @property
    def scope(self) -> str:
        """Over what selections and statistics run; "microbatch" (as published) makes results depend on memory."""
        return getattr(self.config, "scope", "minibatch")

    @property
    def divisor(self) -> str:
        """Divide the policy loss by "all" tokens, or by the "selected": those whose extra "selected" is not 0."""
        return getattr(self.config, "divisor", "all")

    @property
    def loss_agg(self) -> str | None:
        """Pins the policy aggregation, the tables then say so; None leaves it to the study."""
        return getattr(self.config, "loss_agg", None)

    @property
    def regularizer_agg(self) -> str | None:
        """The regularizer's aggregation; None: token mean."""
        return getattr(self.config, "regularizer_agg", None)

    @property
    def reference_reset_every(self) -> int:
        """Steps after which the reference takes over the current weights; 0: never."""
        return getattr(self.config, "reference_reset_every", 0)

    @property
    def owns_mismatch(self) -> bool:
        """Whether the method itself weighs the sampler's mismatch in its loss, so that the trainer must not."""
        return False

    @property
    def uses_reference(self) -> bool:
        """Whether its loss, or the study's rewards, look at a reference policy."""
        return self.reference is not None or self.trainer.kl_reward > 0

    @property
    def fresh_optimizer(self) -> bool:
        """Whether the optimizer forgets its moments when the reference is renewed."""
        return getattr(self.config, "fresh_optimizer", False)

    def __init__(self, config: Any, trainer: TrainerConfig) -> None:
        self.config = config
        self.trainer = trainer
        self.state: Any = self.initial_state()

    def initial_state(self) -> Any:
        """The state before the first step; override where it depends on the settings."""
        return self.State()

    def renews_reference(self, progress: Progress) -> bool:
        """Whether the reference takes over the current weights before this step; asked from the second step on."""
        every = self.reference_reset_every
        return every > 0 and (progress.step - 1) % every == 0

    def sampling(self, progress: Progress) -> Mapping[str, float]:
        """Return {"temperature": t} for the next step; called before sampling."""
        return {"temperature": self.trainer.temperature}

    def keep(self, step: StepBatch) -> Tensor:
        """Return [S] bool; dropped sequences leave minibatches and divisors."""
        return step.rewards == step.rewards

    def advantages(self, step: StepBatch) -> Tensor:
        """Return [S,T] advantages; all groups are visible. Default: group-normalised reward, as the study scales it."""
        from .objective import group_advantages

        scale, baseline = self.trainer.advantage_scale, self.trainer.advantage_baseline
        return group_advantages(step.rewards, step.group, scale, baseline)[:, None] * step.mask

    def before_updates(self, step: StepBatch) -> None:
        """May set `self.state`; called once per step that makes an update, after `keep` and `advantages`."""

    def token_stats(self) -> Mapping[str, TokenStat]:
        """Return {name: f}, f maps logits [n,V] (already divided by the temperature) to [n], with gradient."""
        return {}

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        """Return {name: [B,T]} extras, decided on the global minibatch before it is cut into micro-batches.

        `rng(draw)` gives [B,T] uniform numbers in [0,1), rows keyed by (seed, step, update, prompt, answer, draw), so
        the order of sequences and the number of processes do not matter.
        """
        return {}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        """Return [b,T], not reduced. Default: the clipped surrogate with the study's clip range."""
        from .objective import clipped_surrogate_loss

        return clipped_surrogate_loss(tokens, self.trainer.clip_low, self.trainer.clip_high, self.trainer)

    def regularizer(self, tokens: TokenBatch) -> Tensor | None:
        """Return [b,T] to be added to the loss as a token mean, not reduced, or None."""
        return None

    def after_step(self, summary: StepSummary) -> None:
        """May change `self.state`; called once per step that made an update, before the checkpoint."""
