"""Loading models and tokenizers, and the two forwards on which everything else is built."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from entrobench.data.hub import sizes_in, window_in
from entrobench.errors import InputError
from entrobench.json_lines import read_json

from .chat import chat_prompt, refuse_clock


@dataclass(frozen=True)
class Network:
    """A model with its tokenizer as loaded from `folder`; `dtype` is the type that its forwards compute in."""

    folder: Path
    model: Any
    tokenizer: Any
    dtype: torch.dtype


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device; raises InputError when CUDA is asked for and absent."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda was asked for, but torch finds no CUDA device (allowed here: auto, cpu)")
    return torch.device(name)


def load_model(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """Load a causal language model from a local folder; safetensors only, no remote code."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # takes an instant, and clutters the logs of jobs
    folder = Path(folder)
    _refuse_empty(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    _refuse_other_logits(model, folder)
    return model.to(device).eval()


def _refuse_empty(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise InputError(f"{folder}: no model here (config.json is missing)")


def _refuse_other_logits(model: Any, folder: Path) -> None:
    """Compare the model's own logits with hidden @ weight.T once: what scales, caps or cuts them is not our head's."""
    tokens = torch.arange(4)[None] % model.config.get_text_config().vocab_size
    with torch.no_grad():
        own = model(input_ids=tokens, use_cache=False).logits.float()
        weight, bias = head(model)
        ours = torch.nn.functional.linear(hidden_states(model, tokens), weight, bias).float()
    # both are sums of d products of the same numbers: they differ by the order of adding alone
    limit = 8 * weight.shape[1] ** 0.5 * torch.finfo(weight.dtype).eps * float(ours.abs().max().clamp(min=1))
    if own.shape != ours.shape or not torch.allclose(own, ours, rtol=0, atol=limit):
        scaled = [key for key in vars(model.config) if re.search(r"logit|multiplier|scaling", key)]
        raise InputError(
            f"{folder}/config.json: the model's logits are not its hidden states times its output layer"
            f" ({', '.join(scaled) or 'no key of config.json says why'}); the chunked output layer cannot compute them"
        )


def load_tokenizer(folder: Path) -> Any:
    """Load a tokenizer from a model folder.

    Raises InputError when there is none, it has no end token, or one of its tokens has no row in the embedding.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = Path(folder)
    if (folder / "tokenizer.json").exists():
        # the file is the whole tokenizer; AutoTokenizer may rebuild one from the model's family and lose parts of it
        tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    elif (folder / "tokenizer_config.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    else:
        raise InputError(f"{folder}: a model folder without tokenizer (tokenizer.json is missing)")
    if tokenizer.eos_token_id is None:
        raise InputError(f"{folder}: the tokenizer names no end token (eos_token)")
    _check_vocabulary(tokenizer, folder)
    refuse_clock(tokenizer.chat_template, folder)
    return tokenizer


def _check_vocabulary(tokenizer: Any, folder: Path) -> None:
    """Every token and every end token needs a row; rows without a token are padding, as usual."""
    path = folder / "config.json"
    if not path.exists():  # `load_model` says so
        return
    rows = sizes_in(folder).vocabulary
    word, last = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    stated = f"the model has {rows} (config.json: vocab_size)"
    if last >= rows:
        raise InputError(f"{folder}: the tokenizer is another model's: its token {word!r} is number {last}, {stated}")
    file = folder / "generation_config.json"
    ends = _listed(read_json(file).get("eos_token_id")) if file.exists() else []
    for end in ends:
        if not isinstance(end, int) or not 0 <= end < rows:
            raise InputError(f"{file}: eos_token_id {end!r} is no token: {stated}")


def encode_prompt(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a prompt: the model's chat template where it has one, else the begin token and the text."""
    if tokenizer.chat_template:
        return chat_prompt(tokenizer, text)
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return start + list(tokenizer.encode(text, add_special_tokens=False))


def generation_config(folder: Path) -> Any:
    """The generation config of a model folder, as a loaded model has it, without loading the model."""
    from transformers import AutoConfig, GenerationConfig

    _refuse_empty(folder)
    if (folder / "generation_config.json").exists():
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder, local_files_only=True))


def end_tokens(config: Any, tokenizer: Any) -> list[int]:
    """All tokens that end a response: the tokenizer's, and those of the generation config (None: there is none)."""
    configured = config.eos_token_id if config is not None else None
    return sorted({int(tokenizer.eos_token_id), *_listed(configured)})


def _listed(tokens: int | list[int] | None) -> list[int]:
    """One token, several or none, as a list."""
    return tokens if isinstance(tokens, list) else [] if tokens is None else [tokens]


def head(model: Any) -> tuple[Tensor, Tensor | None]:
    """Weight [V,d] and bias [V] or None of the output layer."""
    layer = model.get_output_embeddings()
    return layer.weight, getattr(layer, "bias", None)


def hidden_states(model: Any, tokens: Tensor) -> Tensor:
    """Last hidden states [b,L,d] of right-padded sequences; tokens [b,L] int64.

    Under a causal mask padding on the right cannot reach a real token, so no attention mask is passed and attention
    keeps its fastest kernel.
    """
    states: Tensor = model.base_model(input_ids=tokens, use_cache=False).last_hidden_state
    return states


def refuse_beyond_window(folder: Path, prompt: int, response: int) -> None:
    """Raise InputError where the longest prompt and a whole response, in tokens, exceed the model's positions."""
    window = window_in(folder)
    if window is not None and prompt + response > window:
        said = f"a prompt of {prompt} tokens and a response of up to {response}"
        raise InputError(f"{folder}: {said} exceed its {window} positions (config.json: max_position_embeddings)")


def recompute_layers(model: Any) -> None:
    """Keep only the inputs of each decoder layer and compute it again in the backward pass."""
    from torch.utils.checkpoint import checkpoint as recompute

    for layer in model.base_model.layers:
        layer.forward = partial(recompute, layer.forward, use_reentrant=False, preserve_rng_state=False)


def weights_sha256(folder: Path) -> str:
    """SHA-256 (hex) over the safetensors files of a model folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def make_deterministic(device: torch.device) -> None:
    """Same seed, same bits on the CPU; there one thread unless OMP_NUM_THREADS says otherwise."""
    if device.type == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        torch.use_deterministic_algorithms(True)
        # torch then fills every new tensor with NaN, in case it is read before it is written: a tenth of a small step
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
