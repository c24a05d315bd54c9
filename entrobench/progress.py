"""What a long job shows while it works: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

LINES = 10  # ours: lines per run in a log file
DROPPED = 0.05  # ours: of the first step's entropy
SURGED = 3.0  # ours


def entropy_events(steps: Sequence[int], entropies: Sequence[float]) -> list[tuple[str, int, str]]:
    """When the policy's entropy at temperature 1 (nats per token) first drops or surges out of all proportion.

    (drop or surge, step, a sentence) of each; they are told while a run trains, and are no errors. One step is enough.
    Whether entropy stayed there, which is a collapse or an explosion, only the end of a run says: entrobench/diagnosis.

    >>> entropy_events([1, 2, 3], [0.5, 0.02, 0.01])
    [('drop', 2, '0.02 nats per token, 4 % of step 1')]
    """
    found: dict[str, tuple[str, int, str]] = {}
    for step, entropy in zip(steps, entropies, strict=True):
        low, high = entropy < DROPPED * entropies[0], entropy > SURGED * entropies[0] > 0
        kind = "drop" if low else "surge" if high else ""
        if kind and kind not in found:
            share = f"{100 * entropy / entropies[0]:.0f} % of step {steps[0]}"
            found[kind] = kind, int(step), f"{entropy:.3g} nats per token, {share}"
    return list(found.values())


class StepProgress:
    """Progress of training steps, with reward and entropy."""

    def __init__(self, done: int, total: int, label: str = "training") -> None:
        self.done, self.total, self.label = done, total, label
        self.bar: Progress | None = None
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
