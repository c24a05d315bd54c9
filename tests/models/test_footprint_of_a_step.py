"""The memory model against bytes counted in a whole step of the real trainer, phase by phase, at three sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState
from counted import Counted, phased, storage_bytes, tensors_of
from tiny import coin_reward, run_config, save_data, tiny_model, tiny_tokenizer

from entrobench.config import Hardware
from entrobench.data.hub import sizes_in
from entrobench.engines.native import Cache, NativeModel
from entrobench.entropy import row_statistics
from entrobench.models.footprint import peak_memory
from entrobench.training import experience, trainer
from entrobench.training.assembly import assemble

SIZES = {
    "1M": {"hidden_size": 160, "num_hidden_layers": 3, "intermediate_size": 480, "vocab_size": 1024},
    "10M": {"hidden_size": 320, "num_hidden_layers": 8, "intermediate_size": 1024, "vocab_size": 4096},
    "24M": {"hidden_size": 384, "num_hidden_layers": 8, "intermediate_size": 1152, "vocab_size": 12288},
}
SETTINGS = {
    "whole": {},
    "recomputed": {"activation_checkpointing": True},
    "in one piece": {"micro_batch": 8},
    "by tokens": {"micro_batch": 8, "micro_batch_tokens": 150},
    "at a temperature": {"temperature": 0.7},
}
TIED = {"24M": False}
PHASES = {  # of the counter -> of the model
    "update": ("update", "update's end"),
    "optimizer": ("optimizer",),
    "prefill": ("prefill",),
    "rollout": ("decoding",),
    "compaction": ("compaction",),
}


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Make a bfloat16 trainer of a size, whose answers have the greatest length."""

    def made(size: str, **changes: Any) -> Any:
        model = tiny_model(
            "qwen2",
            **SIZES[size],
            num_attention_heads=8,
            head_dim=SIZES[size]["hidden_size"] // 8,
            tie_word_embeddings=TIED.get(size, True),
        )
        model.save_pretrained(tmp_path / "model")
        tiny_tokenizer().save_pretrained(tmp_path / "model")
        lengths = {"max_response_tokens": 60, "max_prompt_tokens": 6, "temperature": changes.pop("temperature", 1.0)}
        config = run_config("aent", prompts=4, group_size=4, updates=2, **lengths)
        hardware = Hardware(**{"device": "cpu", "micro_batch": 4, "head_chunk": 64, "rollout_rows": 16, **changes})
        AcceleratorState._reset_state(True)
        folders = tmp_path / "run", tmp_path / "model", save_data(tmp_path / "data")
        found = trainer.Trainer(assemble(config, *folders, hardware, coin_reward, "bf16"), {})  # as on a GPU
        found.parts.collector.engine.end_tokens = []
        return found, sizes_in(tmp_path / "model"), hardware

    yield made
    AcceleratorState._reset_state(True)


def count(made: Any, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Count a second step: the first one makes the optimizer's moments."""
    engine = made.parts.collector.engine
    counted = Counted([*made.parts.model.parameters(), *tensors_of(engine.model)])
    phases = [
        (engine, "generate", "rollout"),
        (NativeModel, "prefill", "prefill"),
        (Cache, "select", "compaction"),
        (experience, "frozen_forward", "old"),
        (trainer, "accumulate_gradients", "update"),
        (made, "_optimizer_step", "optimizer"),
    ]
    for owner, name, phase in phases:
        phased(counted, owner, name, phase, monkeypatch)
    buffers = row_statistics._buffers

    def uncounted(*arguments: Any) -> Any:
        with counted.paused():  # the CPU's blocks, which the GPU's kernels do not have
            return buffers(*arguments)

    monkeypatch.setattr(row_statistics, "_buffers", uncounted)
    with counted:
        for made.position.step in (1, 2):
            counted.peaks.clear()
            made._one_step()
    return counted


@pytest.mark.parametrize(
    ("size", "setting"),
    [
        ("1M", "whole"),
        ("10M", "whole"),
        pytest.param("24M", "whole", marks=pytest.mark.slow),
        *(("1M", name) for name in SETTINGS if name != "whole"),
    ],
)
def test_every_phase_of_a_step_against_counted_bytes(
    size: str, setting: str, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, sizes, hardware = make(size, **SETTINGS[setting])
    counted = count(made, monkeypatch)
    model = peak_memory(sizes, made.parts.config, hardware)
    bytes_of = {phase: sum(parts.values()) for phase, parts in model.phases.items()}
    parts = model.phases["optimizer"]
    moments = [value for state in made.parts.optimizer.state.values() for value in state.values() if value.dim()]
    assert parts["master weights"] == storage_bytes(made.parts.model.parameters())
    assert parts["moments"] == storage_bytes(moments)
    assert parts["engine"] == pytest.approx(storage_bytes(tensors_of(made.parts.collector.engine.model)), rel=0.01)
    for phase, names in PHASES.items():
        assert max(bytes_of[name] for name in names) == pytest.approx(counted.peaks[phase], rel=0.15), phase
    assert model.bytes == pytest.approx(max(counted.peaks.values()), rel=0.15)
