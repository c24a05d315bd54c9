"""Sampling answers: the engine protocol and the native engine.

The native engine decodes over the model's own weights: each prompt is prefilled once, its cache copied to the n
answers into a preallocated buffer, fused projections, one uniform number per token and finished rows dropped. Random
numbers are keyed by (seed, key of the prompt, draw), so neither order nor batch size changes them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor

from entrobench.errors import InputError

from .native import NativeModel

COMPACT_SHARE = 0.3  # ours: rebuild the batch when this share of its rows has finished
BLOCK = 64  # ours: tokens per block of the two-level inversion
SMALLEST_BATCH = 8  # ours: below 8 rows a matrix product takes another kernel, which rounds differently


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; temperature 0 is greedy, top_k 0 and top_p 1 are off."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 24


@dataclass(frozen=True)
class Completion:
    """One sampled answer; `tokens` includes the end token, `logps` are at the sampling temperature, full vocabulary."""

    tokens: list[int]
    logps: list[float]
    finish: str  # "stop" or "length"


class Engine(Protocol):
    """Anything that samples answers.

    `tolerance` is how far, in nats per token on average, its log-probabilities may lie from the trainer's under the
    same weights: farther means that it holds other ones.
    """

    @property
    def tolerance(self) -> float: ...

    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, keys: Sequence[str], seed: str
    ) -> list[Completion]:
        """Return len(prompts)·n completions, the n of a prompt side by side."""
        ...

    def load(self, model: Any) -> None:
        """Take over the model's current weights."""
        ...


class NativeEngine:
    """Batched decoding on the trainer's own device."""

    tolerance = math.inf  # it reads the trainer's own weights

    def __init__(self, model: Any, end_tokens: Sequence[int], dtype: torch.dtype, batch_rows: int = 256) -> None:
        self.end_tokens = list(end_tokens)
        self.dtype = dtype
        self.batch_rows = batch_rows
        self.window = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.model = NativeModel(model, dtype)

    def load(self, model: Any) -> None:
        """Copy the weights of `model`; the engine answers with these from now on."""
        del self.model  # its copy of the weights goes before the next is made
        self.model = NativeModel(model, self.dtype)

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, keys: Sequence[str], seed: str
    ) -> list[Completion]:
        """Sample n answers to each prompt; see `Engine`.

        `keys` names each prompt for its random numbers. Prompts of similar length share a batch of at most
        `batch_rows` answers. Raises InputError for an empty prompt, and for one too long for the model.
        """
        refuse_unfit(prompts, sampling.max_tokens, self.window)
        completions: list[Completion] = [Completion([], [], "")] * (len(prompts) * n)
        rows = [(prompt, draw) for prompt in range(len(prompts)) for draw in range(n)]
        rows.sort(key=lambda row: len(prompts[row[0]]))
        for start in range(0, len(rows), self.batch_rows):
            batch = rows[start : start + self.batch_rows]
            uniforms = _uniforms([f"{seed}/{keys[prompt]}/{draw}" for prompt, draw in batch], sampling.max_tokens)
            distinct = list(dict.fromkeys(prompt for prompt, _ in batch))
            source = [distinct.index(prompt) for prompt, _ in batch]
            done = self._decode([prompts[prompt] for prompt in distinct], source, sampling, uniforms)
            for (prompt, draw), completion in zip(batch, done, strict=True):
                completions[prompt * n + draw] = completion
        self._refuse_nan(completions)
        return completions

    def _refuse_nan(self, completions: Sequence[Completion]) -> None:
        """Raise InputError where log-probabilities are no numbers: tokens were drawn from nothing then."""
        if not any(math.isnan(logp) for completion in completions for logp in completion.logps):
            return
        layers = [tensor for layer in self.model.layers for tensor in vars(layer).values() if tensor is not None]
        weights = [self.model.embedding, self.model.head_weight, *layers]
        wrong = sum(int((~torch.isfinite(weight)).sum()) for weight in weights)
        said = f"{wrong} of the model's weights are NaN or infinite" if wrong else "the model overflows"
        raise InputError(f"engine: native: the probabilities of the next token are NaN: {said}")

    def _decode(
        self, prompts: list[Sequence[int]], source: list[int], sampling: Sampling, uniforms: numpy.ndarray
    ) -> list[Completion]:
        """Decode one batch: row r continues prompts[source[r]] with uniforms[r]."""
        device = self.model.device
        cache, hidden = self.model.prefill(prompts, sampling.max_tokens)
        order = torch.tensor(source, device=device)
        cache.select(order)
        hidden = hidden[order]
        draws = torch.from_numpy(uniforms).to(device)
        ends = torch.tensor(self.end_tokens, device=device)
        tokens = torch.zeros(draws.shape, dtype=torch.long, device=device)
        logps = torch.zeros(draws.shape, device=device)
        fresh: list[tuple[Tensor, Tensor]] = []  # sampled since the lines last changed
        active = torch.arange(len(source), device=device)  # which row each line of the batch is
        done = torch.zeros(len(source), dtype=torch.bool, device=device)  # lines, not rows
        for position in range(sampling.max_tokens):
            token, logp = sample(self.model.logits(hidden), sampling, draws[:, position])
            fresh.append((token, logp))
            done |= (token[:, None] == ends).any(1)
            finished = int(done.sum())
            ending = finished == len(done) or position + 1 == sampling.max_tokens
            shrinking = finished >= COMPACT_SHARE * len(done) and len(done) > SMALLEST_BATCH
            if ending or shrinking:
                span = slice(position + 1 - len(fresh), position + 1)
                tokens[active, span], logps[active, span] = (
                    torch.stack(column, 1) for column in zip(*fresh, strict=True)
                )
                fresh.clear()
            if ending:
                break
            if shrinking:
                # unfinished lines first, then as many finished ones as the smallest batch needs
                keep = done.argsort(stable=True)[: max(len(done) - finished, SMALLEST_BATCH)]
                cache.select(keep)
                active, token, done, draws = active[keep], token[keep], done[keep], draws[keep]
            hidden = self.model.step(token, cache)
        return _completions(tokens.tolist(), logps.tolist(), self.end_tokens)


