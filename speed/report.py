"""Claims: the report of a study of 80 runs takes under 30 s and is under 5 MB; so is that of 29 methods.

Synthetic results, with answers: 2 models x 2 tasks x 4 methods x 5 seeds of 120 steps on two benchmarks, and 29 methods
x 5 seeds on one task. CPU seconds of this process, so that other load hardly counts.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from shared.measure import describe_machine, one_thread, table
from synthetic_results import make_study, write_audit

from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.report.study_page import write_report

SECONDS, BYTES = 30, 5_000_000
FOUR = {"grpo": 0.5, "entropy_bonus": 0.51, "clip_higher": 0.5, "aent": 0.56}
MANY = {"grpo": 0.5} | {f"method_{number}": 0.5 + number / 300 for number in range(1, 29)}


def main() -> None:
    one_thread()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_audit(Path(folder))
        models, tasks, benchmarks = ("m1", "m2"), ("chain2", "chain3"), ("chain2-test", "chain3-test")
        options = {"seeds": range(5), "steps": 120, "problems": 100, "answers": True}
        four = make_study(Path(folder), FOUR, models, tasks, benchmarks, name="four", **options)
        many = make_study(Path(folder), MANY, name="many", **options)
        lines = [measured(study) for study in (four, many)]
    print(table(["study", "runs", "CPU s", "at most", "MB", "at most"], lines))


def measured(study: SimpleNamespace) -> list[str]:
    """What the report of a study takes, after the comparison."""
    with contextlib.redirect_stdout(io.StringIO()):
        compare(study, study.results)
    started = time.process_time()
    size = write_report(study, study.results).stat().st_size
    seconds = time.process_time() - started
    return [study.name, str(len(study.runs)), f"{seconds:.1f}", str(SECONDS), f"{size / 1e6:.2f}", f"{BYTES / 1e6:g}"]


if __name__ == "__main__":
    main()
