"""SIGTERM ends a run at the boundary of a step, with a checkpoint of it.

While answers are sampled and recorded, the weights are still those of the last step's end, so that the run ends at
once. During updates they are not: the step is finished first, unless that takes longer than PATIENCE.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from entrobench.distributed.ranks import Ranks

PATIENCE = 20  # ours: seconds for the rest of a step; who sends SIGTERM usually waits for 30
STATUS = 128 + signal.SIGTERM  # exit status, as shells have it


class Asked(BaseException):
    """SIGTERM came where the run can end at once; no Exception, which hooks and libraries swallow."""


class Stopping:
    """Listens for SIGTERM while a run trains."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.asked = self.free = False
        self.listens = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Stopping:
        if self.listens:
            self.before = signal.signal(signal.SIGTERM, self._ask), signal.signal(signal.SIGALRM, self._give_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.listens:
            signal.alarm(0)
            for number, handler in zip((signal.SIGTERM, signal.SIGALRM), self.before, strict=True):
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self.free:
            raise Asked
        signal.alarm(PATIENCE)

    def _give_up(self, number: int, frame: FrameType | None) -> None:
        print("the step does not end in time: the checkpoint before it stays the last", flush=True)
        raise SystemExit(STATUS)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, SIGTERM raises Asked; with several processes it waits for the end of the step, for all of them."""
        self.free = self.ranks.count == 1
        try:
            if self.asked and self.free:
                raise Asked
            yield
        finally:
            self.free = False

    def asked_of_any(self) -> bool:
        """Whether any of the processes was asked to end; all of them have to call it, at the end of a step."""
        if self.asked:
            signal.alarm(0)  # the step has ended in time
        return any(self.ranks.gather([self.asked]))