def refuse_unfit(prompts: Sequence[Sequence[int]], response: int, window: int | None) -> None:
    """Raise InputError if a prompt has no token, or the longest and a whole response exceed the model's positions.

    No engine would say so: positions that a model was not made for give other answers, or answers end there as if cut.
    """
    if not all(prompts):
        raise InputError("rollout: an empty prompt cannot be continued; give the tokenizer a begin token")
    longest = max(map(len, prompts), default=0)
    if window is not None and longest + response > window:
        said = f"a prompt of {longest} tokens and a response of up to {response}"
        raise InputError(
            f"rollout: {said} exceed the model's {window} positions (config.json: max_position_embeddings)"
        )


def sample(logits: Tensor, sampling: Sampling, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Draw one token a row by inverting the cumulative distribution.

    logits [n,V] float32, uniforms [n] in [0,1). Returns tokens [n] and their log-probabilities [n] at the sampling
    temperature over the full vocabulary (temperature 1 for greedy).
    """
    scaled = logits / sampling.temperature if sampling.temperature not in (0, 1) else logits
    probabilities = scaled.softmax(-1)
    if sampling.temperature == 0:
        token = probabilities.argmax(-1)
    else:
        token = _invert(truncate(probabilities, sampling), uniforms)
    return token, probabilities.gather(-1, token[:, None]).squeeze(-1).log()


def _invert(mass: Tensor, uniforms: Tensor) -> Tensor:
    """First token whose cumulative mass exceeds uniform · total; [n,V], [n] -> [n].

    Two levels, blocks and then tokens of one block: a running sum over the whole vocabulary is not vectorised.
    """
    short = -mass.shape[-1] % BLOCK
    blocks = (F.pad(mass, (0, short)) if short else mass).unflatten(-1, (-1, BLOCK))  # a pad of 0 would copy
    outer = blocks.sum(-1).cumsum(-1)
    # below the total even after rounding since uniforms end at 1 - 2^-24, so that the block found is not empty
    target = uniforms[:, None] * outer[:, -1:]
    # the clamps, here and below, are for NaN alone, which is told once the answers are complete
    block = torch.searchsorted(outer, target, right=True).clamp(max=outer.shape[-1] - 1)
    before = F.pad(outer, (1, 0)).gather(-1, block)
    within = blocks[torch.arange(len(blocks), device=mass.device), block.squeeze(-1)]
    inner = within.cumsum(-1)
    last = torch.nextafter(inner[:, -1:], torch.zeros_like(target))
    token = torch.searchsorted(inner, torch.minimum(target - before, last), right=True)
    return (block * BLOCK + token).squeeze(-1).clamp(max=mass.shape[-1] - 1)


def truncate(probabilities: Tensor, sampling: Sampling) -> Tensor:
    """Set tokens outside the top_k most likely and outside the top_p nucleus to 0; [n,V] -> [n,V].

    The nucleus holds the fewest most likely tokens whose mass reaches top_p (arXiv 1904.09751), after top_k.
    """
    if sampling.top_k:
        smallest = probabilities.topk(min(sampling.top_k, probabilities.shape[-1]), dim=-1).values[:, -1:]
        probabilities = probabilities.where(probabilities >= smallest, 0.0)
    if sampling.top_p < 1.0:
        ordered, index = probabilities.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered
        inside = before < sampling.top_p * ordered.sum(-1, keepdim=True)
        inside[:, 0] = True
        probabilities = probabilities.where(torch.zeros_like(inside).scatter(-1, index, inside), 0.0)
    return probabilities


def _uniforms(keys: Sequence[str], count: int) -> numpy.ndarray:
    """[len(keys), count] float32 multiples of 2^-24 in [0,1), each row from the SHAKE-128 stream of its key."""
    streams = b"".join(hashlib.shake_128(key.encode()).digest(4 * count) for key in keys)
    integers = numpy.frombuffer(streams, dtype="<u4").reshape(len(keys), count) >> 8
    return integers.astype(numpy.float32) * numpy.float32(2**-24)


def _completions(tokens: list[list[int]], logps: list[list[float]], ends: Sequence[int]) -> list[Completion]:
    """Cut each row after its first end token: a line goes on until it is dropped."""
    completions = []
    for row, numbers in zip(tokens, logps, strict=True):
        length = next((place for place, token in enumerate(row, start=1) if token in ends), 0)
        finish = "stop" if length else "length"
        completions.append(Completion(row[: length or None], numbers[: length or None], finish))
    return completions
