"""Claims: `entrobench --help` and `methods` take at most 1 CPU second, a job of a running study at most 3 to start.

The job trains one step of two short answers: interpreter, imports, config, model, data, optimizer, checkpoint and
weights. Alone it imports torch and transformers' model code, nearly all of its cost, which stands beside it; in a
study it is a copy of a process that has them (`entrobench.pipeline.warm`), whose start the first job pays. Each
command runs as its own process and is charged with its children's CPU seconds, user and system, which other load
stretches less than the clock, the copy with what it says that it took; the first run of each only fills the disk's
cache.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path
from statistics import median

from shared.measure import arguments, describe_machine, one_thread, table

from entrobench.pipeline import warm
from entrobench.studies.study import load_study

ROUNDS = 5
LIBRARIES = "import transformers.models.qwen2.modeling_qwen2"


def main() -> None:
    arguments(__doc__)
    one_thread()
    command = str(Path(sys.executable).with_name("entrobench"))
    lines = [
        [f"entrobench {words}", f"{seconds(repeat([command, words])):.2f}", "1"] for words in ("--help", "methods")
    ]
    libraries = seconds(repeat([sys.executable, "-c", LIBRARIES]))
    lines.append(["torch and transformers' model code alone", f"{libraries:.2f}", ""])
    with tempfile.TemporaryDirectory() as folder:
        jobs = ([command, "train", str(run), "--device", "cpu"] for run in run_folders(Path(folder)))
        lines.append(["a training job alone", f"{seconds(jobs):.2f}", ""])
        warm.offer()
        lines.append(["a training job in a study", f"{seconds(jobs, copied=True):.2f}", "3"])
    print(describe_machine())
    print(table(["command", f"CPU seconds (median of {ROUNDS})", "at most"], lines))


def run_folders(folder: Path) -> Iterator[Path]:
    """Runs of quickstart cut to a tiny step; no two are equal, for a finished one would be taken over."""
    config = load_study("quickstart").runs[0].config
    tiny = dataclasses.replace(
        config.trainer, steps=1, prompts=1, updates=1, group_size=2, max_response_tokens=1, warmup_updates=0
    )
    for seed in count():
        run = folder / f"seed{seed}"
        run.mkdir()
        content = dataclasses.replace(config, seed=seed, trainer=tiny).content
        (run / "config.json").write_text(json.dumps(content))
        yield run


def seconds(commands: Iterator[list[str]], copied: bool = False) -> float:
    """Median CPU seconds of the next commands and their children; of copies: with what their output says."""
    taken = []
    for _ in range(ROUNDS + 1):
        before = os.times()
        done = subprocess.run(next(commands), check=True, capture_output=True, text=True)
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
        if copied and (said := re.search(r"took ([\d.]+) CPU seconds", done.stdout)):
            taken[-1] += float(said[1])
    return median(taken[1:])


if __name__ == "__main__":
    main()
