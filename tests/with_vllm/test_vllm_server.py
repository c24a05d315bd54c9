"""A real vLLM server process: what the engine in process does, over HTTP; one line for a server that does not do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine_checks import LONGEST, PROMPTS, assert_it_follows, change, drawn, mismatches, save, tokens, untrained
from tiny import END, run_config, save_data, tiny_trainer

from entrobench.config import Hardware
from entrobench.distributed.ranks import Ranks
from entrobench.engines.rollout import Sampling
from entrobench.engines.vllm_server import ADDRESS, VllmServer
from entrobench.errors import InputError

Start = Callable[..., VllmServer]


@dataclass
class Server:
    model: Any
    folder: Path
    address: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of an untrained chain-qwen (tied embeddings), started as config/README.md says."""
    root = tmp_path_factory.mktemp("server")
    model = untrained("chain-qwen")
    folder = save(model, root / "model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    options = ["--model", folder, "--host", "127.0.0.1", "--port", port, "--dtype", "float32", "--enforce-eager"]
    options += ["--max-model-len", LONGEST, "--logprobs-mode", "processed_logprobs", "--generation-config", "vllm"]
    options += ["--distributed-executor-backend", "uni"]  # one process less to start
    variables = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    variables |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [*module, *map(str, options)], stdout=log, stderr=log, cwd=root, env=os.environ | variables
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address, process, root / "log")
            yield Server(model, folder, address, process)
        finally:
            process.terminate()
            process.wait(120)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(900):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise AssertionError(log.read_text()[-3000:])


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Start:
    """Make an engine that talks to the server."""

    def made(address: str = server.address, longest: int = LONGEST) -> VllmServer:
        return VllmServer(address, [END], longest, tmp_path / "weights", Ranks())

    return made


def test_it_follows_the_weights_before_and_after_updates(server: Server, start: Start, tmp_path: Path) -> None:
    engine = start()
    engine.load(server.model)
    assert_it_follows(engine, server.model)
    before = drawn(engine)
    assert tokens(drawn(engine)) == tokens(before), "seeds and keys alone decide the tokens"
    change(server.model, 1)
    assert float(mismatches(server.model, before, 1.0).mean()) > 10 * engine.tolerance
    engine.load(server.model)
    assert not (tmp_path / "weights").exists()
    assert_it_follows(engine, server.model)


def test_it_draws_what_the_engine_in_process_draws(server: Server, start: Start, tmp_path: Path) -> None:
    import torch

    from entrobench.engines.vllm_engine import VllmEngine

    engine = start()
    engine.load(server.model)
    folder, cpu = save(server.model, tmp_path / "model"), torch.device("cpu")
    inside = VllmEngine(folder, [END], cpu, torch.float32, Hardware(), LONGEST)
    assert tokens(drawn(engine)) == tokens(drawn(inside))
    truncated = Sampling(top_p=0.9, top_k=5, max_tokens=6)
    found, expected = (one.generate(PROMPTS[:1], 8, truncated, ["x"], "0") for one in (engine, inside))
    assert found == expected
    assert found[0].logps == []


def test_a_server_that_does_not_do_is_one_line(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"start it with --max-model-len {LONGEST + 1} or more"):
        start(longest=LONGEST + 1)
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9: no answer .*refused.* is it running"):
        start("http://127.0.0.1:9")
    with pytest.raises(InputError, match="an address starts with http"):
        start("file:///etc/passwd")
    holder = start()
    with pytest.raises(InputError, match="another run has it; give each run a server of its own"):
        start()
    assert holder.lock is not None
    holder.lock.close()
    monkeypatch.setenv(ADDRESS, "http://127.0.0.1:9/")
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9: no answer"):
        start()


def test_a_run_trains_through_it_until_it_dies(server: Server, tmp_path: Path) -> None:
    config = run_config("aent", steps=3, engine="vllm_server", rollout_correction=2.0)
    data = save_data(tmp_path / "data")
    arguments = (server.folder, data, tmp_path / "run", config)
    trainer = tiny_trainer(*arguments, engine_address=server.address)
    rows = trainer.run()
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all(0 < row["rollout_mismatch"] < 1e-5 for row in rows)
    assert all(row["rollout_weight"] == pytest.approx(1, abs=1e-5) for row in rows)
    trainer.parts.collector.engine.lock.close()
    server.process.terminate()
    server.process.wait(30)
    with pytest.raises(InputError, match=r"vllm_server at http.*: no answer"):
        tiny_trainer(*arguments, engine_address=server.address)
    with pytest.raises(InputError, match=r"vllm_server at http.*: no answer"):
        trainer.parts.collector.engine.load(trainer.parts.model)
    assert (tmp_path / "run" / "checkpoints" / "step000002" / "state.json").exists()
