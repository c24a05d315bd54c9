"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the place of `path` at the end, so no reader sees half a file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    yield draft
    draft.replace(path)
