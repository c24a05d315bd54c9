"""Ends a piece of work at a chosen file operation, with and without power loss, and compares what comes of it.

The work runs in a forked child. Each operation on a file below `root` (open for writing, create, rename, delete, link,
fsync) is a point; there the child ends itself with SIGKILL, before or after the operation, wherever it is in the code,
or is given no more memory from then on.

Power loss drops what was never synchronised: a file's content counts as written when it was synced after its last
change, a name in a folder when the folder was. All else may be there, empty, cut, or gone: a seeded draw decides. What
lay there before the work began counts as written: an earlier process synchronised it, or the disk has had its time.
SQLite synchronises by itself, in C, where nothing here sees it: its files stay as they are, which is what it promises.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime")
SQLITE = (".db", ".db-journal", ".db-wal", ".db-shm")
Work = Callable[[], object]
Strike = Callable[[], None]


class Points:
    """Counts the points of a process and strikes at the one with this number; records what is synchronised."""

    def __init__(self, root: Path, end_at: int | None, shadow: Path | None, strike: Strike) -> None:
        self.root, self.end_at, self.shadow, self.strike = str(root.resolve()), end_at, shadow, strike
        self.count = 0
        self.held: dict[int, int] = {}  # number of a file or folder -> a descriptor, so that no new one gets its number
        self.busy = False
        self.fsync = os.fsync

    def listen(self) -> None:
        self._keep([Path(self.root), *Path(self.root).rglob("*")])
        sys.addaudithook(self._audited)
        os.fsync = self._synchronised

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.busy or not (event in CHANGES or (event == "open" and self._writes(arguments))):
            return
        if self._inside(arguments[0]) or (len(arguments) > 1 and self._inside(arguments[1])):
            self._point()

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    def _inside(self, path: Any) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self.root)

    def _point(self) -> None:
        self.count += 1
        if self.count == self.end_at:
            self.strike()

    def _synchronised(self, descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")
        self._point()
        self.fsync(descriptor)
        self._keep([Path(path)] if path.startswith(self.root) else [])
        self._point()

    def _keep(self, paths: Iterable[Path]) -> None:
        """Keep what the disk has of these, where a power loss is to come."""
        if self.shadow is None:
            return
        self.busy = True
        for path in paths:
            self._record(path, self.shadow)
        self.busy = False

    def _record(self, path: Path, shadow: Path) -> None:
        """Keep what the disk now has for certain: a file's content, a folder's names; never of a reused number."""
        number = path.stat().st_ino
        if not path.is_dir():
            shutil.copyfile(path, shadow / f"file-{number}")
            self._hold(path, number, shadow)
            return
        names = {entry.name: entry.inode() for entry in os.scandir(path)}
        (shadow / f"folder-{number}.json").write_text(json.dumps(names))
        for name, known in {**names, ".": number}.items():
            self._hold(path / name, known, shadow)

    def _hold(self, path: Path, number: int, shadow: Path) -> None:
        if number not in self.held:
            self.held[number] = os.open(path, os.O_RDONLY)
            if path.is_file():
                os.link(path, shadow / f"keeper-{number}")


def kill() -> None:
    """What the kernel's out-of-memory killer does, and an impatient user."""
    os.kill(os.getpid(), signal.SIGKILL)


def terminate() -> None:
    """What a cluster does before it kills."""
    os.kill(os.getpid(), signal.SIGTERM)


def starve() -> None:
    """No more memory than the process has now: what asks for more fails, wherever in the code that is.

    What the process has set free before is taken too: a tiny model would live on it.
    """
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    allocate = ctypes.CDLL(None).malloc
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    resource.setrlimit(resource.RLIMIT_AS, (used, used))
    for exponent in range(24, 9, -1):  # from 16 MB down to 1 kB
        while allocate(1 << exponent):
            pass


@dataclass(frozen=True)
class Ended:
    """How a piece of work ended: its exit status (negative: the signal), points passed, CPU seconds."""

    status: int
    points: int
    seconds: float


def run(
    work: Work,
    root: Path,
    end_at: int | None = None,
    shadow: Path | None = None,
    strike: Strike = kill,
    prepare: Work = lambda: None,
) -> Ended:
    """Do the work in a forked child, after `prepare`, and strike at the point with the number `end_at`."""
    root.mkdir(parents=True, exist_ok=True)
    if shadow is not None:
        shadow.mkdir(exist_ok=True)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(work, Points(root, end_at, shadow, strike), writing, prepare)
    os.close(writing)
    with os.fdopen(reading) as said:
        count = said.read()
    _, status, used = os.wait4(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), int(count or 0), used.ru_utime + used.ru_stime)


