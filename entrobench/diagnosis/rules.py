"""The rules by which a run is diagnosed, all thresholds in one place. Each threshold is ours.

They are wide: GRPO's entropy falling by half is no finding, for that is what it does; a finding is what makes the rest
of a run tell little. `signs` holds the code that each rule names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import signs
from .series import Evidence, Log

WINDOW = 5  # steps of the running mean that single steps are judged by
FEWEST = 8  # steps: a shorter run, or one that has just begun, is not judged


@dataclass(frozen=True)
class Rule:
    """One thing that can go wrong: `sign` finds its evidence in a log, or None; `setting` is what to change."""

    name: str
    title: str
    sign: Callable[[Log], Evidence | None]
    advice: str
    setting: str


RULES = (
    Rule(  # of the running mean, from a step to the end; one step's drop or surge is told by entrobench/progress.py
        "entropy collapse",
        "the policy's entropy collapsed",
        lambda log: signs.collapse(log, below=0.2, onset=0.5),
        "Add or strengthen an entropy term, raise clip_high, or lower the learning rate; evaluate before the onset.",
        "methods (coefficient), trainer.clip_high, trainer.learning_rate",
    ),
    Rule(
        "entropy explosion",
        "the policy's entropy exploded",
        lambda log: signs.explosion(log, above=2.0, at_least=0.3, onset=1.5),
        "Weaken the entropy term or give it an upper bound: the policy draws nearly anything.",
        "methods (coefficient), trainer.learning_rate",
    ),
    Rule(
        "reward fell",
        "the reward was lost again",
        lambda log: signs.reward_lost(log, kept=0.5, once=0.1),
        "Lower the learning rate or the entropy coefficient, and evaluate the snapshots before the onset.",
        "trainer.learning_rate, evaluate_every",
    ),
    Rule(
        "no signal",
        "hardly a group has both right and wrong answers, so nothing is learned from the rest",
        lambda log: signs.groups_dry(log, mixed=0.1),
        "Choose problems that the model sometimes solves, draw more answers per prompt, or draw until groups mix.",
        "dataset, trainer.group_size, trainer.dynamic_sampling",
    ),
    Rule(
        "cut off",
        "most answers that fail are cut off, not wrong",
        lambda log: signs.cut_off(log, truncated=0.2, of_failures=0.5),
        "Give answers more room, or leave the truncated ones out of the loss; else the reward measures length.",
        "trainer.max_response_tokens, trainer.mask_truncated",
    ),
    Rule(
        "unreadable answers",
        "most answers hold nothing that the grader can read",
        lambda log: signs.unreadable(log, share=0.5),
        "Say in the prompt how to write the answer, or use a reward that reads what the model writes.",
        "dataset (prompt), trainer.reward",
    ),
    Rule(
        "never clipped",
        "the method acts by clipping ratios, and no token was ever clipped",
        signs.never_clipped,
        "Make more updates per step: at few updates the policy has not moved, and the run equals the baseline.",
        "trainer.updates, trainer.epochs",
    ),
    Rule(
        "coefficient at its edge",
        "the controller's coefficient stands at the edge of its box",
        lambda log: signs.at_the_edge(log, share=0.5),
        "Widen the box or move the target, else the controller is a constant.",
        "methods (…_low, …_high, or its target)",
    ),
)
