"""Many mishaps over all stages of a study: `make faults`.

    python tests/faults/campaign.py [mishaps] [seed]

prints how each stage came through, as the table of docs/reliability.md has it, and ends with status 1 where anything
was lost, doubled or altered.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import stages  # noqa: E402
from kills import KINDS, Ended, disturb, run  # noqa: E402
from stages import Stage  # noqa: E402
from tiny import save_data, save_tiny  # noqa: E402

from entrobench.data.datasets import prepare  # noqa: E402
from entrobench.tracking import experiments  # noqa: E402

MISHAPS = 60  # 12 or more over each stage
SHARES = {"training": 0.5, "answering": 0.15, "grading": 0.15, "tracking": 0.2}


def all_stages(folder: Path) -> dict[str, Stage]:
    """The stages, with a tiny model and its data."""
    model, data = save_tiny(folder / "model", "qwen2", tie_word_embeddings=True), save_data(folder / "data")
    prepare("chain2", {"kind": "chain", "chain": {"operations": 2, "modulus": 5}}, folder / "root" / "chain2")
    experiments.initialise(folder / "empty" / "mlflow.db")
    made = (
        stages.training(model, data),
        stages.answering(model, folder / "root"),
        stages.grading(),
        stages.tracking(folder / "empty" / "mlflow.db"),
    )
    return {stage.name: stage for stage in made}


def survive(stage: Stage, folder: Path, whole: Ended, count: int, draw: random.Random) -> tuple[Counter[str], bool]:
    """Let `count` mishaps befall a stage, one to four in a row before it may finish; (their kinds, all equal)."""
    kinds: Counter[str] = Counter()
    expected, equal, number = stage.outcome(folder / "whole"), True, 0
    while kinds.total() < count:
        place = folder / f"disturbed{number}"
        number += 1
        for _ in range(draw.randint(1, 4)):
            mishap = disturb(lambda: stage.work(place), place, whole, draw.choice(KINDS), draw)  # noqa: B023
            kinds[mishap.kind] += mishap.ended.status != 0
            stage.tidy(place)
        ended = run(lambda: stage.work(place), place)  # noqa: B023
        if ended.status != 0 or stage.outcome(place) != expected:
            print(f"{stage.name}: {place} differs (status {ended.status})", flush=True)
            equal = False
    return kinds, equal


def main(mishaps: int, seed: int) -> bool:
    """Run the campaign; whether everything came through."""
    draw, lines, fine = random.Random(seed), [], True
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        for stage in all_stages(Path(name)).values():
            begun, folder = time.monotonic(), Path(name) / stage.name
            whole = run(lambda: stage.work(folder / "whole"), folder / "whole")  # noqa: B023
            kinds, equal = survive(stage, folder, whole, round(mishaps * SHARES[stage.name]), draw)
            fine &= equal
            said = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
            lines.append(f"| {stage.name} | {kinds.total()} | {said} | {'equal' if equal else 'DIFFERENT'} |")
            print(lines[-1], f"{time.monotonic() - begun:.0f} s", flush=True)
    print("\n| stage | mishaps | of which | outcome, bit for bit |\n|---|---|---|---|", *lines, sep="\n")
    return fine


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(not main(*(given + [MISHAPS, 0][len(given) :])))
