"""The forward of the native engine: Llama-shaped transformers over fused weights and a preallocated cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from entrobench.models.language_model import head

from .native_families import refuse_other_family


@dataclass
class Layer:
    """Weights of one block: projections of the same input are fused, and the scale of the norm before them is too."""

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

    def __init__(self, store: Tensor, padding: Tensor, rotations: Tensor) -> None:
        self.padding = padding  # [rows, prompt slots] bool
        self.padded = bool(padding.any())
        self.used = padding.shape[1]
        self.rotations = rotations  # [positions, 1, h/2] complex
        self._hold(store)

    def _hold(self, store: Tensor) -> None:
        self.store = store  # [layers, 2, rows, kv_heads, slots, head_size]
        self.layers = [tuple(layer.flatten(1, 2)) for layer in store]  # keys, values [rows·kv_heads, slots, head_size]

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be kept several times."""
        layers, two, _, *rest = self.store.shape
        chosen = self.store.new_empty(layers, two, len(rows), *rest)
        torch.index_select(self.store[..., : self.used, :], 2, rows, out=chosen[..., : self.used, :])
        self.padding = self.padding[rows]
        self._hold(chosen)

    def append(self) -> tuple[Tensor, Tensor]:
        """Open the next slot: its keys and values [layers, 2, rows, kv_heads, head_size], and its rotation."""
        slot = self.used
        self.used += 1
        # without padding all rows stand at the same position
        place = slot - self.padding.sum(1) if self.padded else slice(slot, slot + 1)
        return self.store[..., slot, :], self.rotations[place]

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
        refuse_other_family(config.to_dict(), config.name_or_path or "the model")
        self.device = next(model.parameters()).device
        self.dtype = dtype
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        with torch.no_grad():
            self.floor = self._floor(config.hidden_size, config.rms_norm_eps)
            self.head_floor = self._floor(self.head_size, config.rms_norm_eps)
            self.embedding = model.get_input_embeddings().weight.detach().to(dtype)
            self.head_weight = (head(model)[0] * _scale(model.model.norm)).to(dtype)
            self.layers = [_layer(block, self.head_size, dtype) for block in model.model.layers]
            rotary = model.model.rotary_emb
            self.frequencies = rotary.inv_freq.float()
            # queries and keys are both rotated, so each carries the root of attention's 1/sqrt(head_size)
            self.rotary_scale = float(rotary.attention_scaling) * self.head_size**-0.25

    def _floor(self, size: int, epsilon: float) -> Tensor:
        """What keeps the length of a vector of `size` numbers from 0: the root of size·epsilon."""
        return torch.tensor((size * epsilon) ** 0.5, device=self.device)

    def prefill(self, prompts: Sequence[Sequence[int]], room: int) -> tuple[Cache, Tensor]:
        """Run the prompts once; returns their cache with `room` free slots and the last hidden states [rows,d]."""
        rows, longest = len(prompts), max(map(len, prompts))
        tokens = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=self.device)
        padding = torch.tensor([[True] * (longest - len(p)) + [False] * len(p) for p in prompts], device=self.device)
        shape = (len(self.layers), 2, rows, self.kv_heads, longest + room, self.head_size)
        store = torch.empty(shape, dtype=self.dtype, device=self.device)
        cache = Cache(store, padding, self._rotations(longest + room))
        positions = ((~padding).cumsum(1) - 1).clamp(min=0)
        visible = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril() & ~padding[:, None]
        visible |= torch.eye(longest, dtype=torch.bool, device=self.device)  # a padding row must see something
        rotation = cache.rotations[positions.flatten()]
        x = F.embedding(tokens.flatten(), self.embedding)
        for layer, place in zip(self.layers, store, strict=True):
            q, kv = self._project(layer, x, rotation)
            q, kv = q.unflatten(0, (rows, longest)), kv.unflatten(0, (rows, longest))
            place[:, :, :, :longest] = kv.permute(2, 0, 3, 1, 4)
            k, v = kv.repeat_interleave(self.heads // self.kv_heads, 3).permute(2, 0, 3, 1, 4).to(self.dtype)
            attended = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=visible[:, None], scale=1.0)
            self._finish(layer, x, attended.transpose(1, 2).reshape(len(x), -1))
        return cache, _unit(x.view(rows, longest, -1)[:, -1], self.floor)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Append one token a row; returns the last hidden states [rows,d]."""
        rows = len(tokens)
        slot, rotation = cache.append()
        bias = cache.bias(self.dtype)
        x = F.embedding(tokens, self.embedding)
        for layer, place, (keys, values) in zip(self.layers, slot, cache.layers, strict=True):
            q, kv = self._project(layer, x, rotation)
            place.copy_(kv.transpose(0, 1))
            q = q.reshape(rows * self.kv_heads, -1, self.head_size)
            scores = torch.bmm(q, keys[:, : cache.used].transpose(1, 2))
            scores = scores if bias is None else scores + bias
            attended = torch.bmm(scores.softmax(-1), values[:, : cache.used])
            self._finish(layer, x, attended.view(rows, -1))
        return _unit(x, self.floor)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [rows,V] float32 of last hidden states [rows,d]."""
        return (hidden @ self.head_weight.T).float()

    def _project(self, layer: Layer, x: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        """Rotated queries [n, heads, h], and rotated keys with values [n, 2, kv_heads, h] float32; x [n,d]."""
        fused = F.linear(_unit(x, self.floor), layer.qkv, layer.qkv_bias).float()
        fused = fused.view(len(x), self.heads + 2 * self.kv_heads, self.head_size)
        turning = fused[:, : self.heads + self.kv_heads]
        if layer.query_norm is not None and layer.key_norm is not None:
            q, k = turning.split([self.heads, self.kv_heads], dim=1)
            q.copy_(_unit(q, self.head_floor) * layer.query_norm)
            k.copy_(_unit(k, self.head_floor) * layer.key_norm)
        torch.view_as_complex(turning.unflatten(-1, (-1, 2))).mul_(rotation)
        return turning[:, : self.heads].to(self.dtype), fused[:, self.heads :].unflatten(1, (2, self.kv_heads))

    def _finish(self, layer: Layer, x: Tensor, attended: Tensor) -> None:
        """Add the attention's output and the feed-forward block to x [n,d] in place; attended [n, heads·h]."""
        _add_linear(x, attended, layer.output, layer.output_bias)
        gate, up = F.linear(_unit(x, self.floor), layer.gate_up, layer.gate_up_bias).chunk(2, dim=-1)
        _add_linear(x, F.silu(gate).mul_(up), layer.down, layer.down_bias)

    def _rotations(self, positions: int) -> Tensor:
        """Complex factors [positions, 1, h/2] of the rotary embedding."""
        angles = torch.arange(positions, device=self.device, dtype=torch.float32)[:, None, None] * self.frequencies
        return torch.polar(torch.full_like(angles, self.rotary_scale), angles)


def _unit(x: Tensor, floor: Tensor) -> Tensor:
    """x / sqrt(|x|² + floor²) in float32: the root-mean-square norm up to its scale, which the weights carry."""
    wide = x.float()
    return (wide / torch.hypot(torch.linalg.vector_norm(wide, dim=-1, keepdim=True), floor)).to(x.dtype)


def _scale(norm: Any) -> Tensor:
    """The scale of a root-mean-square norm whose input has been brought to length 1."""
    return norm.weight * len(norm.weight) ** 0.5


def _add_linear(x: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    x.addmm_(inputs, weight.T)
    if bias is not None:
        x.add_(bias)


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
        qkv=(qkv * _scale(block.input_layernorm)).to(dtype),
        qkv_bias=_joined([paired(query.bias), paired(key.bias), value.bias], dtype) if biased else None,
        query_norm=None if query_norm is None else paired(_scale(query_norm)).to(dtype),
        key_norm=None if key_norm is None else paired(_scale(key_norm)).to(dtype),
        output=attention.o_proj.weight.detach().to(dtype),
        output_bias=_joined([attention.o_proj.bias], dtype),
        gate_up=(gate_up * _scale(block.post_attention_layernorm)).to(dtype),
        gate_up_bias=_joined([mlp.gate_proj.bias, mlp.up_proj.bias], dtype),
        down=mlp.down_proj.weight.detach().to(dtype),
        down_bias=_joined([mlp.down_proj.bias], dtype),
    )


def _joined(biases: Sequence[Tensor | None], dtype: torch.dtype) -> Tensor | None:
    """Biases of fused projections, None where the model has none."""
    present = [bias for bias in biases if bias is not None]
    return torch.cat(present).to(dtype) if present else None
