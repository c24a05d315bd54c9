"""Each prompt is run once for all its answers: an attention over sequences whose tokens stand in one row.

The tokens of a micro-batch are laid in one row without padding, a prompt once and then its answers. All of a layer but
attention works on single tokens, so that it runs on this row. For attention the queries, keys and values are gathered
into whole sequences, the attention of the plain way runs on these, and what it gives goes back to the row. So an answer
sees its prompt and its own earlier tokens alone, its prompt's gradient is the sum over the answers, and nothing differs
from the plain way but the order in which that sum is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from entrobench.errors import InputError

FAMILIES = ("llama", "qwen2", "qwen3")  # whose attention is causal and knows positions by rotary embeddings alone
ATTENTION = "entrobench_shared_prefix"  # transformers' name of the attention below
NO_MASK = torch.zeros(1, 1, 1, 1)  # of four dimensions, so that transformers makes none; nothing reads it


@dataclass(frozen=True)
class Layout:
    """Where the tokens of S right-padded sequences of L places stand in one row of N tokens."""

    tokens: Tensor  # [N] int64
    positions: Tensor  # [N] int64, in the sequence
    sequences: Tensor  # [S,L] int64, place in the row; 0 where there is padding
    origins: Tensor  # [N] int64, place in the flattened sequences


def lay_out(tokens: Tensor, prompts: Tensor, prompt_lengths: Tensor, lengths: Tensor) -> Layout:
    """Lay sequences [S,L] in one row; `prompts` [S] numbers their prompts, and a prompt's tokens are taken once.

    `lengths` [S] are those of prompt and answer together.
    """
    column = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    leader = (prompts[:, None] == prompts).int().argmax(1)  # the first sequence of the same prompt
    leads = leader == torch.arange(len(tokens), device=tokens.device)
    in_prompt, there = column < prompt_lengths[:, None], column < lengths[:, None]
    taken = there & (leads[:, None] | ~in_prompt)
    place = taken.flatten().cumsum(0).view_as(tokens) - 1
    return Layout(
        tokens=tokens[taken],
        positions=column[taken],
        sequences=place[leader].where(in_prompt, place).where(there, 0),
        origins=taken.flatten().nonzero()[:, 0],
    )


def row_states(model: Any, layout: Layout) -> Tensor:
    """Last hidden states [N,d] of the row, from a model that shares prompts."""
    states: Tensor = model.base_model(
        input_ids=layout.tokens[None],
        position_ids=layout.positions[None],
        attention_mask=NO_MASK,
        use_cache=False,
        layout=layout,
    ).last_hidden_state
    return states[0]


def gather(row: Tensor, places: Tensor) -> Tensor:
    """Vectors of a row [N,d] at these places; its backward pass is the one of an embedding, fast and deterministic."""
    return F.embedding(places, row)


def share_prompts(model: Any) -> None:
    """Let `row_states` work on this model; all that it did before it does as before.

    Raises InputError where its attention is not known to allow it.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if obstacle := obstacle_in(model):
        raise InputError(f"shared_prefix: {obstacle}: use auto or never")
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)


def shares_prompts(model: Any) -> bool:
    """Whether `share_prompts` was called on this model, or on the one that it is a copy of."""
    return bool(model.config._attn_implementation == ATTENTION)


def obstacle_in(model: Any) -> str | None:
    """Why a model cannot share prompts, None where it can."""
    config = model.config
    if config.model_type not in FAMILIES:
        return f"known for {', '.join(FAMILIES)}, not for {config.model_type!r}"
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return "not for layers with a sliding window (config.json: use_sliding_window)"
    if config._attn_implementation not in ("sdpa", ATTENTION):
        return f"not for the attention {config._attn_implementation!r}"
    return None


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    layout: Layout | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer as transformers calls it: query, key and value [1, heads, N, h] -> [1, N, heads, h].

    Without a layout it is torch's, on sequences as usual.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if layout is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    size = query.shape[-1]
    sequences = [
        gather(row[0].transpose(0, 1).flatten(1), layout.sequences).unflatten(-1, (-1, size)).transpose(1, 2)
        for row in (query, key, value)
    ]
    query, key, value = sequences
    attended, _ = sdpa_attention_forward(module, query, key, value, None, **settings)  # causal; padding on the right
    return gather(attended.flatten(0, 1).flatten(1), layout.origins).unflatten(-1, (-1, size))[None], None
