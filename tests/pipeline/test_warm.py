"""Jobs of a study run in copies of one process: same output and status, signals and kills go through, nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from entrobench.pipeline.warm import OFFER

STUDY = (  # on any machine
    "import os, entrobench.pipeline.warm as warm\n"
    "warm.GPU = warm.Path('none')\n"
    "warm.offer()\n"
    "print(os.environ[warm.OFFER], flush=True)\n"
    "input()"
)
BROKEN = "import sys, entrobench.pipeline.warm as warm; warm.LIBRARIES = ('no.such',); warm.hand_over(sys.argv[1:])"
JOB = (  # without libraries a server is there at once; `status --watch` runs until it is stopped
    "import sys, entrobench.pipeline.warm as warm\n"
    "warm.LIBRARIES, warm.COMMANDS = (), (*warm.COMMANDS, 'status')\n"
    "warm.hand_over(sys.argv[1:])\n"
    "print('afresh')"
)
MISSING = ["train", "no/such/folder"]

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are started afresh on this system")


@pytest.fixture
def study() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", STUDY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def offered(study: subprocess.Popen[str]) -> str:
    assert study.stdout is not None
    return study.stdout.readline().strip()


def job(offered: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", JOB, *arguments]
    given = {**os.environ, **environment, OFFER: offered}
    return subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def servers(study: subprocess.Popen[str]) -> list[psutil.Process]:
    """The servers of a study, without their copies."""
    mine = ["warm-server", str(study.pid)]
    found = [process for process in psutil.process_iter(["cmdline"]) if set(mine) <= set(process.info["cmdline"] or [])]
    return [process for process in found if process.parent() not in found]


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def watching(study: subprocess.Popen[str], offered: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A job that goes on for ever, and its copy."""
    running = job(offered, "status", "smoke", "--watch")
    assert running.stdout is not None
    assert running.stdout.readline()
    (server,) = servers(study)
    (copy,) = server.children()
    return running, copy


def test_a_command_ends_as_it_would_afresh(offered: str) -> None:
    afresh = subprocess.run([sys.executable, "-m", "entrobench", *MISSING], capture_output=True, text=True, check=False)
    in_copy = job(offered, *MISSING)
    assert in_copy.communicate() == (afresh.stdout, afresh.stderr)
    assert in_copy.returncode == afresh.returncode == 2


def test_jobs_share_a_server_where_their_environments_are_equal(study: subprocess.Popen[str], offered: str) -> None:
    for _ in range(2):
        job(offered, *MISSING).communicate()
    assert len(servers(study)) == 1
    job(offered, *MISSING, OMP_NUM_THREADS="7").communicate()
    assert len(servers(study)) == 2


def test_other_commands_and_other_times_start_afresh(offered: str) -> None:
    assert job(offered, "grade", "--help").communicate()[0] == "afresh\n"
    assert job("", *MISSING).communicate()[0] == "afresh\n"
    assert job("1:/no/such/folder", *MISSING).communicate()[0] == "afresh\n"


def test_an_empty_variable_turns_it_off() -> None:
    environment = {**os.environ, OFFER: ""}
    done = subprocess.run([sys.executable, "-c", STUDY], env=environment, input="\n", capture_output=True, text=True)
    assert done.stdout == "\n"


def test_a_command_starts_afresh_where_the_server_cannot_begin(offered: str) -> None:
    command, environment = (
        [sys.executable, "-c", f"{BROKEN}; print('afresh')", *MISSING],
        {**os.environ, OFFER: offered},
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("afresh\n", "")


def test_a_killed_job_takes_its_copy_with_it(study: subprocess.Popen[str], offered: str) -> None:
    running, copy = watching(study, offered)
    running.kill()
    running.communicate()
    wait_until(lambda: not copy.is_running())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_ends_by_the_signal_that_ended_its_copy(
    number: signal.Signals, study: subprocess.Popen[str], offered: str
) -> None:
    running, copy = watching(study, offered)
    (running if number == signal.SIGTERM else copy).send_signal(number)
    running.communicate()
    assert running.returncode == -number


def test_a_killed_server_is_told_and_leaves_no_copy(study: subprocess.Popen[str], offered: str) -> None:
    running, copy = watching(study, offered)
    servers(study)[0].kill()
    assert "is gone" in running.communicate()[1]
    assert running.returncode == 1
    wait_until(lambda: not copy.is_running())
    assert job(offered, *MISSING).wait() == 2  # by another server


def test_nothing_stays_when_the_study_ends(study: subprocess.Popen[str], offered: str) -> None:
    job(offered, *MISSING).communicate()
    (server,) = servers(study)
    study.communicate("\n")
    wait_until(lambda: not server.is_running())
    assert not Path(offered.partition(":")[2]).exists()
