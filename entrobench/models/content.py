"""What a model folder holds, as one hash: a model of this machine is known by its content, not by its path."""

from __future__ import annotations

import json
from pathlib import Path

from entrobench.config import canonical_hash
from entrobench.files import write_whole
from entrobench.provenance import sha256_file
from entrobench.results import RESULTS

CACHE = RESULTS.model_contents  # hashes by path, size and time of change, so that planning stays fast
PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "additional_chat_templates/*.jinja")
NO_INPUT = ("model.json",)  # ours, written when a base model is made


def content_sha256(folder: Path) -> str:
    """SHA-256 (hex) of a model folder's config, tokenizer and weights: names and contents of all files that count."""
    known = _read_cache()
    found = {}
    for path in sorted({path for pattern in PATTERNS for path in folder.glob(pattern)}):
        if path.name not in NO_INPUT and path.is_file():
            found[path.relative_to(folder).as_posix()] = _sha256(path.resolve(), known)
    return canonical_hash(found)


def _sha256(path: Path, known: dict[str, str]) -> str:
    stat = path.stat()
    key = f"{path}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
    if key not in known:
        known[key] = sha256_file(path)
        _write_cache(known)
    return known[key]


def _read_cache() -> dict[str, str]:
    """The hashes that are known; none where the file is not there or another program has damaged it."""
    try:
        content = json.loads(CACHE.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}


def _write_cache(known: dict[str, str]) -> None:
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    write_whole(CACHE, json.dumps(known, indent=1))
