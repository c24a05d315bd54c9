"""A model's weights as tensors by name: read whole, put back, written where an engine reads them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from entrobench.distributed.sharding import full, like
from entrobench.errors import InputError


def model_tensors(model: Any) -> dict[str, Tensor]:
    """A model's parameters and persistent buffers: tied ones once, sharded ones whole (all processes must call it)."""
    tied = set(getattr(model, "all_tied_weights_keys", None) or {})
    return {key: full(value) for key, value in model.state_dict().items() if key not in tied}


@contextmanager
def weights_on_disk(model: Any, folder: Path, dtype: torch.dtype) -> Iterator[Path]:
    """A model's weights in this type as <folder>/model.safetensors, for an engine in another process.

    Gives the folder's absolute path; the folder is removed afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in model_tensors(model).items()}
    save_file(tensors, folder / "model.safetensors")
    try:
        yield folder.resolve()
    finally:
        shutil.rmtree(folder)


def restore_model(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Load `model_tensors` into a model; tied weights follow since they share storage."""
    places = model.state_dict()
    cut = {key: like(value, places[key]) if key in places else value for key, value in tensors.items()}
    missing, unexpected = model.load_state_dict(cut, strict=False)
    left = set(missing) - set(getattr(model, "all_tied_weights_keys", None) or {})
    if left or unexpected:
        raise InputError(f"checkpoint does not fit the model: missing {sorted(left)}, unexpected {sorted(unexpected)}")
