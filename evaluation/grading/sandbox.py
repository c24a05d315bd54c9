"""What a worker of the grader may not do once it is warm: write, read other files, start processes, use the network.

Model text is never evaluated; this is for the day on which a library does it all the same. The kernel refuses every
byte of a file (a limit of size 0) and bounds the memory; Python's own audit events refuse the rest.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

MEMORY_BYTES = 2 * 1024**3  # ours
OPEN_FILES = 64  # ours
READ = ("open", "os.listdir", "os.scandir")  # allowed below the folders that modules come from
REFUSED = (
    *("subprocess.", "socket.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill", "pty."),
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"),
    *("os.utime", "os.putenv", "os.unsetenv", "shutil.", "tempfile.", "ctypes.", "mmap.", "urllib.", "http.client."),
    *("ftplib.", "smtplib.", "sqlite3.", "webbrowser.", "syslog.", "fcntl.", "signal.pthread_kill"),
)
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")  # and Python's own


class Refused(Exception):
    """A worker tried what grading never needs."""


def bound_memory() -> None:
    """Limit the address space of this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def confine() -> None:
    """Forbid it all to this process, for good."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.realpath(__file__))  # an installation for development reaches it through links
    folders = tuple({os.path.realpath(place) for place in (sys.prefix, sys.base_prefix, here, *sys.path) if place})

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in READ:
            if not _reads_module(arguments, folders):
                raise Refused(f"{event} {arguments[0]!r}")
        elif event.startswith(REFUSED):
            raise Refused(event)

    sys.addaudithook(refuse)


def _reads_module(arguments: tuple[Any, ...], folders: tuple[str, ...]) -> bool:
    """Whether a file or folder is read below the folders that modules come from."""
    path, flags = arguments[0], arguments[2] if len(arguments) > 2 else 0
    if not isinstance(path, (str, bytes)) or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return False
    return os.path.realpath(os.fsdecode(path)).startswith(folders)


def environment() -> dict[str, str]:
    """What a worker sees of this process's environment: no token, no password."""
    return {name: value for name, value in os.environ.items() if name in ENVIRONMENT or name.startswith("PYTHON")}
