"""The forward of the native engine: Llama-shaped transformers over fused weights and a preallocated cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from entrobench.errors import InputError
from entrobench.model import head

FAMILIES = ("llama", "qwen2", "qwen3")
STATIC_ROPES = ("default", "linear", "llama3", "yarn")  # frequencies that do not depend on the length


@dataclass
class Layer:
    """Weights of one block: projections of the same input are fused, and so is the scale of the norm before them."""

    qkv: Tensor  # [(heads + 2·kv_heads)·head_size, d]
    qkv_bias: Tensor | None
    query_norm: Tensor | None  # [head_size], Qwen3
    key_norm: Tensor | None
    output: Tensor
    output_bias: Tensor | None
    gate_up: Tensor  # [2·f, d]
    gate_up_bias: Tensor | None
    down: Tensor
    down_bias: Tensor | None


class Cache:
    """Keys and values of all layers in one tensor, and which slots are padding."""

    def __init__(self, store: Tensor, padding: Tensor) -> None:
        self.store = store  # [layers, 2, rows, kv_heads, slots, head_size]
        self.padding = padding  # [rows, prompt slots] bool
        self.padded = bool(padding.any())
        self.used = padding.shape[1]
        self.position = (~padding).sum(1)  # [rows] position of the next token

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be kept several times."""
        layers, two, _, *rest = self.store.shape
        chosen = self.store.new_empty(layers, two, len(rows), *rest)
        torch.index_select(self.store[..., : self.used, :], 2, rows, out=chosen[..., : self.used, :])
        self.store, self.padding, self.position = chosen, self.padding[rows], self.position[rows]

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, [rows·kv_heads, used, head_size] each."""
        keys, values = self.store[index].flatten(1, 2)[:, :, : self.used]
        return keys, values

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        """Additive attention bias [rows·kv_heads, 1, used] that hides padding, or None where there is none."""
        if not self.padded:
            return None
        hidden = F.pad(self.padding, (0, self.used - self.padding.shape[1]))
        bias = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill(hidden, -torch.inf)
        return bias.repeat_interleave(self.store.shape[3], 0)[:, None]


class NativeModel:
    """A view of a transformers model for decoding; makes fused copies of the weights once per load."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        config = model.config
        self._check(model)
        self.device = next(model.parameters()).device
        self.dtype = dtype
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.epsilon = config.rms_norm_eps
        with torch.no_grad():
            self.embedding = model.get_input_embeddings().weight.to(dtype)
            self.head_weight = (head(model)[0] * model.model.norm.weight).to(dtype)
            self.layers = [_layer(block, self.head_size, dtype) for block in model.model.layers]
            rotary = model.model.rotary_emb
            self.frequencies = rotary.inv_freq.float()
            # queries and keys are both rotated, so each carries the root of attention's 1/sqrt(head_size)
            self.rotary_scale = float(rotary.attention_scaling) * self.head_size**-0.25

    @staticmethod
    def _check(model: Any) -> None:
        config = model.config
        if config.model_type not in FAMILIES:
            families = ", ".join(FAMILIES)
            raise InputError(f"engine: native runs {families}, not {config.model_type!r}; use another engine for it")
        if getattr(config, "use_sliding_window", False):
            raise InputError("engine: native has no sliding window (config.json: use_sliding_window is true)")
        if model.model.rotary_emb.rope_type not in STATIC_ROPES:
            raise InputError(f"engine: native does not know rope type {model.model.rotary_emb.rope_type!r}")
        if config.hidden_act != "silu":
            raise InputError(f"engine: native expects hidden_act silu, got {config.hidden_act!r}")

    def prefill(self, prompts: Sequence[Sequence[int]], room: int) -> tuple[Cache, Tensor]:
        """Run the prompts once; returns their cache with `room` free slots and the last hidden states [rows,d]."""
        longest = max(map(len, prompts))
        tokens = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=self.device)
        padding = torch.tensor([[True] * (longest - len(p)) + [False] * len(p) for p in prompts], device=self.device)
        shape = (len(self.layers), 2, len(prompts), self.kv_heads, longest + room, self.head_size)
        cache = Cache(torch.empty(shape, dtype=self.dtype, device=self.device), padding)
        positions = ((~padding).cumsum(1) - 1).clamp(min=0)
        visible = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril() & ~padding[:, None]
        visible |= torch.eye(longest, dtype=torch.bool, device=self.device)  # a padding row must see something
        rotation = self._rotation(positions)
        x = F.embedding(tokens, self.embedding)
        for index, layer in enumerate(self.layers):
            q, kv = self._project(layer, x, rotation)
            cache.store[index, :, :, :, :longest] = kv.permute(2, 0, 3, 1, 4)
            k, v = kv.repeat_interleave(self.heads // self.kv_heads, 3).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=visible[:, None], scale=1.0)
            x = self._finish(layer, x, attended.transpose(1, 2).flatten(2))
        return cache, self._normalise(x[:, -1])

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Append one token a row; returns the last hidden states [rows,d]."""
        rows, slot = len(tokens), cache.used
        # without padding all rows stand at the same position
        rotation = self._rotation(cache.position if cache.padded else cache.position[:1])
        cache.used += 1
        cache.position = cache.position + 1
        bias = cache.bias(self.dtype)
        x = F.embedding(tokens, self.embedding)
        for index, layer in enumerate(self.layers):
            q, kv = self._project(layer, x, rotation)
            cache.store[index, :, :, :, slot] = kv.transpose(0, 1)
            keys, values = cache.layer(index)
            scores = torch.bmm(q.reshape(rows * self.kv_heads, -1, self.head_size), keys.transpose(1, 2))
            scores = scores if bias is None else scores + bias
            attended = torch.bmm(scores.softmax(-1), values)
            x = self._finish(layer, x, attended.reshape(rows, -1))
        return self._normalise(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [rows,V] float32 of last hidden states [rows,d]."""
        return (hidden @ self.head_weight.T).float()

    def _project(self, layer: Layer, x: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        """Rotated queries [..., heads, h], and rotated keys with values [..., 2, kv_heads, h], scaled for attention."""
        fused = F.linear(self._normalise(x), layer.qkv, layer.qkv_bias)
        fused = fused.view(*x.shape[:-1], self.heads + 2 * self.kv_heads, self.head_size)
        turning = fused[..., : self.heads + self.kv_heads, :]
        if layer.query_norm is not None and layer.key_norm is not None:
            q, k = turning.split([self.heads, self.kv_heads], dim=-2)
            q.copy_(self._normalise(q) * layer.query_norm)
            k.copy_(self._normalise(k) * layer.key_norm)
        pairs = torch.view_as_complex(turning.float().unflatten(-1, (-1, 2))) * rotation
        turning.copy_(torch.view_as_real(pairs).flatten(-2))
        return fused[..., : self.heads, :], fused[..., self.heads :, :].unflatten(-2, (2, self.kv_heads))

    def _finish(self, layer: Layer, x: Tensor, attended: Tensor) -> Tensor:
        x = x + F.linear(attended, layer.output, layer.output_bias)
        fused = F.linear(self._normalise(x), layer.gate_up, layer.gate_up_bias)
        gate, up = fused.chunk(2, dim=-1)
        return x + F.linear(F.silu(gate).mul_(up), layer.down, layer.down_bias)

    def _normalise(self, x: Tensor) -> Tensor:
        """Root-mean-square norm without its scale, which is fused into the projection that follows."""
        wide = x.float()
        return (wide * wide.square().mean(-1, keepdim=True).add_(self.epsilon).rsqrt_()).to(x.dtype)

    def _rotation(self, positions: Tensor) -> Tensor:
        """Complex factors [..., 1, h/2] of the rotary embedding at these positions."""
        angles = positions[..., None, None].float() * self.frequencies
        return torch.polar(torch.full_like(angles, self.rotary_scale), angles)


def _layer(block: Any, head_size: int, dtype: torch.dtype) -> Layer:
    attention, mlp = block.self_attn, block.mlp
    query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
    query_norm, key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)

    def paired(weight: Tensor) -> Tensor:
        """Each head's coordinates from halves to pairs: the two that rotate together become neighbours."""
        return weight.unflatten(0, (-1, 2, head_size // 2)).transpose(1, 2).flatten(0, 2)

    qkv = torch.cat([paired(query.weight), paired(key.weight), value.weight])
    gate_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])
    biased = query.bias is not None
    return Layer(
        qkv=(qkv * block.input_layernorm.weight).to(dtype),
        qkv_bias=_joined([paired(query.bias), paired(key.bias), value.bias], dtype) if biased else None,
        query_norm=None if query_norm is None else paired(query_norm.weight).to(dtype),
        key_norm=None if key_norm is None else paired(key_norm.weight).to(dtype),
        output=attention.o_proj.weight.to(dtype),
        output_bias=_joined([attention.o_proj.bias], dtype),
        gate_up=(gate_up * block.post_attention_layernorm.weight).to(dtype),
        gate_up_bias=_joined([mlp.gate_proj.bias, mlp.up_proj.bias], dtype),
        down=mlp.down_proj.weight.to(dtype),
        down_bias=_joined([mlp.down_proj.bias], dtype),
    )


def _joined(biases: Sequence[Tensor | None], dtype: torch.dtype) -> Tensor | None:
    """Biases of fused projections, None where the model has none."""
    present = [bias for bias in biases if bias is not None]
    return torch.cat(present).to(dtype) if present else None
