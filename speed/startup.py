"""Claims: `entrobench --help` and `methods` under 1 s, the fixed overhead of a training job under 10 s.

A job's overhead is a training process up to its first step: interpreter, imports, config, model, data and optimizer.
Each command runs as its own process; the first run of each only fills the disk's cache.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from shared.measure import describe_machine, folders, one_thread, table

ROUNDS = 5
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
        "a training job up to its first step": ([sys.executable, "-c", job], 10.0),
    }
    lines = [[name, f"{seconds(call):.2f}", f"{limit:.0f}"] for name, (call, limit) in claims.items()]
    print(describe_machine())
    print(table(["command", f"seconds (median of {ROUNDS})", "at most"], lines))


def seconds(command: list[str]) -> float:
    """Median wall time of a command."""
    taken = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return median(taken[1:])


if __name__ == "__main__":
    main()
