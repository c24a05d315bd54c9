"""Pinned files of a hub: found, downloaded, gone on with, refused; against a server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_server import CHUNK, REVISION, Hub, point_at

from entrobench.data.fetch import Source, check_source, fetch
from entrobench.errors import InputError


def source(hub: Hub, **changed: Any) -> Source:
    values = {"repository": "owner/name", "revision": REVISION, "files": hub.pins(), "licence": "mit", **changed}
    return check_source("models", "mine", **values)


def quiet(line: str) -> None:
    pass


def test_every_file_is_downloaded_checked_and_then_found(hub: Hub) -> None:
    found = fetch(source(hub), quiet)
    assert {path: file.read_bytes() for path, file in found.items()} == hub.files
    assert fetch(source(hub), quiet) == found
    assert len(hub.served) == 2, "the second time nothing is asked of the server"


def test_the_transfer_goes_on_within_a_process_when_the_connection_breaks(hub: Hub) -> None:
    hub.files = {"w.safetensors": random.Random(1).randbytes(CHUNK + 5)}
    hub.cut = CHUNK + 1
    file = fetch(source(hub), quiet)["w.safetensors"]
    assert file.read_bytes() == hub.files["w.safetensors"]
    assert hub.served[0] == ("w.safetensors", 0)
    assert hub.served[1][1] >= CHUNK


def test_a_killed_process_loses_nothing(hub: Hub, tmp_path: Path) -> None:
    """A real process, killed in the middle of a transfer; the next one asks only for the rest."""
    hub.files = {"w.safetensors": random.Random(2).randbytes(3 * CHUNK)}
    hub.cut, hub.stall = 2 * CHUNK + 7, True
    code = (
        "import json, sys; from entrobench.data.fetch import check_source, fetch\n"
        "fetch(check_source('models', 'mine', 'owner/name', sys.argv[1], json.loads(sys.argv[2]), 'mit'))"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", code, REVISION, json.dumps(hub.pins())]
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = Path("results/downloads/models/mine")
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size >= 2 * CHUNK for part in folder.glob("*.part")):
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.05)
    first.kill()
    first.wait()
    hub.stall = False
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"from byte {2 * CHUNK:,} on" in done.stdout
    assert hub.served == [("w.safetensors", 0), ("w.safetensors", 2 * CHUNK)]
    assert (folder / "w.safetensors").read_bytes() == hub.files["w.safetensors"]
    assert not list(folder.glob("*.part"))


def test_a_wrong_hash_is_one_line_and_the_other_files_stay(hub: Hub) -> None:
    pins = hub.pins()
    pins["weights/w.safetensors"]["sha256"] = "0" * 64
    with pytest.raises(InputError) as raised:
        fetch(source(hub, files=pins), quiet)
    assert "weights/w.safetensors of owner/name came with the wrong SHA-256" in str(raised.value)
    assert "\n" not in str(raised.value)
    folder = Path("results/downloads/models/mine")
    assert [file.name for file in folder.rglob("*") if file.is_file()] == ["a.json"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("gated", "owner/name is gated: accept its terms at http://127.0.0.1"),
        ("missing", "no such repository at http://127.0.0.1"),
        ("RevisionNotFound", f"has no revision {REVISION}"),
        ("EntryNotFound", "has no file a.json at revision"),
        ("503", "the server answered 503"),
    ],
)
def test_what_the_server_refuses_is_one_line(hub: Hub, trouble: str, said: str) -> None:
    hub.trouble = trouble
    with pytest.raises(InputError) as raised:
        fetch(source(hub), quiet)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "config/models/mine.yaml" in str(raised.value)


def test_no_network_is_one_line(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)  # nobody listens there
    with pytest.raises(InputError, match=r"no connection to http://127.0.0.1:9 .*goes on where it stopped"):
        fetch(source(hub), quiet)


def test_offline_uses_what_is_here_and_says_what_is_not(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = source(hub)
    fetch(whole, quiet)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert len(fetch(whole, quiet)) == 2
    (Path("results/downloads/models/mine") / "a.json").unlink()
    with pytest.raises(InputError, match=r"a\.json: is not here and HF_HUB_OFFLINE is set; .*ENTROBENCH_MODELS"):
        fetch(whole, quiet)


@pytest.mark.parametrize("folder", ["mine", "owner/name"])
def test_the_users_own_folder_comes_first(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    own = tmp_path / "own" / folder
    for path, content in hub.files.items():
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        (own / path).write_bytes(content)
    monkeypatch.setenv("ENTROBENCH_MODELS", str(tmp_path / "own"))
    assert fetch(source(hub), quiet)["a.json"] == own / "a.json"
    assert not hub.served
    (own / "a.json").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"own/.*a\.json: wrong SHA-256: expected .*config/models/mine\.yaml"):
        fetch(source(hub), quiet)


def test_the_hubs_cache_is_honoured(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "cache" / "models--owner--name" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "a.json").write_bytes(hub.files["a.json"])
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", _in_cache(tmp_path / "cache", hub), raising=True)
    assert fetch(source(hub), quiet)["a.json"] == snapshot / "a.json"
    assert [path for path, _ in hub.served] == ["weights/w.safetensors"]


def _in_cache(cache: Path, hub: Hub) -> Callable[..., Any]:
    from huggingface_hub import try_to_load_from_cache

    return lambda *arguments, **named: try_to_load_from_cache(*arguments, cache_dir=cache, **named)


def test_what_is_not_pinned_is_refused_with_the_command_that_pins_it(hub: Hub) -> None:
    with pytest.raises(InputError, match=r"config/models/mine\.yaml: .*not pinned; .*`entrobench pin mine`"):
        fetch(source(hub, revision="UNKNOWN", files={}), quiet)
    assert not hub.served


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"repository": "nameless"}, "repository must be owner/name"),
        ({"licence": ""}, "'licence' is missing"),
        ({"revision": "main"}, "revision must be a commit of 40 hexadecimal digits or UNKNOWN"),
        ({"files": {"../a.json": {}}}, "leads out of the repository"),
        ({"files": {"/a.json": {}}}, "leads out of the repository"),
        ({"files": {"weights.bin": {}}}, "not of a kind that is read safely"),
        ({"files": {"modeling.py": {}}}, "not of a kind that is read safely"),
        ({"files": {"a.json": {"sha256": "abc", "bytes": 1}}}, "sha256 must be 64 hexadecimal digits"),
        ({"files": {"a.json": {"sha265": "abc"}}}, "did you mean 'sha256'"),
    ],
)
def test_a_wrong_recipe_is_refused(hub: Hub, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        source(hub, **changed)
    assert said in str(raised.value)


def test_the_helper_server_hashes_as_hashlib_does(hub: Hub) -> None:
    assert hub.sha256("a.json") == hashlib.sha256(b'{"a": 1}').hexdigest()
