"""The memory model against bytes of tensors counted at three real model sizes, and what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from counted import storage_bytes, tensors_of
from tiny import run_config, tiny_model
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, Qwen2Config

from entrobench.config import Hardware, TrainerConfig
from entrobench.data.hub import ModelSizes
from entrobench.distributed.ranks import Ranks
from entrobench.distributed.sharding import Whole, shard
from entrobench.engines.native import NativeModel
from entrobench.errors import InputError
from entrobench.models.footprint import GIB, activation_bytes, parameters, peak_memory, refuse_too_small
from entrobench.training.refusals import check_machine

MODELS = {
    "0.5B": ModelSizes("qwen2", 896, 24, 14, 2, 4864, 151_936, True),
    "1.5B": ModelSizes("qwen2", 1536, 28, 12, 2, 8960, 151_936, True),
    "7B": ModelSizes("qwen2", 3584, 28, 28, 4, 18_944, 152_064, False),
}
TOKENS = 1024


@pytest.mark.parametrize("name", MODELS)
def test_weights_and_activations_against_counted_bytes(name: str) -> None:
    """No memory is touched: the model's tensors have shapes and no content."""
    sizes = MODELS[name]
    config = Qwen2Config(
        hidden_size=sizes.hidden_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        intermediate_size=sizes.intermediate_size,
        vocab_size=sizes.vocabulary,
        tie_word_embeddings=sizes.tied,
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
    assert parameters(sizes) == sum(weight.numel() for weight in model.parameters())
    transposed = shapes | {size[::-1] for size in shapes}
    counted = sum(t.untyped_storage().nbytes() for t in saved.values() if tuple(t.shape) not in transposed)
    assert activation_bytes(sizes, TOKENS) == pytest.approx(counted, rel=0.15)


def test_what_does_not_fit_is_refused_with_its_figure() -> None:
    peak = peak_memory(MODELS["7B"], TrainerConfig(max_response_tokens=3072), Hardware(micro_batch=1))
    with pytest.raises(InputError, match=r"here: [\w' ]+ takes \d+\.\d GiB \(.* alone .*of a GPU of 80\.0 GiB"):
        refuse_too_small(peak, 80 * GIB, "here")
    refuse_too_small(peak, 400 * GIB, "here")


@pytest.mark.parametrize(
    ("hardware", "cure"),
    [
        (Hardware(micro_batch=64), "activations alone .*: lower hardware.micro_batch"),
        (Hardware(micro_batch=1, rollout_rows=8192), "keys and values alone .*: lower hardware.rollout_rows"),
        (
            Hardware(micro_batch=1, rollout_rows=8, activation_checkpointing=True),
            "moments alone .*: it takes a larger GPU",
        ),
    ],
)
def test_the_line_names_the_setting_that_helps(hardware: Hardware, cure: str) -> None:
    peak = peak_memory(MODELS["1.5B"], TrainerConfig(prompts=1024, max_response_tokens=3072), hardware)
    with pytest.raises(InputError, match=cure):
        refuse_too_small(peak, 24 * GIB, "here")


def test_a_gpu_that_is_too_small_is_refused_before_anything_is_loaded(
    tiny_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that seems to have a GPU of one MiB."""
    monkeypatch.setattr("entrobench.models.language_model.resolve_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (2**19, 2**20))
    with pytest.raises(InputError, match=r"run/config.json: .* of a GPU of 0\.0 GiB tensors may fill"):
        check_machine(run_config(), tmp_path / "run", tiny_folders[0], Hardware())


@pytest.mark.parametrize(
    ("engine", "hardware", "held"),
    [
        ("vllm", Hardware(micro_batch=1), {"sampling"}),
        (
            "vllm",
            Hardware(micro_batch=1, engine_resident=True),
            {"update", "update's end", "optimizer", "sampling"},
        ),
        ("vllm_server", Hardware(micro_batch=1), set()),
    ],
)
def test_vllm_takes_its_share_of_the_gpu_and_no_engine_of_ours(engine: str, hardware: Hardware, held: set[str]) -> None:
    native, peak = (
        peak_memory(MODELS["1.5B"], TrainerConfig(max_response_tokens=3072, engine=name), hardware)
        for name in ("native", engine)
    )
    assert peak.vllm == dict.fromkeys(held, hardware.engine_memory)
    assert native.phases["update"]["engine"] > 3 * GIB
    for phase, parts in peak.phases.items():
        assert parts.get("engine") == 0
        assert phase == "sampling" or parts == native.phases[phase] | {"engine": 0}


def test_vllm_beside_the_weights_must_fit() -> None:
    """1.5B: 12 bytes a parameter, 17.3 GiB, stay while vLLM samples; with 24 GiB more, 40 are too few."""
    trainer = TrainerConfig(max_response_tokens=64, engine="vllm")
    peak = peak_memory(MODELS["1.5B"], trainer, Hardware(micro_batch=1, engine_memory=0.6))
    refuse_too_small(peak, 80 * GIB, "here")
    with pytest.raises(InputError, match=r"sampling takes .*vLLM alone 24\.0 GiB.*lower hardware.engine_memory"):
        refuse_too_small(peak, 40 * GIB, "here")


def test_sharding_and_checkpointing_lower_the_peak() -> None:
    trainer = TrainerConfig(max_response_tokens=3072)
    whole, sharded, recomputed = (
        peak_memory(MODELS["1.5B"], trainer, Hardware(micro_batch=4, **changes)).phases["update"]
        for changes in ({}, {"processes": 4, "weights": "sharded"}, {"activation_checkpointing": True})
    )
    assert sharded["moments"] < whole["moments"] / 2
    assert recomputed["activations"] < whole["activations"] / 4


@pytest.mark.parametrize("name", ["0.5B", "7B"])
def test_what_a_process_holds_of_sharded_weights(name: str) -> None:
    """The real sharding of a small model with the shape's proportions, among 4 processes that are only pretended."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    sizes = replace(MODELS[name], hidden_size=64, heads=4, kv_heads=2, intermediate_size=256, vocabulary=1000, layers=4)
    model = tiny_model(
        "qwen2",
        hidden_size=64,
        num_hidden_layers=4,
        intermediate_size=256,
        head_dim=16,
        vocab_size=1000,
        tie_word_embeddings=sizes.tied,
    )
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    try:
        whole = Whole(model, torch.bfloat16)
        shard(model, Ranks(0, 4))
        with whole.of(model) as copy:
            engine = NativeModel(copy, torch.bfloat16)
        own = [weight.to_local() if isinstance(weight, DTensor) else weight for weight in model.parameters()]
    finally:
        torch.distributed.destroy_process_group()
    parts = peak_memory(sizes, TrainerConfig(), Hardware(processes=4, weights="sharded")).phases["optimizer"]
    assert parts["master weights"] == pytest.approx(storage_bytes(own), rel=0.01)
    assert parts["engine"] == pytest.approx(storage_bytes(tensors_of([engine, *whole.copy.parameters()])), rel=0.01)
