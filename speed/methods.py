"""Claim: one training step of any method costs at most 1.15 times GRPO's at equal tokens, or its algorithm needs more.

A step is rollout, reward, old log-probabilities and two updates: 24 prompts x 8 answers of at most 24 tokens, every
method with its default settings. The learning rate is 0, so that all methods sample the same answers in every round.
All trainers live in one process and take turns, step by step, in an order that turns as well. Times are CPU seconds of
this process, which other work on the machine disturbs less than wall time; a ratio is the median over the rounds of
method / grpo. What an algorithm needs more is read from its declarations: `fresh` is one more forward for each update
after the first, `reference` one more forward of the step; statistics are taken from the forwards that are made anyway.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from shared.measure import arguments, describe_machine, one_thread, ratio, table, trainer_of

ROUNDS = 5
TARGET = 1.15
PARTS = ("rollout", "old", "update")
# quickstart's
SETTINGS = {"steps": ROUNDS + 1, "prompts": 24, "group_size": 8, "updates": 2, "max_response_tokens": 24}


def main() -> None:
    chosen = arguments(__doc__)
    one_thread()
    from entrobench.catalogue.registry import method_infos

    names = [name for name, info in method_infos().items() if info.origin == "built-in"]
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            name: trainer_of(name, chosen.model, chosen.data, Path(folder, name), **SETTINGS, learning_rate=0.0)
            for name in names
        }
        seconds = take_turns(trainers)
    print(describe_machine())
    print(f"{chosen.model}, {chosen.data}: CPU seconds per step, medians of {ROUNDS} steps in turns")
    tokens = {name: [row["tokens"] for row in trainer.position.rows] for name, trainer in trainers.items()}
    print("equal tokens in all methods:", all(counts == tokens["grpo"] for counts in tokens.values()))
    head = ["method", "seconds", "ratio", *(f"{part} s" for part in PARTS), "within 1.15", "needs more"]
    print(table(head, [line(name, trainers[name], seconds) for name in names]))


def take_turns(trainers: dict[str, Any]) -> dict[str, list[float]]:
    """One step of every trainer each round, after one to warm up; CPU seconds by method."""
    names = list(trainers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(ROUNDS + 1):
        place = 7 * number % len(names)
        for name in names[place:] + names[:place]:
            trainer = trainers[name]
            start = time.process_time()
            trainer.position.step += 1
            trainer.position.rows.append(trainer._one_step())
            if number:
                seconds[name].append(time.process_time() - start)
    return seconds


def line(name: str, trainer: Any, seconds: dict[str, list[float]]) -> list[str]:
    """A method's row of the table."""
    method, against = trainer.parts.method, ratio(seconds[name], seconds["grpo"])
    parts = [f"{median(row[f'seconds_{part}'] for row in trainer.position.rows[1:]):.3f}" for part in PARTS]
    needs = [f"fresh {', '.join(method.fresh)}"] if method.fresh else []
    needs += ["reference"] if method.reference else []
    needs += [f"statistics {', '.join(method.token_stats())}"] if method.token_stats() else []
    within = "yes" if against <= TARGET else "no"
    return [name, f"{median(seconds[name]):.3f}", f"{against:.2f}", *parts, within, "; ".join(needs) or "nothing"]


if __name__ == "__main__":
    main()