def _in_child(work: Work, points: Points, writing: int, prepare: Work) -> NoReturn:
    status = 1
    try:
        points.listen()
        prepare()
        work()
        os.write(writing, str(points.count).encode())
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")
    finally:
        sys.stdout.flush()
        os._exit(status)


class Least(random.Random):
    """Draws what leaves the least of what a disk may have."""

    def random(self) -> float:
        return 1.0

    def choice(self, options: Any) -> Any:
        return options[0]


def lose_power(root: Path, shadow: Path, draw: random.Random) -> None:
    """Make of `root` what a machine may find there that lost its power: see the top of this file."""
    contents = _contents(root, shadow)
    after = root.with_name(f"{root.name}.after")
    _rebuild(root.stat().st_ino, root, after, contents, shadow, draw)
    shutil.rmtree(root)
    after.rename(root)


def _contents(root: Path, shadow: Path) -> dict[int, tuple[Path, Path | None]]:
    """Number of each file that is known -> (where it is now, what the disk has of it for certain)."""
    known: dict[int, tuple[Path, Path | None]] = {}
    for path in [*shadow.glob("keeper-*"), *(path for path in root.rglob("*") if path.is_file())]:
        number = path.stat().st_ino
        synced = shadow / f"file-{number}"
        known[number] = (path, synced if synced.exists() else None)
    return known


def _rebuild(
    number: int,
    now: Path,
    after: Path,
    contents: dict[int, tuple[Path, Path | None]],
    shadow: Path,
    draw: random.Random,
) -> None:
    after.mkdir()
    present = {entry.name: entry.inode() for entry in os.scandir(now)} if now.is_dir() else {}
    record = shadow / f"folder-{number}.json"
    synced: dict[str, int] = json.loads(record.read_text()) if record.exists() else {}
    chosen = {}
    for name in sorted({*present, *synced}):
        options = [names[name] for names in (synced, present) if name in names]
        gone = name not in synced or name not in present  # the change of the name may or may not have arrived
        if name.endswith(SQLITE):
            chosen |= {name: present[name]} if name in present else {}
        elif synced.get(name) == present.get(name) or not gone or draw.random() < 0.5:
            chosen[name] = synced[name] if synced.get(name) == present.get(name) else draw.choice(options)
    for name, inode in chosen.items():
        place = next((path for path in (now / name,) if path.exists() and path.stat().st_ino == inode), None)
        if inode in contents:
            _write(contents[inode], after / name, draw)
        elif place is not None and place.is_dir():
            _rebuild(inode, place, after / name, contents, shadow, draw)
        elif (shadow / f"folder-{inode}.json").exists():
            _rebuild(inode, now / "no such folder", after / name, contents, shadow, draw)


def _write(known: tuple[Path, Path | None], target: Path, draw: random.Random) -> None:
    now, synced = known
    content = now.read_bytes()
    if target.name.endswith(SQLITE) or (synced is not None and synced.read_bytes() == content):
        target.write_bytes(content)
        return
    options = [b"", content[: len(content) // 2], content]
    target.write_bytes(draw.choice(options if synced is None else [*options, synced.read_bytes()]))


@dataclass(frozen=True)
class Disturbance:
    """One mishap of a stage's work: what, and how the work ended."""

    kind: str
    ended: Ended


STRIKES = {"kill at a file operation": kill, "SIGTERM": terminate, "out of memory": starve}
KINDS = (*STRIKES, "kill at a moment", "power loss", "full disk")


def disturb(work: Work, root: Path, whole: Ended, kind: str, draw: random.Random) -> Disturbance:
    """Let one mishap befall the work in `root`; `whole` is how it went undisturbed."""
    late = whole.points // 2 if kind == "SIGTERM" else whole.points  # a run that has all but ended just ends
    point = draw.randint(1, max(late, 1))
    if kind == "kill at a moment":  # what SIGPROF ends, no handler sees
        moment = draw.uniform(0.02, 1.0) * whole.seconds
        ended = run(work, root, prepare=lambda: signal.setitimer(signal.ITIMER_PROF, moment))
    elif kind == "power loss":
        shadow = root.with_name(f"{root.name}.shadow")
        ended = run(work, root, point, shadow)
        lose_power(root, shadow, draw)
        shutil.rmtree(shadow)
    elif kind == "full disk":
        limit = draw.randint(0, 40_000)  # bytes of one file: the system's own refusal stands in for a full disk
        ended = run(work, root, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    else:
        ended = run(work, root, point, strike=STRIKES[kind])
    return Disturbance(kind, ended)
