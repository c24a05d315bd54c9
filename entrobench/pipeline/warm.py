"""Jobs of a study begin in a process that has torch and transformers imported: they would cost most of a short job.

While a study runs on this machine, `entrobench train`, `generate` and `base-model` hand their command to a server,
which forks: the copy has the libraries, and the command's own files, arguments and status. The first job starts the
server; it ends with the study. It holds none of our code, so a job runs the files as they are. Environment and folder
belong to a server's name: another environment gets another server. A job that is killed takes its copy with it, and
signals reach the copy. Only on Linux without a GPU, for CUDA and forks do not mix; elsewhere, where no study runs, or
where `ENTROBENCH_WARM` is empty, every command starts afresh.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

OFFER = "ENTROBENCH_WARM"  # environment variable: "<process id of the study>:<folder of the sockets>"
SERVE = "warm-server"  # in the place of a command: be the server
COMMANDS = ("train", "generate", "base-model")
LIBRARIES = ("transformers.models.llama.modeling_llama", "transformers.models.qwen2.modeling_qwen2")
GPU = Path("/dev/nvidiactl")
HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def offer() -> None:
    """Let the jobs that this process starts share servers, which end with it."""
    if OFFER in os.environ or GPU.exists() or not _watches_processes():
        return
    folder = tempfile.mkdtemp(prefix="entrobench-")  # for this user alone
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[OFFER] = f"{os.getpid()}:{folder}"


def _watches_processes() -> bool:
    """Whether this system says when a process ends: Linux does, some sandboxes do not."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def hand_over(arguments: Sequence[str]) -> None:
    """Run a command in a copy of the server and end as it ends; return where the command has to start afresh."""
    owner, _, folder = os.environ.get(OFFER, "").partition(":")
    if not arguments or arguments[0] not in COMMANDS or not Path(folder or "/dev/null").is_dir():
        return
    connection = _connect(Path(folder), owner)
    with contextlib.suppress(BrokenPipeError):
        socket.send_fds(connection, [json.dumps(arguments).encode()], [0, 1, 2])
    if not _heard(connection):  # the server could not begin: out of memory, or a library that cannot be imported
        return
    for number in HANDED_ON:
        signal.signal(number, lambda number, _: connection.send(bytes([number])))
    _end_with(_heard(connection))


def _heard(connection: socket.socket) -> bytes:
    """What the server says; nothing where it has ended."""
    try:
        return connection.recv(16)
    except ConnectionResetError:
        return b""


def _connect(folder: Path, owner: str) -> socket.socket:
    """A connection to the server of this environment, which is started if need be."""
    settings = [sorted(os.environ.items()), os.getcwd(), sys.executable]
    name = folder / hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with name.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            connection.connect(str(name))
        except (FileNotFoundError, ConnectionRefusedError):
            name.unlink(missing_ok=True)
            _start(name, owner)
            connection.connect(str(name))
    return connection


def _start(name: Path, owner: str) -> None:
    """Start a server on a socket that is there at once: who connects waits until the libraries are imported."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, name.with_suffix(".log").open("w") as log:
        listener.bind(str(name))
        listener.listen(64)
        command = [sys.executable, "-P", "-m", "entrobench", SERVE, str(listener.fileno()), owner, *LIBRARIES]
        environment = {key: value for key, value in os.environ.items() if key != OFFER}
        subprocess.Popen(
            command,
            env=environment,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _end_with(answer: bytes) -> NoReturn:
    """End as the copy ended: with its exit status, or by the signal that ended it."""
    if not answer:
        sys.exit("error: the process that ran this command is gone (killed, or out of memory)")
    status = os.waitstatus_to_exitcode(int(answer))
    if status < 0:
        if -status in HANDED_ON:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
