"""The benchmarks that need a peer run to their end: nothing else notices when what they call has another name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow  # TRL's import alone takes ten seconds


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        ("step.py", ["--prompts", "4", "--tokens", "2", "--rounds", "1"], "target against the fastest row of TRL"),
        ("rollout.py", ["--tokens", "2", "--rounds", "1"], "greedy tokens equal generate(): True"),
    ],
)
def test_a_contest_runs(tiny_folders: tuple[Path, Path], file: str, options: list[str], said: str) -> None:
    model, data = map(str, tiny_folders)
    command = [sys.executable, f"speed/{file}", "--model", model, "--data", data, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
