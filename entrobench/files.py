"""Files that appear whole or not at all, also where the machine loses its power right after."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, what this user may use of it, or one file of it


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the place of `path` at the end, so no reader sees half a file.

    The disk has it before it takes the place. Where writing fails, nothing is left of it.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        synchronise(draft)
        draft.replace(path)
        synchronise(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, such that the disk has their names."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        synchronise(place.parent)


def put_in_place(draft: Path, final: Path) -> None:
    """Move a finished folder of files to its place, and over what is there, once the disk has all of it.

    Links lead to files that are not ours.
    """
    for path in [*draft.rglob("*"), draft]:
        if not path.is_symlink():
            synchronise(path)
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    synchronise(final.parent)


def synchronise(path: Path) -> None:
    """Ask the disk to have a file or folder before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_full(folder: Path, needed: int, what: str) -> None:
    """Raise InputError where the disk that holds `folder` lacks `needed` bytes for `what`."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder}: {what} needs {size(needed)}, the disk has {size(free)} left")


def room_left(path: Path) -> str:
    """What is left of the disk that a file is, or would be, on."""
    there = next(place for place in [path.absolute(), *path.absolute().parents] if place.exists())
    return f"{size(shutil.disk_usage(there).free)} left"


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full; the writer of safetensors says so in words."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return any(f"os error {number}" in str(error) for number in FULL)


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(1234567)
    '1.2 MB'
    """
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
