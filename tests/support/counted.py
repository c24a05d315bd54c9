"""Bytes of the tensors that live at once, counted operation by operation, with products that cost no time."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
PRODUCTS = {aten.mm.default: (0, 1), aten.addmm.default: (1, 2), aten.bmm.default: (0, 1)}  # where the factors stand


class Counted(TorchDispatchMode):
    """Counts storages from the operation that makes them until they are freed; peaks by the phase named meanwhile.

    Matrix products are zeros of the right size and type: what is computed does not matter, and models may be large.
    """

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()
        self.live: dict[int, int] = {}
        self.bytes = 0
        self.phase = "outside"
        self.peaks: dict[str, int] = {}
        self.counting = True
        for tensor in held:
            self._see(tensor)

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if function in PRODUCTS:
            left, right = (arguments[place] for place in PRODUCTS[function])
            found = left.new_zeros(*left.shape[:-1], right.shape[-1])
        else:
            found = function(*arguments, **(keywords or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                self._see(tensor)
        self.peaks[self.phase] = max(self.bytes, self.peaks.get(self.phase, 0))
        return found

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is made inside does not count."""
        before, self.counting = self.counting, False
        yield
        self.counting = before

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        number = id(storage)
        if number in self.live:
            return
        self.live[number] = storage.nbytes() if self.counting else 0
        self.bytes += self.live[number]
        weakref.finalize(storage, self._forget, number).atexit = False

    def _forget(self, number: int) -> None:
        self.bytes -= self.live.pop(number)

    @contextmanager
    def named(self, phase: str) -> Iterator[None]:
        """What happens inside belongs to this phase."""
        before, self.phase = self.phase, phase
        yield
        self.phase = before


def phased(counted: Counted, owner: Any, name: str, phase: str, monkeypatch: Any) -> None:
    """Let calls of a function or method belong to a phase."""
    function = getattr(owner, name)

    def call(*arguments: Any, **keywords: Any) -> Any:
        with counted.named(phase):
            return function(*arguments, **keywords)

    monkeypatch.setattr(owner, name, call)


def tensors_of(thing: Any) -> Iterator[Tensor]:
    """Tensors that an object holds, also in its lists and objects of its own."""
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, (list, tuple)):
        for item in thing:
            yield from tensors_of(item)
    elif hasattr(thing, "__dict__"):
        yield from tensors_of(list(vars(thing).values()))


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind tensors, each once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())
