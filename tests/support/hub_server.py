"""A hub on this machine: the few endpoints that fetching uses, with what goes wrong on purpose."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

CHUNK = 10 * 1024 * 1024  # what huggingface_hub writes at a time
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server holds and does; `served` lists (path, first byte) of every file request."""

    files: dict[str, bytes] = field(default_factory=dict)
    licence: str = "mit"
    trouble: str = ""  # "gated", "missing", or a status
    cut: int | None = None  # end the next transfer after this many bytes
    stall: bool = False  # and keep the connection open then
    endpoint: str = ""
    served: list[tuple[str, int]] = field(default_factory=list)

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()

    def pins(self) -> dict[str, Any]:
        return {path: {"sha256": self.sha256(path), "bytes": len(content)} for path, content in self.files.items()}

    def listing(self) -> dict[str, Any]:
        files = [
            {"rfilename": path, "size": len(content), "lfs": {"sha256": self.sha256(path), "size": len(content)}}
            for path, content in self.files.items()
        ]
        for item in files:
            item["lfs"]["pointerSize"] = 134  # type: ignore[index]
        return {"id": "owner/name", "sha": REVISION, "siblings": files, "cardData": {"license": self.licence}}


def point_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does when a process starts."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Serve the files of the yielded hub as the repository owner/name."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            place = re.fullmatch(r"(?:/datasets)?/owner/name/resolve/([^/]+)/(.*)", self.path)
            if hub.trouble:
                self._refuse(hub.trouble)
            elif self.path.startswith("/api/"):
                self._send(json.dumps(hub.listing()).encode())
            elif place is None or place[1] != REVISION:
                self._refuse("RevisionNotFound")
            elif place[2] not in hub.files:
                self._refuse("EntryNotFound")
            else:
                self._file(place[2])

        def _refuse(self, trouble: str) -> None:
            status = {"gated": 403, "missing": 401}.get(trouble, 404)
            code = {"gated": "GatedRepo", "missing": "RepoNotFound"}.get(trouble, trouble)
            self.send_response(int(trouble) if trouble.isdigit() else status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _file(self, path: str) -> None:
            content = hub.files[path]
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(asked[1]) if asked else 0
            hub.served.append((path, first))
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - first))
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            end, hub.cut = hub.cut or len(content), None
            self.wfile.write(content[first:end])
            self.wfile.flush()
            if hub.stall:
                threading.Event().wait(60)
            if end < len(content):
                self.close_connection = True

    return Handler
