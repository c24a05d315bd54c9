"""Reading a GGUF file into a model folder of the usual format: float32 safetensors, tokenizer, chat template.

transformers reads it, with the package `gguf`, which undoes the quantisation. The tokenizer's rule for splitting text
before merging is a name in the file that transformers passes over for Llama-shaped models; it is put in here, and a
name that is not known is refused: another rule gives other tokens, and nothing would say so.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from entrobench.errors import InputError, first_line

SPLITTING = "tokenizer.ggml.pre"
CURE = "save the model in the usual format with another tool, and name its folder with kind: folder"


def save_as_folder(file: Path, folder: Path, where: str) -> dict[str, int]:
    """Save the model of a GGUF file in a folder; returns how many tensors it holds in each number format.

    `where` names the file in error lines. Raises InputError for what is no GGUF file, and for a format, an
    architecture or a tokenizer that cannot be read exactly.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    from entrobench.models.weights import model_tensors

    formats = _check(file, where)
    disable_progress_bar()
    source: dict[str, Any] = {"gguf_file": file.name, "trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **source)
        model: Any = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **source)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise InputError(f"{where}: transformers cannot read it: {first_line(error)}; {CURE}") from None
    tokenizer.backend_tokenizer.pre_tokenizer = _smollm()
    tokenizer.model_max_length = model.config.max_position_embeddings
    del model.config.quantization_config  # the saved weights are plain numbers
    model.config.architectures, model.config.name_or_path = [type(model).__name__], ""
    save_file(model_tensors(model), folder / "model.safetensors", {"format": "pt"})
    for part in (model.config, model.generation_config, tokenizer):
        part.save_pretrained(folder)
    return formats


def _check(file: Path, where: str) -> dict[str, int]:
    """The number formats of a GGUF file's tensors, by count. Raises InputError where one of them is not read."""
    from gguf import GGUFReader, dequantize

    try:
        reader = GGUFReader(file)
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(f"{where}: is no GGUF file that can be read: {first_line(error)}") from None
    formats = {tensor.tensor_type.name: tensor for tensor in reader.tensors}
    for name, tensor in formats.items():
        try:
            dequantize(tensor.data[:1], tensor.tensor_type)  # its first row
        except NotImplementedError:
            raise InputError(f"{where}: unknown quantisation {name} (of {tensor.name}); {CURE}") from None
    field = reader.get_field(SPLITTING)
    name = "missing" if field is None else str(field.contents())
    if name != "smollm":
        raise InputError(f"{where}: {SPLITTING} is {name!r}, and only 'smollm' is read exactly; {CURE}")
    return dict(sorted(Counter(tensor.tensor_type.name for tensor in reader.tensors).items()))


def _smollm() -> Any:
    """Each digit is a word of its own; what lies between is split as GPT-2 does."""
    from tokenizers import pre_tokenizers

    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
