"""Claims: `entrobench --help` and `methods` under 1 s, the fixed overhead of a training job under 10 s.

A job's overhead is a training process up to its first step: interpreter, imports, config, model, data and optimizer.
Each command runs as its own process; the first run of each only fills the disk's cache.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from shared.measure import DATA, MODEL, describe_machine, need, one_thread, table

ROUNDS = 5
JOB = """
import tempfile
from pathlib import Path
from entrobench.config import Hardware
from entrobench.evaluation.rewards import reward_function
from entrobench.trainer import Trainer
config = {"hash": "benchmark", "seed": 0, "dataset": {"prompt": "{problem}"}, "trainer": {"steps": 1},
          "method": {"name": "grpo", "use": "grpo", "values": {}}}
with tempfile.TemporaryDirectory() as folder:
    Trainer(config, Path(folder), Path(MODEL), Path(DATA), Hardware(device="cpu"), reward_function("boxed"), {})
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, default=MODEL, help="transformers folder (default: %(default)s)")
    arguments.add_argument("--data", type=Path, default=DATA, help="prepared data (default: %(default)s)")
    chosen = arguments.parse_args()
    one_thread()
    need(chosen.model, "config.json")
    need(chosen.data, "manifest.json")
    job = f"MODEL, DATA = {str(chosen.model)!r}, {str(chosen.data)!r}\n{JOB}"
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
