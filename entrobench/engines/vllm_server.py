"""The engine `vllm_server`: a vLLM in another environment, asked over HTTP; weights reach it through a folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import torch

from entrobench.distributed.ranks import Ranks
from entrobench.errors import InputError
from entrobench.models.weights import weights_on_disk
from entrobench.provenance import VLLM

from .rollout import Completion, Sampling, refuse_unfit
from .vllm_engine import TOLERANCE, first_seed, vllm_options

ADDRESS = "ENTROBENCH_ENGINE_ADDRESS"  # this variable wins over hardware.engine_address
AT_ONCE = 64  # ours: requests under way, one prompt each
PATIENCE = 3600.0  # ours: seconds until an answer to a request


class VllmServer:
    """A running vLLM server, held by one run at a time."""

    def __init__(self, address: str, end_tokens: Sequence[int], longest: int, scratch: Path, ranks: Ranks) -> None:
        """Find the server and check how it was started; `longest` counts the tokens of prompt and answer together.

        `scratch` is a folder that the server can read. Raises InputError if no server of the right version answers, if
        it was started without what training needs, or another run samples through it.
        """
        self.address = os.environ.get(ADDRESS, address).rstrip("/")
        shown = re.sub("//[^/@]*@", "//", self.address)  # without a password, which must not get into logs
        self.where = f"engine: vllm_server at {shown}"
        self.end_tokens, self.scratch, self.ranks = list(end_tokens), scratch, ranks
        self.longest = longest
        self.dtype = self._check(longest)
        self.tolerance = TOLERANCE[self.dtype]
        self.model = self._ask("/v1/models")["data"][0]["id"]
        self.lock = self._lock() if ranks.first else None

    def load(self, model: Any) -> None:
        """Let the server read the model's weights from a file and forget what it cached under the old ones."""
        if self.ranks.first:
            with weights_on_disk(model, self.scratch, self.dtype) as folder:
                self._ask("/pause?mode=wait", {})
                self._ask("/collective_rpc", {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}})
            if not self._ask("/reset_prefix_cache", {})["success"]:
                raise RuntimeError(f"{self.where} did not drop what it had cached under the old weights")
            self._ask("/resume", {})
        self.ranks.wait()

    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, keys: Sequence[str], seed: str
    ) -> list[Completion]:
        """Sample n answers to each prompt; see `Engine`. Log-probabilities are left out where `sampling` truncates."""
        refuse_unfit(prompts, sampling.max_tokens, self.longest)
        count = 1 if sampling.temperature == 0 else n
        options = {"model": self.model, "n": count, "return_token_ids": True}
        options |= vllm_options(sampling, self.end_tokens)
        bodies = [
            {**options, "prompt": list(prompt), "seed": first_seed(seed, key)}
            for prompt, key in zip(prompts, keys, strict=True)
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = pool.map(lambda body: self._ask("/v1/completions", body)["choices"], bodies)
            return [_completion(choice) for choices in answers for choice in _in_order(choices) * (n // count)]

    def _check(self, longest: int) -> torch.dtype:
        """Refuse a server that cannot do what training needs; returns the type of its weights."""
        if not self.address.startswith(("http://", "https://")):
            raise InputError(f"{self.where}: an address starts with http:// or https://")
        found = self._ask("/version")["version"].partition("+")[0]
        if found != VLLM:
            raise InputError(f"{self.where}: it is vLLM {found}, but {VLLM} is needed")
        options = self._ask("/server_info?config_format=json")["vllm_config"]["model_config"]
        if options["logprobs_mode"] != "processed_logprobs":
            raise InputError(f"{self.where}: start it with --logprobs-mode processed_logprobs")
        if options.get("generation_config", "vllm") != "vllm" or options.get("override_generation_config"):
            raise InputError(f"{self.where}: start it with --generation-config vllm: it would change the sampling")
        if options["max_model_len"] < longest:
            raise InputError(f"{self.where}: start it with --max-model-len {longest} or more: prompt and answer")
        name = str(options["dtype"]).removeprefix("torch.")
        dtype = {str(known).removeprefix("torch."): known for known in TOLERANCE}.get(name)
        if dtype is None:
            raise InputError(f"{self.where}: start it with --dtype bfloat16 or float32, not {name}")
        return dtype

    def _lock(self) -> Any:
        """Hold the server for this run while the process lives: another run would change its weights."""
        name = hashlib.blake2b(self.address.encode(), digest_size=8).hexdigest()
        file = (Path(tempfile.gettempdir()) / f"entrobench-engine-{name}.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{self.where}: another run has it; give each run a server of its own") from None
        return file

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The server's answer to a GET, or to a POST of `body`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=PATIENCE) as response:
                return json.loads(response.read() or "null")
        except HTTPError as error:
            said = " ".join(error.read().decode(errors="replace").split())[:300]
            hint = "start it with VLLM_SERVER_DEV_MODE=1" if error.code == 404 else said
            raise InputError(f"{self.where}: {path} answers {error.code} {error.reason}; {hint}") from None
        except OSError as error:
            raise InputError(f"{self.where}: no answer ({error}); is it running? config/README.md says how") from None


def _in_order(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(choices, key=lambda choice: choice["index"])


def _completion(choice: dict[str, Any]) -> Completion:
    logps = choice["logprobs"]["token_logprobs"] if choice["logprobs"] else []
    return Completion(choice["token_ids"], logps, choice["finish_reason"])
