"""What clamping changes on a run's own tokens: the tail's mass, the entropy, and where its gradient points.

The gradients are those at the logits. Where cosine and ratio of norms are 1, AEnt is the plain entropy bonus.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from entrobench.distributed.ranks import Ranks
from entrobench.entropy.logits import entropy_and_slope
from entrobench.entropy.selection import clamp_rule


class ClampDiagnostic:
    """A token statistic: returns the full entropy, and adds up what each clamp p would change of it."""

    def __init__(self, clamps: Sequence[float]) -> None:
        self.clamps = tuple(clamps)
        self.sums: dict[str, float] = {}

    def __call__(self, logits: Tensor) -> Tensor:
        """Logits [n,V] -> full entropy [n]."""
        full, slope, log_total = entropy_and_slope(logits, clamp_rule(logits.shape[-1], 0.0))
        self._add("tokens", torch.ones_like(full))
        self._add("square", _dot(slope, slope))
        for clamp in self.clamps:
            value, own, log_kept = entropy_and_slope(logits, clamp_rule(logits.shape[-1], clamp))
            self._add(f"{clamp}/mass", -(log_kept - log_total).expm1())
            self._add(f"{clamp}/entropy", value)
            self._add(f"{clamp}/product", _dot(slope, own))
            self._add(f"{clamp}/square", _dot(own, own))
        return full

    def _add(self, name: str, values: Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(values.sum(dtype=torch.float64))

    def take(self, ranks: Ranks, device: torch.device) -> dict[str, float]:
        """The columns of the step that ends: token means of mass and entropy, cosine, norm ratio; a new step begins.

        The last two compare the gradients of all tokens at once, so that tokens without entropy have no weight.
        """
        sums, self.sums = ranks.sum_numbers(self.sums, device), {}
        row: dict[str, float] = {}
        for clamp in self.clamps:
            square, own = sums["square"], sums[f"{clamp}/square"]
            row[f"clamp/{clamp}/mass"] = sums[f"{clamp}/mass"] / sums["tokens"]
            row[f"clamp/{clamp}/entropy"] = sums[f"{clamp}/entropy"] / sums["tokens"]
            row[f"clamp/{clamp}/cosine"] = sums[f"{clamp}/product"] / max((square * own) ** 0.5, 1e-300)
            row[f"clamp/{clamp}/norm_ratio"] = (own / max(square, 1e-300)) ** 0.5
        return row


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(1, dtype=torch.float64)
