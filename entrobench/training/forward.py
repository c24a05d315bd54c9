"""Sequences as tensors, and their per-token statistics through the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from entrobench.entropy.logits import TokenStat, token_statistics
from entrobench.models.language_model import head, hidden_states

from .micro_batches import ForwardLimits

LOGP = "log-probability of the label"  # among the names of statistics


@dataclass(frozen=True)
class Sequences:
    """Prompts with their answers, right-padded."""

    tokens: Tensor  # [S,L] int64, prompt then response
    prompt_lengths: Tensor  # [S] int64
    mask: Tensor  # [S,T] bool, position t is response token t, the end token included

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence, prompt and response."""
        lengths: list[int] = (self.prompt_lengths + self.mask.sum(1)).tolist()
        return lengths

    def rows(self, index: Tensor) -> Sequences:
        """These sequences, cut to the longest of them; T stays."""
        lengths = self.prompt_lengths[index] + self.mask[index].sum(1)
        return Sequences(self.tokens[index, : int(lengths.max())], self.prompt_lengths[index], self.mask[index])


def pack(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], device: torch.device) -> Sequences:
    """Put prompts and their responses (same length of lists) into tensors."""
    longest = max(len(p) + len(r) for p, r in zip(prompts, responses, strict=True))
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), max(map(len, responses)), dtype=torch.bool)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        tokens[row, : len(prompt) + len(response)] = torch.tensor([*prompt, *response])
        mask[row, : len(response)] = True
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    return Sequences(tokens.to(device), lengths.to(device), mask.to(device))


def token_forward(
    model: Any, sequences: Sequences, stats: Mapping[str, TokenStat], temperature: float, chunk: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Log-probability [b,T] and statistics {name: [b,T]} of every response token; 0 outside the mask.

    Only positions that predict a response token reach the output layer.
    """
    row, position = sequences.mask.nonzero(as_tuple=True)
    column = sequences.prompt_lengths[row] + position
    hidden = hidden_states(model, sequences.tokens)[row, column - 1]
    labels = sequences.tokens[row, column]
    weight, bias = head(model)
    logp, values = token_statistics(hidden, weight, bias, labels, stats, temperature, chunk)

    def spread(flat: Tensor) -> Tensor:
        return flat.new_zeros(sequences.mask.shape).index_put((row, position), flat)

    return spread(logp), {name: spread(value) for name, value in values.items()}


@torch.no_grad()
def frozen_forward(
    model: Any,
    sequences: Sequences,
    stats: Mapping[str, TokenStat],
    temperature: float,
    limits: ForwardLimits,
) -> tuple[Tensor, dict[str, Tensor]]:
    """`token_forward` of all sequences without gradient, in micro-batches; [S,T] and {name: [S,T]}."""
    own: list[int] = []
    pieces: dict[str, list[Tensor]] = {}
    for rows in limits.own_micro_batches(sequences.lengths):
        # a process without rows still takes part: in gathering sharded weights, and in putting the results together
        index = torch.tensor(rows or [0], device=sequences.tokens.device)
        logp, values = token_forward(model, sequences.rows(index), stats, temperature, limits.head_chunk)
        own += rows
        for name, value in {LOGP: logp, **values}.items():
            pieces.setdefault(name, []).append(value[: len(rows)])
    place = torch.tensor(own, dtype=torch.long, device=sequences.tokens.device)
    whole = {name: limits.ranks.gather_rows(torch.cat(p), place, len(sequences.mask)) for name, p in pieces.items()}
    return whole.pop(LOGP), whole
