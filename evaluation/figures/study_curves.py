"""What is drawn over the training of a study: the quantities, their names, and which of them its runs have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrobench.evaluation.tables.budgets import spending
from entrobench.evaluation.tables.evaluations import averages

from .curve_figures import Quantity

if TYPE_CHECKING:
    from pandas import DataFrame

ENTROPY = "entropy"
LEARNING = {  # what the trainer logs at every step
    "reward": Quantity("reward", "training reward", window=5),
    ENTROPY: Quantity("entropy_t1", "entropy at temperature 1 (nats/token)"),
    "length": Quantity("length", "response length (tokens)", window=5),
    "coefficient": Quantity("method/coefficient", "coefficient λ"),
    "kl": Quantity("kl", "KL from the sampling policy (nats/token)", window=5),
    "clip_share": Quantity("clip_share", "clipped tokens (share)", window=5),
    "grad_norm": Quantity("grad_norm", "gradient norm", window=5),
}
EQUAL_COST = {
    "reward_by_tokens": Quantity("reward", "training reward", "million tokens", 5),
    "reward_by_time": Quantity("reward", "training reward", "device minutes", 5),
}

Curves = dict[str, tuple["DataFrame", Quantity]]


def learning_curves(curves: DataFrame) -> Curves:
    """The quantities that these runs have, by name; the coefficient of those alone that have one."""
    found = curves
    if {"clip_low", "clip_high"} <= {*curves.columns}:
        found = curves.assign(clip_share=curves["clip_low"] + curves["clip_high"])
    there = {name: quantity for name, quantity in LEARNING.items() if _has(found, quantity.column)}
    return {name: (found.dropna(subset=[quantity.column]), quantity) for name, quantity in there.items()}


def _has(curves: DataFrame, column: str) -> bool:
    return column in curves and bool(curves[column].notna().any())


def equal_cost_curves(curves: DataFrame) -> Curves:
    """The reward against what a run has spent: million generated tokens, and minutes of the device."""
    spent = spending(curves)
    totals = spent.assign(**{"million tokens": spent["tokens"] / 1e6, "device minutes": spent["seconds"] / 60})
    return {name: (totals, quantity) for name, quantity in EQUAL_COST.items() if _has(totals, quantity.x)}


def evaluation_curves(evaluations: DataFrame | None, primary: str) -> Curves:
    """The scores along the way, mean over benchmarks; nothing where a study is evaluated at its end alone."""
    if evaluations is None:
        return {}
    return {"evaluations": (averages(evaluations), Quantity("score", f"mean {primary}"))}


def clamp_curves(curves: DataFrame) -> Curves:
    """The probability that clamping removes, by each p that was logged."""
    names = [column for column in curves.columns if column.startswith("clamp/") and column.endswith("/mass")]
    return {
        f"clamp-{place}": (
            curves.dropna(subset=[name]),
            Quantity(name, f"mass removed at p = {name.split('/')[1]}", window=5),
        )
        for place, name in enumerate(names)
    }
