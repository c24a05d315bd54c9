"""`entrobench doctor`: is this machine ready?"""

from __future__ import annotations

import typer


def doctor() -> None:
    """Check this machine: versions, device, threads, database, lock file; each line ok, warn or fail with a fix.

    Example: entrobench doctor
    """
    from .doctor import examine

    if not examine():
        raise typer.Exit(1)
