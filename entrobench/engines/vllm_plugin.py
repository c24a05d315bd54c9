"""The plug-in that vLLM loads in each of its processes (entry point `vllm.general_plugins`); it mends the CPU build."""

from __future__ import annotations

from typing import Any


def register() -> None:
    """On the CPU, keep the weights of linear layers where `reload_weights` finds them.

    The CPU build packs each weight matrix when the model is loaded, and multiplies by the packed copy. New weights are
    packed again layer by layer, but an output layer that shares its weights with the embedding is no layer of the
    checkpoint: without this, its packed copy silently stays that of the first model. On a GPU nothing is packed.
    """
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        from vllm.model_executor.layers import utils

        utils.dispatch_cpu_unquantized_gemm = _multiply_by_the_weight


def _multiply_by_the_weight(layer: Any, remove_weight: bool) -> None:
    from torch.nn.functional import linear

    layer.cpu_linear = linear
