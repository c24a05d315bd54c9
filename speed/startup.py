"""Claims: `entrobench --help` and `methods` take at most 1 CPU second, a training job up to its first step at most 10.

A job's overhead is a training process up to its first step: interpreter, imports, config, model, data and optimizer.
Nearly all of it are the imports of torch and of transformers' model code, which stand beside it. Each command runs as
its own process and is charged with its children's CPU seconds, user and system, which other load stretches less than
the clock; the first run of each only fills the disk's cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from shared.measure import describe_machine, folders, one_thread, table

ROUNDS = 5
LIBRARIES = "import transformers.models.qwen2.modeling_qwen2"
JOB = """
import tempfile
from pathlib import Path
from entrobench.config import Hardware, TrainerConfig
from entrobench.evaluation.grading.rewards import reward_function
from entrobench.training.assembly import assemble
from entrobench.run_config import RunConfig, RunDataset, RunModel, Variant
dataset, method = RunDataset("any", "", "{problem}"), Variant("grpo", "grpo", {})
config = RunConfig(RunModel("any", ""), dataset, method, 0, TrainerConfig(steps=1))
with tempfile.TemporaryDirectory() as folder:
    assemble(config, Path(folder), Path(MODEL), Path(DATA), Hardware(device="cpu"), reward_function("boxed"))
"""


def main() -> None:
    model_folder, data_folder = folders(__doc__)
    one_thread()
    job = f"MODEL, DATA = {str(model_folder)!r}, {str(data_folder)!r}\n{JOB}"
    command = str(Path(sys.executable).with_name("entrobench"))
    claims = {
        "entrobench --help": ([command, "--help"], 1.0),
        "entrobench methods": ([command, "methods"], 1.0),
        "torch and transformers' model code alone": ([sys.executable, "-c", LIBRARIES], 10.0),
        "a training job up to its first step": ([sys.executable, "-c", job], 10.0),
    }
    lines = [[name, f"{seconds(call):.2f}", f"{limit:.0f}"] for name, (call, limit) in claims.items()]
    print(describe_machine())
    print(table(["command", f"CPU seconds (median of {ROUNDS})", "at most"], lines))


def seconds(command: list[str]) -> float:
    """Median CPU seconds of a command and its children."""
    taken = []
    for _ in range(ROUNDS + 1):
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return median(taken[1:])


if __name__ == "__main__":
    main()
