"""What engine `vllm_server` asks a server, and one line for one that will not do; tests/with_vllm has a real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from tiny import END, tiny_model

from entrobench.distributed.ranks import Ranks
from entrobench.engines.rollout import Completion, Sampling
from entrobench.engines.vllm_server import ADDRESS, VllmServer
from entrobench.errors import InputError

GOOD = {"logprobs_mode": "processed_logprobs", "max_model_len": 64, "dtype": "torch.float32"}


class Double:
    """A server that keeps what it is asked and gives fixed answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[str, Any] = {
            "/version": {"version": "0.32.0+cpu"},
            "/server_info?config_format=json": {"vllm_config": {"model_config": dict(GOOD)}},
            "/v1/models": {"data": [{"id": "the-model"}]},
            "/pause?mode=wait": {},
            "/collective_rpc": {"results": [None]},
            "/reset_prefix_cache": {"success": True},
            "/resume": {},
        }
        self.address = ""

    def answer(self, path: str, body: Any) -> Any:
        self.asked.append((path, body))
        if path != "/v1/completions":
            return self.answers.get(path)
        choices = [
            {"index": i, "token_ids": [9, i], "finish_reason": "stop", "logprobs": {"token_logprobs": [-0.5, -i]}}
            for i in range(body["n"])
        ]
        return {"choices": choices[::-1]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    double = Double()
    monkeypatch.delenv(ADDRESS, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy would not find the node next door

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            found = double.answer(self.path, json.loads(self.rfile.read(size)) if size else None)
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        do_POST = do_GET

        def log_message(self, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        double.address = f"http://127.0.0.1:{http.server_port}"
        yield double
        http.shutdown()


def engine(server: Double, folder: Path, longest: int = 64) -> VllmServer:
    return VllmServer(server.address + "/", [END], longest, folder / "weights", Ranks())


def test_each_prompt_is_one_request_with_a_seed_of_its_own(server: Double, tmp_path: Path) -> None:
    made = engine(server, tmp_path)
    prompts = [[5, 6], [7]]
    found = made.generate(prompts, 3, Sampling(temperature=0.7, max_tokens=8), ["a", "b"], "0/1")
    assert found == [Completion([9, i], [-0.5, -i], "stop") for _ in prompts for i in range(3)]
    bodies = sorted((body for path, body in server.asked if path == "/v1/completions"), key=lambda b: b["prompt"])
    assert [body["prompt"] for body in bodies] == prompts
    assert bodies[0]["seed"] != bodies[1]["seed"]
    expected = {"model": "the-model", "n": 3, "temperature": 0.7, "top_p": 1.0, "top_k": -1, "max_tokens": 8}
    expected |= {"stop_token_ids": [END], "ignore_eos": True, "logprobs": 0, "return_token_ids": True}
    # said outright: the model's generation_config.json would fill in what is left out
    expected |= {"min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    expected |= {"min_tokens": 0, "logit_bias": None, "bad_words": []}
    assert expected.items() <= bodies[0].items()
    greedy = made.generate(prompts[:1], 3, Sampling(temperature=0), ["a"], "0")
    assert server.asked[-1][1]["n"] == 1
    assert greedy == [greedy[0]] * 3


def test_weights_are_loaded_between_pause_and_resume(server: Double, tmp_path: Path) -> None:
    made = engine(server, tmp_path)
    server.asked.clear()
    made.load(tiny_model())
    paths = [path for path, _ in server.asked]
    assert paths == ["/pause?mode=wait", "/collective_rpc", "/reset_prefix_cache", "/resume"]
    reload = {"method": "reload_weights", "kwargs": {"weights_path": str(tmp_path / "weights")}}
    assert server.asked[1][1] == reload
    assert not (tmp_path / "weights").exists()
    server.answers["/reset_prefix_cache"] = {"success": False}
    with pytest.raises(RuntimeError, match="did not drop what it had cached"):
        made.load(tiny_model())


def test_bfloat16_is_allowed_more_than_float32(server: Double, tmp_path: Path) -> None:
    made = engine(server, tmp_path)
    assert (made.dtype, made.tolerance) == (torch.float32, 1e-4)
    assert made.lock is not None
    made.lock.close()
    server.answers["/server_info?config_format=json"]["vllm_config"]["model_config"]["dtype"] = "bfloat16"
    assert engine(server, tmp_path).tolerance == 0.3


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dtype": "torch.float16"}, "start it with --dtype bfloat16 or float32, not float16"),
        ({"logprobs_mode": "raw_logprobs"}, "start it with --logprobs-mode processed_logprobs"),
        ({"max_model_len": 63}, "start it with --max-model-len 64 or more"),
        ({"generation_config": "auto"}, "start it with --generation-config vllm"),
        ({"override_generation_config": {"min_p": 0.1}}, "start it with --generation-config vllm"),
    ],
)
def test_a_server_started_otherwise_is_one_line(
    changed: dict[str, Any], told: str, server: Double, tmp_path: Path
) -> None:
    server.answers["/server_info?config_format=json"]["vllm_config"]["model_config"] |= changed
    with pytest.raises(InputError, match=rf"^engine: vllm_server at {server.address}: {told}"):
        engine(server, tmp_path)


def test_another_version_another_run_and_no_development_mode(server: Double, tmp_path: Path) -> None:
    holder = engine(server, tmp_path)
    with pytest.raises(InputError, match="another run has it; give each run a server of its own"):
        engine(server, tmp_path)
    assert holder.lock is not None
    holder.lock.close()
    server.answers["/server_info?config_format=json"] = None
    with pytest.raises(InputError, match=r"answers 404 Not Found; start it with VLLM_SERVER_DEV_MODE=1"):
        engine(server, tmp_path)
    server.answers["/version"] = {"version": "0.31.0"}
    with pytest.raises(InputError, match=r"it is vLLM 0\.31\.0, but 0\.32\.0 is needed"):
        engine(server, tmp_path)


def test_no_server_and_no_address(tmp_path: Path, server: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9: no answer .*refused.* is it running"):
        engine(server, tmp_path)
    monkeypatch.setenv(ADDRESS, "file:///etc/passwd")
    with pytest.raises(InputError, match="an address starts with http"):
        engine(server, tmp_path)
