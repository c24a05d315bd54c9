"""What this machine cannot train is refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from entrobench.catalogue.registry import load_method
from entrobench.config import Hardware
from entrobench.data.hub import sizes_in
from entrobench.engines.choice import check_engine
from entrobench.models.footprint import peak_memory, refuse_too_small
from entrobench.run_config import RunConfig


def check_machine(config: RunConfig, folder: Path, model_folder: Path, hardware: Hardware) -> None:
    """Raise InputError where the run's engine is not installed or the GPU is too small.

    `folder` is the run's, `model_folder` that of its base model.
    """
    import torch

    from entrobench.models.language_model import resolve_device

    where = f"{folder}/config.json"
    check_engine(config.trainer.engine, where)
    device = resolve_device(hardware.device)
    if device.type == "cuda":
        reference = bool(load_method(config.method.use, where).reference or config.trainer.kl_reward)
        peak = peak_memory(sizes_in(model_folder), config.trainer, hardware, reference)
        refuse_too_small(peak, torch.cuda.mem_get_info(device)[1], where)
