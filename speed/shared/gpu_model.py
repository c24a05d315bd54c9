"""What the GPU check trains: a model of Qwen2.5-1.5B's sizes with random weights, prompts of random tokens."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from shared.measure import run_config

from entrobench.config import Hardware
from entrobench.data.hub import ModelSizes
from entrobench.models.footprint import ALLOWANCE, peak_memory
from entrobench.training.answers import Prompt
from entrobench.training.assembly import assemble
from entrobench.training.trainer import Trainer


@dataclass(frozen=True)
class Size:
    """How large everything is; lengths in tokens."""

    sizes: ModelSizes
    words: int  # of the tokenizer; the embedding has more rows, as usual
    prompts: int
    group_size: int
    prompt: int
    response: int
    head_chunk: int
    kernel_rows: int
    host_rows: int  # of them, for contenders that take too long
    rounds: int


QWEN_1_5B = ModelSizes("qwen2", 1536, 28, 12, 2, 8960, 151_936, True)
FULL = Size(QWEN_1_5B, 151_665, 16, 8, 256, 512, 4096, 2048, 64, 5)
TINY = Size(ModelSizes("qwen2", 32, 2, 4, 2, 64, 512, True), 500, 4, 4, 8, 8, 16, 8, 4, 1)
SMALL = Size(  # for the parity check
    ModelSizes("qwen2", 256, 4, 8, 2, 1024, 8192, True), 8000, 8, 4, 16, 32, 64, 0, 0, 1
)


@dataclass(frozen=True)
class CoinVerdict:
    """Of no grader: an untrained model needs groups that are mixed."""

    correct: bool
    outcome: str

    @property
    def reward(self) -> float:
        return float(self.correct)


def coin(response: str, gold: str, finished: bool, key: str, problem: str) -> CoinVerdict:
    """Right for half of the answers, whatever they say; the same wherever it is asked."""
    correct = random.Random(key).random() < 0.5
    return CoinVerdict(correct, "correct" if correct else "wrong")


def save_model(size: Size, folder: Path, device: str) -> None:
    """Write weights (bfloat16, drawn on the device), a tokenizer of made-up words, and problems to `folder`."""
    from entrobench.data.datasets import prepare

    torch.manual_seed(0)
    with torch.device(device):
        model = build(size.sizes).to(torch.bfloat16)
    model.save_pretrained(folder / "model")
    tokenizer(size.words).save_pretrained(folder / "model")
    prepare("gpu-check", {"kind": "chain", "chain": {"operations": 1, "modulus": 5}}, folder / "data")


def build(sizes: ModelSizes) -> Any:
    """An untrained model of these sizes."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        hidden_size=sizes.hidden_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        intermediate_size=sizes.intermediate_size,
        vocab_size=sizes.vocabulary,
        tie_word_embeddings=sizes.tied,
        bos_token_id=0,
        eos_token_id=1,
    )
    return Qwen2ForCausalLM(config)


def tokenizer(words: int) -> Any:
    """Words w2, w3, ... after the begin and the end token, and digits for the problems."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<s>", "</s>", "<unk>", *map(str, range(10)), *(f"w{number}" for number in range(13, words))]
    made = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.WordPiece(prefix="##", cleanup=False)  # puts the spaces back
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def random_prompts(size: Size) -> list[Prompt]:
    """Prompts of random tokens, all of one length."""
    draw = random.Random(0)
    return [
        Prompt(f"prompt{number}", [0, *(draw.randrange(13, size.words) for _ in range(size.prompt - 1))], "0", "")
        for number in range(2 * size.prompts)
    ]


def hardware_for(size: Size, device: str, capacity: int | None) -> Hardware:
    """The largest micro-batch up to 8 whose peak the memory model lets fit; one sequence where none does."""
    fitting = []
    for micro_batch in (1, 2, 4, 8):
        hardware = Hardware(device=device, micro_batch=micro_batch, head_chunk=size.head_chunk)
        peak = peak_memory(size.sizes, trainer_config(size), hardware)
        if capacity is None or peak.bytes <= ALLOWANCE * capacity:
            fitting.append(hardware)
    return fitting[-1] if fitting else Hardware(device=device, micro_batch=1, head_chunk=size.head_chunk)


def settings(size: Size) -> dict[str, Any]:
    return {
        "steps": 1000,
        "prompts": size.prompts,
        "group_size": size.group_size,
        "updates": 2,
        "max_prompt_tokens": size.prompt,
        "max_response_tokens": size.response,
        "learning_rate": 1e-6,
        "warmup_updates": 0,
    }


def trainer_config(size: Size) -> Any:
    from entrobench.config import TrainerConfig

    return TrainerConfig(**settings(size))


def make_trainer(precision: str, method: str, size: Size, folder: Path, hardware: Hardware) -> Trainer:
    """Our trainer on the model in `folder`, with prompts of random tokens; `precision` is accelerate's name.

    Whatever accelerate remembers of an earlier trainer of this process goes.
    """
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    config = run_config(method, **settings(size))
    folders = folder / method, folder / "model", folder / "data"
    made = Trainer(assemble(config, *folders, hardware, coin, precision), {})
    made.parts.prompts = random_prompts(size)
    return made
