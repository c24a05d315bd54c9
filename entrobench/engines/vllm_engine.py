"""The engine `vllm`: vLLM in the trainer's own process, its weights brought up to date before each step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from entrobench.config import Hardware
from entrobench.data.hub import window_in
from entrobench.models.weights import weights_on_disk

from .rollout import Completion, Sampling, refuse_unfit

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.3}  # ours, see config/README.md; nats per token
# Said with every request: what is left out is filled in from the model's generation_config.json.
NEUTRAL: dict[str, Any] = {
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "min_tokens": 0,
    "logit_bias": None,
    "bad_words": [],
}
CPU_CACHE = 1 << 30  # ours: bytes of keys and values on a CPU; on a GPU `memory` decides


class VllmEngine:
    """vLLM 0.32 in process, on the trainer's device or on several GPUs."""

    def __init__(
        self,
        folder: Path,
        end_tokens: Sequence[int],
        device: torch.device,
        dtype: torch.dtype,
        hardware: Hardware,
        longest: int | None = None,
        scratch: Path | None = None,
    ) -> None:
        """Load the model in `folder`; `longest` counts the tokens of prompt and answer together, None: what it can.

        Of the hardware settings `engine_memory` is the share of a GPU that vLLM takes for weights, keys and values,
        `engine_devices` how many GPUs share each layer; unless `engine_resident`, the GPU is given back after each
        `generate`. With several devices new weights go through a file in `scratch`.
        """
        self.end_tokens, self.device, self.scratch = list(end_tokens), device, scratch
        self.devices = hardware.engine_devices
        self.window = longest or window_in(folder)
        self.tolerance = TOLERANCE[dtype]
        self.dtype = dtype
        self.sleeps = device.type == "cuda" and not hardware.engine_resident
        self.asleep = False
        self.llm = _start(
            model=str(folder),
            dtype=str(dtype).removeprefix("torch."),
            max_model_len=longest,
            tensor_parallel_size=hardware.engine_devices,
            gpu_memory_utilization=hardware.engine_memory,
            enable_sleep_mode=self.sleeps,
            **({"enforce_eager": True, "kv_cache_memory_bytes": CPU_CACHE} if device.type == "cpu" else {}),
        )

    def load(self, model: Any) -> None:
        """Take over the model's weights and forget what was cached under the old ones.

        vLLM writes them into the storage its kernels and CUDA graphs use (`reload_weights`; its models' own
        `load_weights` is not safe on a running engine).
        """
        self._wake()
        if self.devices == 1:
            self._reload(weights_iterator=((name, weight.detach()) for name, weight in model.named_parameters()))
        else:  # its workers are processes of their own
            assert self.scratch is not None, "several devices need a folder for the weights"
            with weights_on_disk(model, self.scratch, self.dtype) as folder:
                self._reload(weights_path=str(folder))
        if not self.llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not drop what it had cached under the old weights")

    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, keys: Sequence[str], seed: str
    ) -> list[Completion]:
        """Sample n answers to each prompt; see `Engine`. Log-probabilities are left out where `sampling` truncates."""
        from vllm import SamplingParams

        refuse_unfit(prompts, sampling.max_tokens, self.window)
        count = 1 if sampling.temperature == 0 else n  # the greedy answer is the same each time, and vLLM wants n = 1
        options = [
            SamplingParams(**vllm_options(sampling, self.end_tokens), n=count, seed=first_seed(seed, key))
            for key in keys
        ]
        self._wake()
        with torch.autocast(self.device.type, enabled=False):  # the trainer's would cast what vLLM keeps in float32
            outputs = self.llm.generate([{"prompt_token_ids": list(p)} for p in prompts], options, use_tqdm=False)
        if self.sleeps:
            self.llm.sleep(level=1)  # weights wait in main memory: a step may sample again before it loads new ones
            self.asleep = True
        return [_completion(answer) for output in outputs for answer in output.outputs * (n // count)]

    def _reload(self, **source: Any) -> None:
        self.llm.collective_rpc("reload_weights", kwargs=source)

    def _wake(self) -> None:
        if self.asleep:
            torch.cuda.empty_cache()  # what the trainer has freed goes back to the GPU, where vLLM can take it
            self.llm.wake_up()
            self.asleep = False


def _start(**options: Any) -> Any:
    """vLLM's `LLM`, in this process and quiet; nothing is reported to anybody."""
    ours = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",  # it warns at every load of a layer without weights of its own
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the trainer's threads stay where they are
    }
    for name, value in ours.items():
        os.environ.setdefault(name, value)
    from vllm import LLM

    # processed: at the sampling temperature
    return LLM(
        generation_config="vllm",
        skip_tokenizer_init=True,
        logprobs_mode="processed_logprobs",
        use_tqdm_on_load=False,
        **options,
    )


def vllm_options(sampling: Sampling, end_tokens: Sequence[int]) -> dict[str, Any]:
    """Our sampling as vLLM's parameters, the same in process and over HTTP; only `end_tokens` end an answer."""
    truncates = sampling.top_k or sampling.top_p < 1  # log-probabilities would be those of the truncated distribution
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or -1,
        "max_tokens": sampling.max_tokens,
        **NEUTRAL,
        "stop_token_ids": list(end_tokens),
        "ignore_eos": True,
        "logprobs": None if truncates else 0,  # 0: of the sampled token alone
    }


def first_seed(seed: str, key: str) -> int:
    """The seed of a prompt's first answer; vLLM adds 1 for each further one. 62 bits, from the text alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()) >> 2


def _completion(answer: Any) -> Completion:
    tokens = list(answer.token_ids)
    places = zip(tokens, answer.logprobs or (), strict=False)
    return Completion(tokens, [place[token].logprob for token, place in places], answer.finish_reason)
