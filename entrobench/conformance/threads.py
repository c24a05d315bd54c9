"""Several processes that train together, played by threads of this one: `Ranks` that meet at a barrier."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from entrobench.distributed.ranks import Ranks

T = TypeVar("T")
SECONDS = 60.0  # before a thread that waits for the others gives up


class Meeting:
    """Where threads hand each other what they have."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count, timeout=SECONDS)
        self.brought: list[Any] = [None] * count

    def exchange(self, number: int, own: T) -> list[T]:
        """What everybody brings, in the order of their numbers."""
        self.brought[number] = own
        self.barrier.wait()
        everything = list(self.brought)
        self.barrier.wait()
        return everything


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """One thread among `count`."""

    meeting: Meeting = field(default_factory=lambda: Meeting(1))

    def gather(self, own: list[T]) -> list[T]:
        """Everybody's items, in the order of the threads."""
        return [item for part in self.meeting.exchange(self.number, own) for item in part]

    def sum(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Sum each tensor over the threads, in place."""
        own = list(tensors)
        everybodys = self.meeting.exchange(self.number, [tensor.detach().clone() for tensor in own])
        for place, tensor in enumerate(own):
            tensor.copy_(sum((part[place] for part in everybodys[1:]), everybodys[0][place]))
        return own

    def wait(self) -> None:
        """Go on when everybody is here."""
        self.meeting.barrier.wait()


def together(count: int, play: Callable[[Ranks], T]) -> list[T]:
    """Call a function once for each of `count` threads. Raises what the first of them that failed raised."""
    meeting = Meeting(count)

    def part(number: int) -> T:
        try:
            return play(ThreadRanks(number, count, None, meeting))
        except BaseException:
            meeting.barrier.abort()  # or the others would wait
            raise

    with ThreadPoolExecutor(count) as pool:
        parts = [pool.submit(part, number) for number in range(count)]
    failures = [error for error in (done.exception() for done in parts) if error is not None]
    first = [error for error in failures if not isinstance(error, threading.BrokenBarrierError)] or failures
    if first:
        raise first[0]
    return [done.result() for done in parts]
