"""What a long job shows while it works: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINES = 10  # ours: lines per run in a log file
COLLAPSED = 0.05  # ours: of the first step's entropy
EXPLODED = 3.0  # ours


def entropy_events(steps: Sequence[int], entropies: Sequence[float]) -> list[str]:
    """When the sampling policy's entropy (nats per token) first falls or rises out of all proportion: told, no error.

    >>> entropy_events([1, 2, 3], [0.5, 0.02, 0.01])
    ['step 2: entropy collapse: 0.02 nats per token, 4 % of the first step']
    """
    first, events = entropies[0], []
    for kind, crossed in (("collapse", lambda e: e < COLLAPSED * first), ("explosion", lambda e: e > EXPLODED * first)):
        for step, entropy in zip(steps, entropies, strict=True):
            if crossed(entropy):
                share = 100 * entropy / first if first else float("inf")
                events.append(
                    f"step {step}: entropy {kind}: {entropy:.3g} nats per token, {share:.0f} % of the first step"
                )
                break
    return events


class StepProgress:
    """Progress of training steps, with reward and entropy."""

    def __init__(self, done: int, total: int, label: str = "training") -> None:
        self.done, self.total, self.label = done, total, label
        self.bar: Progress | None = None
        if sys.stdout.isatty():
            columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
            self.bar = Progress(*columns, TimeRemainingColumn())
            self.task = self.bar.add_task(label, total=total, completed=done, note="")

    def __enter__(self) -> StepProgress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self, row: Mapping[str, float]) -> None:
        """Show one more step; `row` holds the figures to print beside it."""
        self.done += 1
        note = "  ".join(f"{name} {row[name]:.3f}" for name in ("loss", "reward", "entropy") if name in row)
        if self.bar is not None:
            self.bar.update(self.task, advance=1, note=note)
        elif self.done % max(1, self.total // LINES) == 0 or self.done == self.total:
            print(f"{self.label} {self.done}/{self.total}  {note}", flush=True)
