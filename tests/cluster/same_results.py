"""Whether two project folders hold the same results of a study: weights, steps, scores, and the runs in MLflow.

Usage: python same_results.py ONE OTHER STUDY
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient

# columns that two runs need not share: clocks, costs, and outcomes, where an answer that a busy machine found no time
# to grade is a timeout and not wrong; rewards are compared
CLOCK = ("time", "seconds_", "outcome/", "cost/")


def compare_files(one: Path, other: Path) -> int:
    """Compare the bytes of all weights and answers; returns their number."""
    patterns = ("runs/**/final/*.safetensors", "runs/**/generations/*.zst", "base/**/generations/*.zst")
    names = sorted(path.relative_to(one) for pattern in patterns for path in one.glob(pattern))
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), f"{name} differs"
    return len(names)


def compare_tables(one: Path, other: Path) -> int:
    """Compare steps and scores value by value, clocks left out; returns the number of tables."""
    names = sorted(path.relative_to(one) for path in [*one.glob("runs/**/steps.parquet"), one / "scores.parquet"])
    for name in names:
        frames = [pd.read_parquet(folder / name) for folder in (one, other)]
        ours, theirs = (frame[[c for c in frame if not c.startswith(CLOCK)]] for frame in frames)
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    return len(names)


def compare_tracked(one: Path, other: Path, study: str) -> int:
    """Compare the runs and last metrics that MLflow shows; returns the number of runs."""
    shown = []
    for folder in (one, other):
        client = MlflowClient(f"sqlite:///{folder}/results/mlflow.db")
        experiment = client.get_experiment_by_name(study)
        assert experiment is not None, f"{folder}: MLflow knows no study {study}"
        runs = client.search_runs([experiment.experiment_id])
        shown.append({run.info.run_name: _without_clock(run.data.metrics) for run in runs})
    assert shown[0] == shown[1]
    return len(shown[0])


def _without_clock(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not any(clock in name for clock in CLOCK)}


def main(one: Path, other: Path, study: str) -> None:
    folders = [folder / "results" / study for folder in (one, other)]
    counts = compare_files(*folders), compare_tables(*folders), compare_tracked(one, other, study)
    assert all(counts), counts
    print("equal to the last bit: {} files of weights and answers, {} tables, {} runs in MLflow".format(*counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
