"""Bad input, said in one line."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from traceback import FrameSummary, extract_tb


class InputError(Exception):
    """Bad input of a user: one line that names the file, the key, the allowed values and the nearest valid name."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest allowed name, "" if none is near."""
    close = get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, name: str, allowed: Iterable[str], where: str) -> InputError:
    """Build the standard error for a name that is not among the allowed ones.

    >>> str(unknown("method", "aet", ["aent", "grpo"], "config/studies/mine.yaml"))
    "config/studies/mine.yaml: unknown method 'aet' (allowed: aent, grpo); did you mean 'aent'?"
    """
    names = sorted(allowed)
    return InputError(f"{where}: unknown {kind} {name!r} (allowed: {', '.join(names)}){nearest(name, names)}")


def first_line(error: BaseException) -> str:
    """The first line of what another library says of an error.

    >>> first_line(ValueError("no footer\\nat byte 4"))
    'no footer'
    """
    return str(error).strip().partition("\n")[0]


def in_one_line(error: BaseException) -> str:
    """The kind of an exception and what it says, on one line.

    >>> in_one_line(ValueError("two\\nlines"))
    'ValueError: two lines'
    """
    return " ".join(f"{type(error).__name__}: {error}".split())


def deepest_line(error: BaseException, files: Collection[Path]) -> FrameSummary | None:
    """The deepest line of one of these files that an exception went through; None where it went through none."""
    frames = reversed(extract_tb(error.__traceback__))
    return next((frame for frame in frames if Path(frame.filename) in files), None)
