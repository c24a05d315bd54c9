"""Where the grader is called from (scripts, notebooks, daemons, xdist), and what becomes of its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from entrobench.evaluation.grading import worker, worker_pool
from entrobench.evaluation.grading.grader import grade, warm_up
from entrobench.evaluation.grading.mathematics import expressions
from entrobench.evaluation.grading.worker_pool import ATTEMPTS, Stalled, WorkerDied, WorkerPool, shared_pool

ENDLESS = {"job": "paper", "prediction": "\\boxed{9^{9^{9^{9}}}}", "gold": "1"}  # math-verify computes the power
GRADED = "print(grade('2x+2', '2(x+1)', seconds=20).correct)"
HEAD = "from entrobench.evaluation.grading.grader import grade, warm_up\n"
CALLERS = {
    "standard input": HEAD + GRADED,
    "a notebook's exec": f"exec(compile({HEAD + GRADED!r}, '<cell>', 'exec'), {{}})",
    "a thread": HEAD + f"import threading\nt = threading.Thread(target=lambda: {GRADED})\nt.start(); t.join()",
    "a daemonic process": HEAD
    + "import multiprocessing\nwarm_up()\n"
    + f"def work(): {GRADED}\n"
    + "p = multiprocessing.get_context('fork').Process(target=work, daemon=True)\np.start(); p.join()",
}


@pytest.mark.parametrize("caller", CALLERS)
def test_it_works_when_called_from(caller: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-"], input=CALLERS[caller], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
    assert done.stderr == ""


def test_it_works_under_xdist(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(
        "import pytest\nfrom entrobench.evaluation.grading.grader import grade\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_inner(n): assert grade(f'{n}x+{n}', f'{n}(x+1)', seconds=20).correct\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", "2", str(tmp_path)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "2 passed" in done.stdout, done.stdout


def test_workers_end_when_their_parent_is_killed() -> None:
    """The idle ones see their socket close; the kernel's timer ends the busy one after its deadline."""
    program = (
        "import os, signal, threading, time\n"
        "from entrobench.evaluation.grading.worker_pool import _Worker, shared_pool\n"
        "pool = shared_pool(); pool.warm_up(); pool._give_back(_Worker())\n"
        "print(*[worker.process.pid for worker in pool._idle], flush=True)\n"
        f"threading.Thread(target=pool.run, args=({ENDLESS!r}, 1.5)).start()\n"
        "time.sleep(0.3)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_forked_child_that_exits_leaves_its_parents_workers_alone() -> None:
    program = HEAD + (
        "import os, sys\nfrom entrobench.evaluation.grading.worker_pool import shared_pool\nwarm_up()\n"
        "before = {worker.process.pid for worker in shared_pool()._idle}\n"
        "child = os.fork()\nif child == 0: sys.exit(0)\n"
        "os.waitpid(child, 0)\nverdict = grade('2x+2', '2(x+1)', seconds=20)\n"
        "print(verdict.outcome, before == {worker.process.pid for worker in shared_pool()._idle})"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "correct True\n"


def test_a_spare_waits_once_a_worker_was_ended() -> None:
    pool = WorkerPool(1)
    pool.warm_up()
    assert len(pool._idle) == 1, "most runs never need another"
    killer(pool, 1)
    assert pool.run({"job": "ping"}, 1.0)["outcome"] == "correct"
    assert len(pool._idle) == 2
    pool.close()


def test_an_idle_worker_that_died_is_not_given_a_job() -> None:
    pool = WorkerPool(1)
    pool.warm_up()
    for idle in list(pool._idle):
        idle.process.kill()
        idle.process.wait()
    assert pool.run({"job": "ping"}, 1.0)["outcome"] == "correct"
    pool.close()


def killer(pool: WorkerPool, times: int) -> list[int]:
    """End the busy worker `times` times, each before it answers; returns the list of those that got a job."""
    given: list[int] = []
    take = pool._take

    def taken() -> Any:
        worker = take()
        given.append(worker.process.pid)
        if len(given) <= times:
            worker.process.kill()  # as the system does when memory runs out
        return worker

    pool._take = taken  # type: ignore[method-assign]
    return given


def test_a_worker_that_is_killed_with_a_job_changes_no_verdict() -> None:
    pool = WorkerPool(1)
    pool.warm_up()
    given = killer(pool, ATTEMPTS - 1)
    job = {"job": "compare", "prediction": "2x+2", "gold": "2(x+1)"}
    assert pool.run(job, 20.0)["outcome"] == "correct"
    assert len(set(given)) == ATTEMPTS
    pool.close()


def test_a_job_that_ends_every_worker_is_given_up() -> None:
    pool = WorkerPool(1)
    given = killer(pool, 99)
    with pytest.raises(WorkerDied):
        pool.run({"job": "ping"}, 1.0)
    assert len(given) == ATTEMPTS
    pool.close()


def test_a_machine_that_stands_still_gives_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall time never stands in for "wrong": work stops instead, and nothing of it is kept."""
    monkeypatch.setattr(worker_pool, "PATIENCE", 0.001)
    monkeypatch.setattr(worker_pool, "_pool", WorkerPool(1))
    with pytest.raises(Stalled):
        grade("3x+3", "3(x+1)")
    shared_pool().close()


def test_the_deadline_includes_waiting_for_a_free_worker_and_its_start() -> None:
    pool = WorkerPool(1)
    started = time.monotonic()
    with pytest.raises(Stalled):
        pool.run({"job": "ping"}, 1.0, started + 0.01)  # no interpreter is up by then
    assert time.monotonic() - started < 0.5
    pool.close()


def test_a_group_of_sixteen_answers_parses_its_gold_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker serves one caller, and it keeps what it parsed."""
    parsed: Counter[str] = Counter()

    class Counting(expressions._Parser):
        def __init__(self, text: str) -> None:
            parsed[text] += 1
            super().__init__(text)

    monkeypatch.setattr(expressions, "_Parser", Counting)
    gold = "\\frac{y^2-37}{y+41}"
    for number in range(16):
        worker.answer({"job": "compare", "prediction": f"y+{number}", "gold": gold})
    assert parsed[gold] == 1
    assert sum(parsed[f"y+{number}"] for number in range(16)) == 16

    warm_up()
    workers = {worker.process.pid for worker in shared_pool()._idle[-1:]}
    for number in range(16):
        grade(f"\\boxed{{y+{number}}}", gold, seconds=20)
        workers.add(shared_pool()._idle[-1].process.pid)
    assert len(workers) == 1


def test_nothing_of_torch_is_loaded_here_or_in_the_workers() -> None:
    program = HEAD + (
        "import sys, pathlib\n"
        "from entrobench.evaluation.grading import explanation, grade_files, grader_audit, rewards\n"
        "from entrobench.evaluation.grading.worker_pool import shared_pool\n"
        "rewards.reward_function('paper')('\\\\boxed{1}', '1', True)\ngrade('2x+2', '2(x+1)', seconds=20)\n"
        "maps = [pathlib.Path(f'/proc/{worker.process.pid}/maps').read_text() for worker in shared_pool()._idle]\n"
        "print('torch' in sys.modules, len(maps) >= 1, any('torch' in text for text in maps))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
