"""The rollout engine that a study names; a missing or wrong vLLM is reported before work starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.config import Hardware
from entrobench.errors import InputError
from entrobench.provenance import VLLM, vllm_version

if TYPE_CHECKING:
    import torch

    from entrobench.config import TrainerConfig
    from entrobench.distributed.ranks import Ranks
    from entrobench.models.language_model import Network

    from .rollout import Engine

ALONE = Hardware(engine_memory=0.9, engine_resident=True)  # ours: how vLLM runs where nothing trains beside it


def check_engine(name: str, where: str) -> None:
    """Raise InputError if this environment cannot run the engine."""
    found = vllm_version() if name == "vllm" else VLLM
    if found != VLLM:
        installed = f"{found} is installed" if found else "it is not installed"
        raise InputError(f"{where}: engine vllm needs vLLM {VLLM}, but {installed} here: see config/README.md, Engines")


def training_engine(
    network: Network,
    longest_prompt: int,
    config: TrainerConfig,
    hardware: Hardware,
    run_folder: Path,
    ranks: Ranks,
) -> Engine:
    """Make the engine that a run's config names.

    `longest_prompt` counts tokens. Raises InputError where the hardware settings do not suit it.
    """
    from entrobench.models.language_model import end_tokens, refuse_beyond_window

    from .rollout import NativeEngine

    model = network.model
    ends = end_tokens(model.generation_config, network.tokenizer)
    refuse_beyond_window(network.folder, longest_prompt, config.max_response_tokens)
    if config.engine == "native":
        return NativeEngine(model, ends, network.dtype, hardware.rollout_rows)
    longest = longest_prompt + config.max_response_tokens
    scratch = run_folder / ".weights"
    if config.engine == "vllm_server":
        from .vllm_server import VllmServer

        return VllmServer(hardware.engine_address, ends, longest, scratch, ranks)
    if ranks.count > 1:
        cure = "use engine vllm_server or native, or hardware.processes 1"
        raise InputError(
            f"{run_folder}/config.json: engine vllm samples for one process, not for {ranks.count}: {cure}"
        )
    check_engine(config.engine, f"{run_folder}/config.json")  # whoever trains, and however
    from .vllm_engine import VllmEngine

    device = next(model.parameters()).device
    return VllmEngine(network.folder, ends, device, network.dtype, hardware, longest, scratch)


def evaluation_engine(name: str, folder: Path, tokenizer: Any, device: torch.device, rows: int) -> Engine:
    """Make the engine `name` for the model in `folder`, in the floating-point type of evaluation on this device."""
    import torch

    from entrobench.models.language_model import end_tokens, generation_config, load_model

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    ends = end_tokens(generation_config(folder), tokenizer)
    if name == "vllm":
        from .vllm_engine import VllmEngine

        return VllmEngine(folder, ends, device, dtype, ALONE)
    from .rollout import NativeEngine

    return NativeEngine(load_model(folder, device), ends, dtype, rows)
