"""Processes that train one model together: each works on its share, and all of them see the whole step.

Records are gathered before a method sees them and gradients are summed, so that divisors, selections and advantages are
those of a single process. Started by `accelerate launch`; a single process needs no process group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among `count` processes; `group` is torch's process group, None for all of them."""

    number: int = 0
    count: int = 1
    group: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the one process that writes files and prints."""
        return self.number == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's consecutive part; the parts differ in length by at most one."""
        return items[len(items) * self.number // self.count : len(items) * (self.number + 1) // self.count]

    def gather(self, own: list[T]) -> list[T]:
        """The items of all processes, in the order of the processes."""
        if self.count == 1:
            return own
        parts: list[Any] = [None] * self.count
        dist.all_gather_object(parts, own, self.group)
        return [item for part in parts for item in part]

    def gather_rows(self, own: Tensor, rows: Tensor, total: int) -> Tensor:
        """[total, ...] from the [own rows, ...] of all processes; every row belongs to one process."""
        whole = own.new_zeros(total, *own.shape[1:])
        whole[rows] = own
        return self.sum([whole])[0]

    def sum(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Sum each tensor over the processes, in place."""
        summed = list(tensors)
        if self.count > 1:
            for tensor in summed:
                dist.all_reduce(tensor, group=self.group)
        return summed

    def sum_numbers(self, numbers: Mapping[str, float], device: torch.device) -> dict[str, float]:
        """Sum numbers over the processes by name; a process may lack some."""
        if self.count == 1:
            return dict(numbers)
        names = sorted(set(self.gather(list(numbers))))
        values = torch.tensor([numbers.get(name, 0.0) for name in names], dtype=torch.float64, device=device)
        return dict(zip(names, self.sum([values])[0].tolist(), strict=True))

    def wait(self) -> None:
        """Wait for all processes."""
        if self.count > 1:
            dist.barrier(self.group)
