"""The rollout engine that a study names; whether its vLLM is there is known before work starts."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.errors import InputError

if TYPE_CHECKING:
    import torch

    from entrobench.answers import Prompt
    from entrobench.config import Hardware, TrainerConfig
    from entrobench.ranks import Ranks
    from entrobench.rollout import Engine

VLLM = "0.32.0"  # the version that the engines were tested against


def lock_file() -> Path:
    """The file that holds the exact versions of this environment: one with vLLM has its own."""
    return Path("requirements-vllm.lock" if vllm_version() else "requirements.lock")


def vllm_version() -> str | None:
    """`vllm.__version__` without its local part, read without importing it; None where there is no vLLM.

    The CPU build is distributed under another name, so the package's own word counts and not its distribution's.
    """
    spec = find_spec("vllm")
    if spec is None or spec.origin is None:  # a mere folder of that name has no origin
        return None
    version: str = runpy.run_path(str(Path(spec.origin).with_name("_version.py")))["__version__"]
    return version.partition("+")[0]


def check_engine(name: str, where: str) -> None:
    """Raise InputError if this environment cannot run the engine."""
    found = vllm_version() if name == "vllm" else VLLM
    if found != VLLM:
        installed = f"{found} is installed" if found else "it is not installed"
        raise InputError(f"{where}: engine vllm needs vLLM {VLLM}, but {installed} here: see config/README.md, Engines")


def training_engine(
    model: Any,
    tokenizer: Any,
    model_folder: Path,
    prompts: Sequence[Prompt],
    dtype: torch.dtype,
    config: TrainerConfig,
    hardware: Hardware,
    run_folder: Path,
    ranks: Ranks,
) -> Engine:
    """Make the engine that a run's config names, for a model that was loaded from `model_folder`.

    Raises InputError where the hardware settings do not suit it.
    """
    from entrobench.model import end_tokens
    from entrobench.rollout import NativeEngine

    ends = end_tokens(model.generation_config, tokenizer)
    if config.engine == "native":
        return NativeEngine(model, ends, dtype, hardware.rollout_rows)
    longest = max(len(prompt.tokens) for prompt in prompts) + config.max_response_tokens
    scratch = run_folder / ".weights"
    if config.engine == "vllm_server":
        from entrobench.vllm_server import VllmServer

        return VllmServer(hardware.engine_address, ends, longest, scratch, ranks)
    if ranks.count > 1:
        cure = "use engine vllm_server or native, or hardware.processes 1"
        raise InputError(
            f"{run_folder}/config.json: engine vllm samples for one process, not for {ranks.count}: {cure}"
        )
    from entrobench.vllm_engine import VllmEngine

    device = next(model.parameters()).device
    share, devices, resident = hardware.engine_memory, hardware.engine_devices, hardware.engine_resident
    return VllmEngine(model_folder, ends, device, dtype, longest, share, devices, resident, scratch)


def evaluation_engine(name: str, folder: Path, tokenizer: Any, device: torch.device, rows: int) -> Engine:
    """Make the engine `name` for the model in `folder`, in the type that evaluation computes in on this device."""
    import torch

    from entrobench.model import end_tokens, generation_settings, load_model

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    ends = end_tokens(generation_settings(folder), tokenizer)
    if name == "vllm":
        from entrobench.vllm_engine import VllmEngine

        return VllmEngine(folder, ends, device, dtype)
    from entrobench.rollout import NativeEngine

    return NativeEngine(load_model(folder, device), ends, dtype, rows)
