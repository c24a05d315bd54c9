"""Models of a few thousand weights, a tokenizer of the task's words, and what a run of the trainer needs."""

from __future__ import annotations

import os
import signal
import time
import zlib
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from entrobench.config import Hardware, TrainerConfig, parse
from entrobench.data.datasets import prepare
from entrobench.run_config import RunConfig, RunDataset, RunModel, Variant
from entrobench.training.assembly import assemble
from entrobench.training.trainer import Trainer

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
WORDS = (*SPECIAL, *map(str, range(10)), *"+-*=;", "\\boxed{", "}", *(f"w{number}" for number in range(43)))
PAD, BEGIN, END, UNKNOWN = range(4)
BODY = range(4, len(WORDS))  # prompts in tests are made of these

CLASSES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM"),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
    "mistral": ("MistralConfig", "MistralForCausalLM"),
}


def tiny_model(family: str = "llama", seed: int = 0, spread: float = 0.2, **changes: Any) -> Any:
    """An untrained model; norms and biases are random as well, so that a forgotten one shows."""
    import transformers

    settings = {
        "vocab_size": len(WORDS),
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 6,
        "max_position_embeddings": 128,
        "pad_token_id": PAD,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        **changes,
    }
    config_name, model_name = CLASSES[family]
    model = getattr(transformers, model_name)(getattr(transformers, config_name)(**settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1 + 0.3 * noise if "norm" in name else spread * noise)
    return model.eval()


def exact(model: Any) -> Any:
    """The model in float64 throughout: transformers' norms would round to float32 inside."""
    model = model.double()
    for parent in list(model.modules()):
        for name, norm in list(parent.named_children()):
            if type(norm).__name__.endswith("RMSNorm"):
                replaced = torch.nn.RMSNorm(len(norm.weight), norm.variance_epsilon, dtype=torch.float64)
                replaced.weight = norm.weight
                setattr(parent, name, replaced)
    return model


def tiny_tokenizer() -> Any:
    """Every word of WORDS is a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def save_tiny(folder: Path, family: str = "llama", **changes: Any) -> Path:
    """A model folder in the usual format."""
    tiny_model(family, **changes).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def save_data(folder: Path) -> Path:
    """The 50 problems of one operation modulo 5, prepared."""
    prepare("tiny", {"kind": "chain", "chain": {"operations": 1, "modulus": 5}}, folder)
    return folder


@dataclass(frozen=True)
class Judged:
    """A verdict of the test's reward."""

    correct: bool
    outcome: str

    @property
    def reward(self) -> float:
        return float(self.correct)


def coin_reward(response: str, gold: str, finished: bool, key: str, problem: str) -> Judged:
    """Right for about two responses in five, whatever they say: untrained models need mixed groups."""
    correct = zlib.crc32(f"{response}/{gold}/{finished}".encode()) % 5 < 2
    return Judged(correct, "correct" if correct else "wrong")


def run_config(method: str = "grpo", seed: int = 0, values: dict[str, Any] | None = None, **trainer: Any) -> RunConfig:
    """A run's config, as it is read from config.json."""
    settings = {"steps": 4, "prompts": 4, "group_size": 4, "updates": 2, "max_response_tokens": 6, "warmup_updates": 3}
    return RunConfig(
        model=RunModel("tiny", "m"),
        dataset=RunDataset("tiny", "d", "{problem}"),
        method=Variant(method, method, values or {}),
        seed=seed,
        trainer=parse(TrainerConfig, {**settings, "learning_rate": 1e-2, **trainer}, "config.json: trainer"),
    )


def tiny_trainer(model: Path, data: Path, folder: Path, config: RunConfig, **hardware: Any) -> Trainer:
    """The real trainer on the CPU with the coin reward; method and seed alone say whose checkpoints are its own."""
    chosen = Hardware(**{"device": "cpu", "micro_batch": 4, "checkpoint_every": 1, **hardware})
    identity = {"config_hash": f"{config.method.name} of seed {config.seed}", "method_source": "new"}
    return Trainer(assemble(config, folder, model, data, chosen, coin_reward), identity)


def kill_once_there(child: BaseProcess, path: Path) -> None:
    """Wait until the process has made a file or folder, then kill it."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert child.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL


def weights(trainer: Trainer) -> Tensor:
    """All parameters in one row."""
    return torch.cat([weight.detach().flatten() for weight in trainer.parts.model.parameters()])
