"""The memory model against bytes of tensors counted at three real model sizes, and what does not fit."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from transformers import AutoModelForCausalLM, Qwen2Config

from entrobench.config import Hardware, TrainerConfig
from entrobench.errors import InputError
from entrobench.footprint import GIB, activation_bytes, parameters, peak_memory, refuse_too_small
from entrobench.hub import Shape

SHAPES = {
    "0.5B": Shape("qwen2", 896, 24, 14, 2, 4864, 151_936, True),
    "1.5B": Shape("qwen2", 1536, 28, 12, 2, 8960, 151_936, True),
    "7B": Shape("qwen2", 3584, 28, 28, 4, 18_944, 152_064, False),
}
TOKENS = 1024


@pytest.mark.parametrize("name", SHAPES)
def test_weights_and_activations_against_counted_bytes(name: str) -> None:
    """No memory is touched: the model's tensors have shapes and no content."""
    shape = SHAPES[name]
    config = Qwen2Config(
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate_size,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
    )
    saved: dict[int, torch.Tensor] = {}
    with FakeTensorMode():
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        weights = {weight.untyped_storage()._cdata for weight in model.parameters()}
        shapes = {tuple(weight.shape) for weight in model.parameters()}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.untyped_storage()._cdata not in weights:
                saved[tensor.untyped_storage()._cdata] = tensor
            return tensor

        with torch.autocast("cpu", torch.bfloat16), saved_tensors_hooks(keep, lambda tensor: tensor):
            tokens = torch.zeros(1, TOKENS, dtype=torch.long)
            model.base_model(input_ids=tokens, attention_mask={"full_attention": None}, use_cache=False)
    assert parameters(shape) == sum(weight.numel() for weight in model.parameters())
    transposed = shapes | {size[::-1] for size in shapes}
    counted = sum(t.untyped_storage().nbytes() for t in saved.values() if tuple(t.shape) not in transposed)
    assert activation_bytes(shape, TOKENS) == pytest.approx(counted, rel=0.15)


def test_what_does_not_fit_is_refused_with_its_figure() -> None:
    peak = peak_memory(SHAPES["7B"], TrainerConfig(max_response_tokens=3072), Hardware(micro_batch=1))
    with pytest.raises(InputError, match=r"here: \w+ takes \d+\.\d GiB \(.* alone .*of a GPU of 80\.0 GiB"):
        refuse_too_small(peak, 80 * GIB, "here")
    refuse_too_small(peak, 400 * GIB, "here")


def test_sharding_and_checkpointing_lower_the_peak() -> None:
    trainer = TrainerConfig(max_response_tokens=3072)
    whole = peak_memory(SHAPES["1.5B"], trainer, Hardware(micro_batch=4)).update
    sharded = peak_memory(SHAPES["1.5B"], trainer, Hardware(micro_batch=4, processes=4, weights="sharded")).update
    recomputed = peak_memory(SHAPES["1.5B"], trainer, Hardware(micro_batch=4, activation_checkpointing=True)).update
    assert sharded["moments"] == pytest.approx(whole["moments"] / 4, abs=8)
    assert recomputed["activations"] < whole["activations"] / 4
