"""Persistent worker processes with CPU time per job: what overruns it ends, if need be with its worker.

Wall time decides no verdict, nor does a worker that somebody kills: its job is given to another one. PATIENCE bounds
the wait for a machine that stands still; then work stops, with no verdict. Once a worker had to be ended, a warm spare
waits for the next time: a spare costs two CPU seconds of imports, and most runs never need one.

Workers are started with subprocess (never multiprocessing) and talk JSON lines over a socket pair, so a job can be
given from any thread, script, notebook or daemonic process. A worker ends when its parent does: its socket closes,
after a job that a timer of the kernel bounds.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from .sandbox import environment

WORKER = "entrobench.evaluation.grading.worker"
JOBS_PER_WORKER = 5_000  # then replaced, ours: bounds the memory of sympy's caches
PATIENCE = 120.0  # wall, for one attempt at a job and its wait for a free worker, ours
ATTEMPTS = 3  # ours: the system ends a worker for want of memory at most so often by chance


class Overrun(Exception):
    """The job used up its CPU time."""


class WorkerDied(Exception):
    """The worker ended while it worked on the job, in each attempt: it is the job that ends it."""


class Stalled(Exception):
    """The wall deadline passed before a worker answered: nothing is known of the job."""


class _Worker:
    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env={**environment(), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            )
        self.buffer = b""
        self.ready = False
        self.jobs = 0

    def answer(self, job: dict[str, Any], deadline: float) -> dict[str, Any]:
        """Send one job and wait for its answer; raises Overrun, WorkerDied or Stalled."""
        try:
            self._wait_until_ready(deadline)
            remaining = _remaining(deadline)
            self.socket.settimeout(remaining)
            self.socket.sendall(json.dumps(job).encode() + b"\n")
            self.jobs += 1
            reply: dict[str, Any] = json.loads(self._line(deadline))
            return reply
        except TimeoutError as error:
            raise Stalled("the grader's worker does not answer: does the machine stand still?") from error
        except (OSError, WorkerDied) as error:
            if self._ran_out_of_time():
                raise Overrun from error
            raise WorkerDied from error

    def _ran_out_of_time(self) -> bool:
        try:
            return self.process.wait(timeout=1.0) == -signal.SIGPROF
        except subprocess.TimeoutExpired:
            return False

    def _wait_until_ready(self, deadline: float) -> None:
        if not self.ready:
            self._line(deadline)
            self.ready = True

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self.buffer:
            self.socket.settimeout(_remaining(deadline))
            received = self.socket.recv(65_536)
            if not received:
                raise WorkerDied
            self.buffer += received
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def kill(self) -> None:
        """End the process at once; it is reaped later, when the deadline of nobody is running."""
        self.socket.close()
        self.process.kill()


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


class WorkerPool:
    """At most `size` busy workers, and a warm spare once one was ended; all of this process's threads share it."""

    def __init__(self, size: int) -> None:
        self._free = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._killed: list[_Worker] = []
        self._needs_spare = False

    def run(self, job: dict[str, Any], cpu_seconds: float, deadline: float | None = None) -> dict[str, Any]:
        """Give a job to a free worker, to another one where that ends or does not answer; ATTEMPTS in all.

        With a `deadline`, in time.monotonic() seconds, there is one attempt. Raises Overrun, WorkerDied or Stalled.
        """
        job = {**job, "cpu_seconds": cpu_seconds}
        if deadline is not None:
            return self._attempt(job, deadline)
        for _ in range(ATTEMPTS - 1):
            with suppress(WorkerDied, Stalled):
                return self._attempt(job, time.monotonic() + PATIENCE)
        return self._attempt(job, time.monotonic() + PATIENCE)

    def _attempt(self, job: dict[str, Any], deadline: float) -> dict[str, Any]:
        if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Stalled("no worker of the grader is free")
        try:
            return self._run_on(self._take(), job, deadline)
        finally:
            self._free.release()

    def _run_on(self, worker: _Worker, job: dict[str, Any], deadline: float) -> dict[str, Any]:
        try:
            reply = worker.answer(job, deadline)
        except BaseException as error:  # also KeyboardInterrupt: a worker with an open job must never be reused
            if not worker.ready and isinstance(error, Stalled):
                self._give_back(worker)  # it only was not up yet; the next job will find it warm
            else:
                self._discard(worker)
            raise
        if worker.jobs >= JOBS_PER_WORKER:
            self._discard(worker)
        else:
            self._give_back(worker)
        if reply["outcome"] == "timeout":
            raise Overrun
        return reply

    def warm_up(self, seconds: float = 600.0) -> None:
        """Start a worker and wait until it answers; raises Stalled after `seconds`.

        It imports sympy, which takes minutes from a cold network disk or on a machine with much else to do.
        """
        self.run({"job": "ping"}, cpu_seconds=1.0, deadline=time.monotonic() + seconds)

    def close(self) -> None:
        """End all idle workers."""
        with self._lock:
            workers, self._idle = self._idle, []
            workers += self._killed
        for worker in workers:
            worker.kill()
            worker.process.wait()

    def forget(self) -> None:
        """Drop all workers without ending them: in a forked child they are the parent's. No lock is needed there."""
        for worker in self._idle:
            worker.socket.close()
        self._idle, self._killed = [], []

    def _take(self) -> _Worker:
        """Take the warmest idle worker that lives; leave a spare behind where one is needed."""
        with self._lock:
            self._idle = [worker for worker in self._idle if worker.process.poll() is None]
            worker = self._idle.pop() if self._idle else _Worker()
            if self._needs_spare and not self._idle:
                self._idle.append(_Worker())
            self._killed = [dead for dead in self._killed if dead.process.poll() is None]
        return worker

    def _discard(self, worker: _Worker) -> None:
        worker.kill()
        with self._lock:
            self._needs_spare = True
            self._killed.append(worker)

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)


_pool: WorkerPool | None = None
_pool_lock = threading.Lock()


def shared_pool() -> WorkerPool:
    """Return this process's pool, made on first use, with as many workers as the process has cores."""
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = WorkerPool(max(1, len(os.sched_getaffinity(0))))
            atexit.register(_pool.close)
        return _pool


def _forget_pool_after_fork() -> None:
    """A forked child must not share its parent's sockets, nor end its workers at exit: it starts its own."""
    global _pool, _pool_lock
    if _pool is not None:
        atexit.unregister(_pool.close)
        _pool.forget()
    _pool, _pool_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_pool_after_fork)
