"""Files of a hub repository, pinned by revision, SHA-256 and size: found on this machine or downloaded, always checked.

A file is taken from the user's own folder (ENTROBENCH_MODELS or ENTROBENCH_DATA), from the hub's cache or from an
earlier download. Otherwise it is downloaded into results/downloads; an interrupted download is resumed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from entrobench.config import parse, setting
from entrobench.errors import InputError
from entrobench.provenance import sha256_file
from entrobench.results import RESULTS

UNKNOWN = "UNKNOWN"  # a revision that is not known yet; `entrobench pin` writes it
VARIABLES = {"models": "ENTROBENCH_MODELS", "datasets": "ENTROBENCH_DATA"}
SAFE_SUFFIXES = (
    ".safetensors",
    ".json",
    ".jsonl",
    ".txt",
    ".jinja",
    ".parquet",
    ".md",
    "",
)  # none of them can be executed


@dataclass(frozen=True)
class FilePin:
    """The content that a file must have, and its size where it is known."""

    sha256: str = setting("")
    bytes: int | None = setting(None, low=0)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 must be 64 hexadecimal digits, got {self.sha256!r}")


@dataclass(frozen=True)
class Source:
    """Files of one repository. `kind` is models or datasets, `name` that of the recipe, `files` {path: FilePin}."""

    kind: str
    name: str
    repository: str
    revision: str
    files: Mapping[str, FilePin]

    @property
    def place(self) -> str:
        return f"config/{self.kind}/{self.name}.yaml"

    @property
    def pinned(self) -> bool:
        return self.revision != UNKNOWN and bool(self.files)

    @property
    def repository_type(self) -> str:
        return self.kind.removesuffix("s")

    @property
    def folder(self) -> Path:
        """The folder for downloads."""
        return RESULTS.downloads / self.kind / self.name


def check_source(
    kind: str, name: str, repository: str, revision: str, files: Mapping[str, Any], licence: str
) -> Source:
    """Build a source from a recipe's values. Raises InputError naming the file and the key."""
    source = Source(kind, name, repository, revision, {})
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise InputError(f"{source.place}: repository must be owner/name, got {repository!r}")
    if not licence:
        raise InputError(f"{source.place}: the key 'licence' is missing: what the repository's page states")
    if revision != UNKNOWN and not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise InputError(f"{source.place}: revision must be a commit of 40 hexadecimal digits or {UNKNOWN}")
    pins = {}
    for path, values in files.items():
        check_path(path, source.place)
        pins[path] = parse(FilePin, values, f"{source.place}: files: {path}")
    return replace(source, files=pins)


def check_path(path: str, where: str) -> None:
    """Raise InputError for a file that would lie outside its repository's folder, or that could be executed."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise InputError(f"{where}: files: {path!r} leads out of the repository")
    if parts.suffix not in SAFE_SUFFIXES:
        allowed = ", ".join(suffix for suffix in SAFE_SUFFIXES if suffix)
        raise InputError(f"{where}: files: {path!r} is not of a kind that is read safely (allowed: {allowed})")


def fetch(source: Source, show: Callable[[str], None] = print) -> dict[str, Path]:
    """Return the place of each file of a pinned source; download what is missing, check the SHA-256 of all.

    `show` gets one line per download. Raises InputError, one line, for a source that is not pinned, a wrong hash, a
    gated or missing repository, and no network; what was downloaded before is kept.
    """
    if not source.pinned:
        raise InputError(
            f"{source.place}: revision and files of {source.repository} are not pinned; on a machine with network, "
            f"`entrobench pin {source.name}` fetches them and writes the pins into this file"
        )
    found = {path: _find(source, path, pin) for path, pin in source.files.items()}
    return {
        path: found[path] or download(source, path, pin.bytes, pin.sha256, show) for path, pin in source.files.items()
    }


def _find(source: Source, path: str, pin: FilePin) -> Path | None:
    """A file that is already here. A user's own file with other content is an error; it is not downloaded instead."""
    from huggingface_hub import try_to_load_from_cache

    downloaded = source.folder / path
    own = [Path(root) / folder / path for root in _own_roots(source) for folder in (source.name, source.repository)]
    cached = try_to_load_from_cache(source.repository, path, revision=source.revision, repo_type=source.repository_type)
    for candidate in [*own, *([Path(cached)] if isinstance(cached, str) else []), downloaded]:
        if candidate.is_file():
            _check(candidate, pin, source.place)
            return candidate
    return None


def _own_roots(source: Source) -> list[str]:
    value = os.environ.get(VARIABLES[source.kind])
    return [value] if value else []


def _check(file: Path, pin: FilePin, where: str) -> None:
    found = sha256_file(file)
    if found != pin.sha256:
        raise InputError(f"{file}: wrong SHA-256: expected {pin.sha256} ({where}), found {found}")


def download(source: Source, path: str, size: int | None, sha256: str | None, show: Callable[[str], None]) -> Path:
    """Download one file at the source's revision; what an interrupted download left is used.

    The file gets its name when it is complete and, where `sha256` is known, its content is right.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    target = source.folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{(sha256 or source.revision)[:12]}.part")
    url = hf_hub_url(source.repository, path, repo_type=source.repository_type, revision=source.revision)
    done = part.stat().st_size if part.exists() else 0
    if size is not None and done > size:  # of another server
        part.unlink()
        done = 0
    show(f"fetching {source.repository} {path}" + (f", from byte {done:,} on" if done else ""))
    with one_line(source, path), part.open("ab") as file:
        http_get(
            url,
            file,
            resume_size=done,
            headers={**build_hf_headers(), "Accept-Encoding": "identity"},  # a compressed download cannot be resumed
            expected_size=size,
            displayed_filename=path,
        )
    if sha256 is not None and (found := sha256_file(part)) != sha256:
        part.unlink()  # nothing to resume
        raise InputError(
            f"{source.place}: {path} of {source.repository} came with the wrong SHA-256 {found}, expected {sha256}; "
            "it was thrown away, all other files are kept"
        )
    part.replace(target)
    return target


@contextmanager
def one_line(source: Source, path: str = "") -> Iterator[None]:
    """What went wrong between this machine and the hub, in one line."""
    from huggingface_hub import constants, errors

    what = f"{source.place}: {source.repository}"
    again = "run the same command again: it goes on where it stopped"
    if constants.is_offline_mode():
        raise InputError(f"{what} {path}: is not here and HF_HUB_OFFLINE is set; unset it, or {_own_folder(source)}")
    try:
        yield
    except errors.GatedRepoError:
        page = f"{constants.ENDPOINT}/{source.repository}"
        raise InputError(f"{what} is gated: accept its terms at {page}, then set HF_TOKEN; {again}") from None
    except errors.RepositoryNotFoundError:
        raise InputError(f"{what}: no such repository at {constants.ENDPOINT}, or it is private (HF_TOKEN)") from None
    except errors.RevisionNotFoundError:
        raise InputError(f"{what}: the repository has no revision {source.revision}") from None
    except errors.EntryNotFoundError:
        raise InputError(f"{what}: the repository has no file {path} at revision {source.revision}") from None
    except errors.HfHubHTTPError as error:
        raise InputError(f"{what}: the server answered {error.response.status_code}; {again}") from None
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined] # the HTTP library's own base class
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the network
        kind = type(error).__name__
        raise InputError(f"{what} {path}: no connection to {constants.ENDPOINT} ({kind}); {again}") from None


def _own_folder(source: Source) -> str:
    return f"put its files into a folder {source.name} below the one that {VARIABLES[source.kind]} names"
