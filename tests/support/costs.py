"""What checkpoints cost a run, and what a kill costs it: runs of the quickstart's size in processes of their own.

    python tests/support/costs.py FOLDER MODEL DATA [kill]

trains one of them; with `kill` it ends itself just before its second checkpoint, where most is lost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
INTERVAL, STEPS = 3, 7  # two checkpoints
FILE = "keeping.json"


@dataclass(frozen=True)
class Costs:
    """`share`: seconds for checkpoints to seconds of training, at the default interval; the rest in CPU seconds.

    `resume` is what a kill added to a whole run, `interval` what the steps between two checkpoints take.
    """

    share: float
    resume: float
    interval: float
    equal: bool


def measure(folder: Path) -> Costs:
    """Train one run undisturbed, and one that is killed and goes on."""
    from stages import table
    from tiny import save_tiny

    from entrobench.config import Hardware
    from entrobench.data.datasets import prepare

    recipe = yaml.safe_load((ROOT / "config" / "models" / "chain-qwen.yaml").read_text())
    model = save_tiny(
        folder / "model",
        "qwen2",
        spread=0.05,
        hidden_size=recipe["hidden_size"],
        intermediate_size=recipe["intermediate_size"],
        num_hidden_layers=recipe["layers"],
        num_attention_heads=recipe["heads"],
        num_key_value_heads=recipe["kv_heads"],
        head_dim=recipe["hidden_size"] // recipe["heads"],
        tie_word_embeddings=recipe["tied"],
    )
    prepare("chain2", yaml.safe_load((ROOT / "config" / "datasets" / "chain2.yaml").read_text()), folder / "data")
    places = (str(model), str(folder / "data"))
    whole = _seconds(folder / "whole", *places)
    resume = _seconds(folder / "killed", *places, "kill") + _seconds(folder / "killed", *places) - whole
    kept = json.loads((folder / "whole" / FILE).read_text())
    step = fmean(kept["steps"])
    return Costs(
        share=fmean(kept["keeping"]) / (Hardware().checkpoint_every * step),
        resume=resume,
        interval=INTERVAL * fmean(kept["cpu_steps"]),
        equal=table(folder / "whole" / "steps.parquet") == table(folder / "killed" / "steps.parquet"),
    )


def _seconds(folder: Path, *arguments: str) -> float:
    """CPU seconds of a run in a process of its own; killed it has to be where, and only where, that was asked."""
    command = [sys.executable, str(Path(__file__)), str(folder), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == (-9 if "kill" in arguments else 0)
    return used.ru_utime + used.ru_stime


def main(folder: Path, model: Path, data: Path, kill: bool) -> None:
    """Train the run, and write beside it how long each checkpoint and each step took."""
    from kills import kill as end
    from tiny import coin_reward, run_config

    from entrobench.config import Hardware
    from entrobench.training import checkpoint
    from entrobench.training.trainer import train

    keep, keeping = checkpoint.keep, []

    def timed(*arguments: Any) -> None:
        if kill and keeping:
            end()
        begun = time.perf_counter()
        keep(*arguments)
        keeping.append(time.perf_counter() - begun)

    checkpoint.keep = timed
    study = yaml.safe_load((ROOT / "config" / "studies" / "quickstart.yaml").read_text())
    config = run_config("grpo", **{**study["trainer"], "steps": STEPS})
    train(config, folder, model, data, Hardware(device="cpu", checkpoint_every=INTERVAL), coin_reward)
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(folder / "steps.parquet").to_pylist()
    parts = ("seconds_rollout", "seconds_reward", "seconds_old", "seconds_update")
    steps = [sum(row[part] for part in parts) for row in rows]
    content = {"keeping": keeping, "steps": steps, "cpu_steps": [row["seconds_device"] for row in rows]}
    (folder / FILE).write_text(json.dumps(content))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), kill="kill" in sys.argv[4:])
