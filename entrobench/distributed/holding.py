"""One process at a time: whoever works in a folder says so in it, without any lock of the file system.

Each process writes a file of its own, then looks at those of the others. So of two that start at once at least one sees
the other, also where a network disk has no locks. A file says host, boot and process; that of a process of this machine
which no longer runs is stale at once, that of another machine when it shows no sign of life for SILENCE.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from entrobench.errors import InputError
from entrobench.files import make_folder, write_whole

BEAT = 5.0  # ours: seconds between two signs of life, which renew the file's time
SILENCE = 60.0  # ours: twelve of them
MARK = ".held-"  # starts the names of the files


@contextmanager
def held(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold a folder; gives a function that raises InputError once another process has taken the folder over.

    Raises InputError where another process holds it.
    """
    make_folder(folder)
    own = folder / f"{MARK}{socket.gethostname()}-{os.getpid()}"
    write_whole(own, json.dumps(_myself()))
    stop = threading.Event()

    def still_ours() -> None:
        if not own.exists():
            raise InputError(f"{folder}: another process has taken this folder over; this one stops")

    beating = threading.Thread(target=_beat, args=(own, stop), daemon=True)
    beating.start()
    try:
        for other in sorted(folder.glob(f"{MARK}*")):
            if other != own:
                _refuse_living(other, folder)
        yield still_ours
    finally:
        stop.set()
        own.unlink(missing_ok=True)


def _refuse_living(file: Path, folder: Path) -> None:
    """Raise InputError where the process that wrote the file lives, else delete the file."""
    try:
        holder = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):  # gone by now, or no work of ours
        holder = {}
    if holder and _lives(holder, file):
        who = f"process {holder['process']} on {holder['host']}"
        raise InputError(f"{folder}: {who} is working on it; wait for it, or end it")
    file.unlink(missing_ok=True)


def _lives(holder: dict[str, Any], file: Path) -> bool:
    me = _myself()
    if holder["host"] == me["host"] and (holder["boot"] != me["boot"] or me["boot"]):
        return bool(holder["boot"] == me["boot"] and _started(holder["process"]) == holder["started"])
    seen = _time_of(file)  # of the disk's clock: two times of one file are compared, never two machines' clocks
    end = time.monotonic() + SILENCE
    while time.monotonic() < end:
        time.sleep(min(1.0, BEAT))
        now = _time_of(file)
        if now != seen:
            return now is not None
    return False


def _myself() -> dict[str, Any]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return {"host": socket.gethostname(), "boot": boot, "process": os.getpid(), "started": _started(os.getpid())}


def _started(process: int) -> str | None:
    """When a process of this machine started, in ticks since the boot; None where there is none of this number."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _time_of(file: Path) -> int | None:
    try:
        with file.open():  # on network disks opening a file is what renews its attributes
            return file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _beat(own: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        try:
            os.utime(own)
        except FileNotFoundError:  # taken over: `still_ours` says so where it matters
            return
