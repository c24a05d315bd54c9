"""Claims: a step is in MLflow within 30 s of being written; four logs of 300 steps x 20 metrics are imported in 5 s.

The first in seconds of the clock, for it is a claim about waiting: steps are written every few seconds, and the longest
time until one is in the database counts, the start of the follower included. The second in CPU seconds of the command
`entrobench import-run`, start and all, so that other load hardly counts.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from shared.measure import describe_machine, one_thread, table
from tracked import make_study

from entrobench.results import RESULTS, RunFolder
from entrobench.tracking import experiments
from entrobench.training.live import LiveRows

LATEST, IMPORT = 30.0, 5.0  # seconds
STEPS, PAUSE = 12, 3.7  # of the run that is followed; no divisor of the follower's ten seconds
RUNS, ROWS, METRICS = 4, 300, 20


def main() -> None:
    one_thread()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lags = followed()
        print(table(["step written", "in MLflow after, s"], [[str(step), f"{lag:.1f}"] for step, lag in lags.items()]))
        lines = [["a step in MLflow, clock", f"{max(lags.values()):.1f}", f"{LATEST:g}"]]
        lines.append(
            [f"{RUNS} runs x {ROWS} steps x {METRICS} metrics imported, CPU", f"{imported():.1f}", f"{IMPORT:g}"]
        )
        print(table(["claim", "s", "at most"], lines))


def followed() -> dict[int, float]:
    """Seconds from the writing of each step until it is in the database, as `make ui` shows it."""
    study = make_study()
    run = RunFolder(Path("results/small/runs") / study.runs[1].key)
    run.folder.mkdir(parents=True)
    run.config.write_text(json.dumps(study.runs[1].config.content))
    experiments.initialise(RESULTS.database)
    with LiveRows(run.folder, []) as live:
        follower = subprocess.Popen([sys.executable, "-m", "entrobench", "track", "--follow"])
        try:
            return _lags(live)
        finally:
            follower.terminate()
            follower.wait()


def _lags(live: LiveRows) -> dict[int, float]:
    written: dict[int, float] = {}
    lags: dict[int, float] = {}
    begun = time.monotonic()
    while len(lags) < STEPS and time.monotonic() < begun + 4 * LATEST + STEPS * PAUSE:
        now = time.monotonic()
        if len(written) < STEPS and now >= begun + len(written) * PAUSE:
            step = len(written) + 1
            live.append({"step": step, "time": time.time(), "reward": step / 7, "entropy": 0.3})
            written[step] = now
        lags |= {step: now - written[step] for step in _shown() if step not in lags}
        time.sleep(0.1)
    return {step: lags.get(step, float("inf")) for step in written}


def _shown() -> list[int]:
    """The steps whose reward is in the database."""
    connection = sqlite3.connect(RESULTS.database, timeout=60)
    try:
        return [step for (step,) in connection.execute("select step from metrics where key = 'train/reward'")]
    finally:
        connection.close()


def imported() -> float:
    """CPU seconds of one command that imports all runs."""
    names = ["entropy", "reward", "length", "kl", "grad_norm", *(f"own_{n}" for n in range(METRICS - 5))]
    files = []
    for number in range(RUNS):
        files.append(Path(f"log{number}.csv"))
        rows = [",".join(str((row + column) / 7) for column in range(METRICS)) for row in range(ROWS)]
        lines = [",".join(["step", *names]), *(f"{row + 1},{cells}" for row, cells in enumerate(rows))]
        files[-1].write_text("\n".join(lines) + "\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "entrobench", "import-run", *map(str, files)]
    subprocess.run([*command, "--study", "mine", "--method", "theirs"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
