"""Claim: one whole GRPO step of the embedded study is at least twice as fast as in TRL's GRPOTrainer.

A step is rollout, reward, old log-probabilities and two optimizer updates: 32 prompts x 8 answers, at most 24 tokens
(--prompts, --tokens), temperature 1, token-mean loss, no KL term, the same reward, learning rate and number of threads
on both sides, from the same base model. Both trainers live in one process and take turns, step by step: TRL runs its
own loop, and after each of its steps a callback runs one of ours, whose time is not counted as TRL's.

Ours runs as in a study: default micro-batch, deterministic algorithms. TRL gets what makes it fastest here: float32
(bfloat16 is slower on a CPU), no deterministic algorithms, no gradient checkpointing, no logging, saving or reporting,
and the fastest of the micro-batches and caches tried; all of them are in the table.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from shared.measure import arguments, describe_machine, one_thread, ratio, table, trainer_of

if TYPE_CHECKING:
    from entrobench.training.trainer import Trainer

WARM_UP = 1
TRL_VARIANTS = ((128, "dynamic"), (64, "dynamic"), (32, "dynamic"), (16, "dynamic"), (32, "static"))
TARGET = 2.0
PARTS = ("rollout", "reward", "old", "update")
GROUP, UPDATES = 8, 2


def main() -> None:
    chosen = arguments(__doc__, prompts=32, tokens=24, rounds=5)
    one_thread()
    lines = []
    for micro_batch, cache in TRL_VARIANTS:
        if micro_batch <= chosen.prompts * GROUP // UPDATES:
            lines.append([f"{micro_batch} {cache}", *contest(chosen, micro_batch, cache)])
    print(describe_machine())
    print(f"{chosen.model}, {chosen.data}: seconds per step, medians of {chosen.rounds} steps in turns")
    print(table(["TRL", "theirs", "ours", "ratio", *(f"our {part}" for part in PARTS), "their tokens", "ours"], lines))
    print(f"target against the fastest row of TRL: at least {TARGET}")


def contest(chosen: Any, micro_batch: int, cache: str) -> list[str]:
    """A line of the table: both trainers in turns."""
    with tempfile.TemporaryDirectory() as folder:
        turns = Turns(our_trainer(chosen, Path(folder)))
        their_trainer(chosen, Path(folder), micro_batch, cache, turns).train()
    return turns.line()


def our_trainer(chosen: Any, folder: Path) -> Trainer:
    """A trainer of the embedded study's settings, method grpo."""
    settings = {"steps": WARM_UP + chosen.rounds, "prompts": chosen.prompts, "group_size": GROUP, "updates": UPDATES}
    return trainer_of("grpo", chosen.model, chosen.data, folder, **settings, max_response_tokens=chosen.tokens)


class Turns:
    """Times TRL's steps from the end of one to the end of the next, and runs one of ours in between."""

    def __init__(self, ours: Trainer) -> None:
        self.ours, self.ours_steps = ours, ours._steps()
        self.theirs_seconds: list[float] = []
        self.ours_seconds: list[float] = []
        self.lengths: list[float] = []  # tokens per answer, TRL's
        self.start = 0.0

    def callback(self) -> Any:
        """A callback for TRL's loop: a step of GRPO is two of its optimizer steps."""
        import torch
        from transformers import TrainerCallback

        turns = self

        class TakeTurns(TrainerCallback):  # type: ignore[misc]
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                torch.use_deterministic_algorithms(False)
                turns.start = time.perf_counter()

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step % turns.ours.parts.config.updates == 0:
                    turns.theirs_seconds.append(time.perf_counter() - turns.start)
                    turns.our_step()
                    turns.start = time.perf_counter()

        return TakeTurns()

    def our_step(self) -> None:
        import torch

        torch.use_deterministic_algorithms(True)
        start = time.perf_counter()
        next(self.ours_steps)
        self.ours_seconds.append(time.perf_counter() - start)
        torch.use_deterministic_algorithms(False)  # for TRL

    def line(self) -> list[str]:
        """Seconds of both, their ratio, the parts of ours, and tokens per answer of both."""
        theirs, ours = self.theirs_seconds[WARM_UP:], self.ours_seconds[WARM_UP:]
        rows = self.ours.position.rows[WARM_UP:]
        parts = [f"{median(row[f'seconds_{part}'] for row in rows):.3f}" for part in PARTS]
        lengths = [f"{median(self.lengths[WARM_UP:]):.1f}", f"{median(row['length'] for row in rows):.1f}"]
        return [f"{median(theirs):.3f}", f"{median(ours):.3f}", f"{ratio(theirs, ours):.2f}x", *parts, *lengths]


def their_trainer(chosen: Any, folder: Path, micro_batch: int, cache: str, turns: Turns) -> Any:
    """TRL's trainer on the same model, data and settings."""
    from shared.trl import trl_trainer

    from entrobench.data.datasets import load_rows
    from entrobench.models.language_model import encode_prompt, end_tokens, load_model, load_tokenizer

    tokenizer, network = load_tokenizer(chosen.model), load_model(chosen.model)
    ends = end_tokens(network.generation_config, tokenizer)
    rows = load_rows(chosen.data, "train")
    prompts = [tokenizer.decode(encode_prompt(tokenizer, row.problem)) for row in rows]

    def reward(completions: list[str], completion_ids: list[list[int]], answer: list[str], **_: Any) -> list[float]:
        turns.lengths.append(sum(map(len, completion_ids)) / len(completion_ids))
        ended = [ids[-1] in ends for ids in completion_ids]
        judge = turns.ours.parts.collector.sampler.reward
        return [float(judge(*each, "", "").correct) for each in zip(completions, answer, ended, strict=True)]

    return trl_trainer(
        network,
        tokenizer,
        (prompts, [row.answer for row in rows]),
        reward,
        turns.ours.parts.config,
        WARM_UP + chosen.rounds,
        micro_batch,
        folder,
        turns.callback(),
        cache_implementation=None if cache == "dynamic" else cache,
        use_cpu=True,
        bf16=False,
    )


if __name__ == "__main__":
    main()
