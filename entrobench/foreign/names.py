"""What other trainers call the quantities of steps.parquet.

Sources: TRL 1.16's GRPOTrainer logs; verl's and OpenRLHF's documented metrics. A quantity that is near but not the same
(verl's clip share of both sides, a KL to a reference) keeps the name that it came with.
"""

from __future__ import annotations

from collections.abc import Callable

KNOWN: dict[str, tuple[str, ...]] = {  # ours -> theirs, the first that is there counts
    "entropy": ("entropy", "actor/entropy", "actor/entropy_loss", "policy/entropy", "entropy_loss"),
    "reward": ("reward", "critic/score/mean", "critic/rewards/mean", "rewards/mean", "reward_mean"),
    "length": ("length", "completions/mean_length", "response_length/mean", "response_length", "mean_length"),
    "truncated": ("truncated", "completions/clipped_ratio", "response_length/clip_ratio", "truncated_rate"),
    "clip_high": ("clip_high", "clip_ratio/high_mean"),
    "clip_low": ("clip_low", "clip_ratio/low_mean"),
    "kl": ("kl", "actor/ppo_kl", "ppo_kl"),
    "grad_norm": ("grad_norm", "actor/grad_norm"),
    "learning_rate": ("learning_rate", "actor/lr", "actor_lr", "lr"),
    "policy_loss": ("policy_loss", "actor/pg_loss", "loss"),
    "mixed_groups": ("mixed_groups", "frac_reward_zero_std"),
    "method/coefficient": ("method/coefficient", "coefficient", "entropy_coeff", "actor/entropy_coeff", "ent_coef"),
    "temperature": ("temperature",),
    "entropy_t1": ("entropy_t1",),
    "pass_rate": ("pass_rate",),
}
STEP = ("step", "_step", "global_step", "training/global_step", "Step", "steps")
TIME = ("time", "_timestamp", "wall_time", "timestamp")
CONVERTED: dict[str, Callable[[float], float]] = {"frac_reward_zero_std": lambda share: 1.0 - share}
PREFIXES = ("train/", "train_", "metrics/")  # that loggers put in front: W&B and TensorBoard write TRL's names so
NEEDED = ("entropy", "reward")  # one of them at least, else the file is no log of such training


def translate(columns: list[str]) -> dict[str, tuple[str, Callable[[float], float]]]:
    """Column of the log -> (our name, conversion), for the columns whose meaning is known."""
    bare = {_bare(column): column for column in reversed(columns)}
    found: dict[str, tuple[str, Callable[[float], float]]] = {}
    for ours, names in KNOWN.items():
        theirs = next((name for name in names if name in bare), None)
        if theirs is not None:
            found[bare[theirs]] = ours, CONVERTED.get(theirs, _same)
    return found


def column_of(names: tuple[str, ...], columns: list[str]) -> str | None:
    """The first of these names among the columns, with or without a logger's prefix."""
    bare = {_bare(column): column for column in reversed(columns)}
    return next((bare[name] for name in names if name in bare), None)


def _bare(column: str) -> str:
    return next((column.removeprefix(prefix) for prefix in PREFIXES if column.startswith(prefix)), column)


def _same(value: float) -> float:
    return value
