"""Packing sequences, and per-token values that neither padding nor memory settings change."""

from __future__ import annotations

import random

import pytest
import torch
from tiny import BODY, tiny_model
from torch import Tensor

from entrobench.entropy.logits import entropy
from entrobench.training.forward import Sequences, frozen_forward, pack, token_forward
from entrobench.training.micro_batches import ForwardLimits

CPU = torch.device("cpu")
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [14, 15]]
RESPONSES = [[20, 21, 2], [22, 23, 24, 25, 26, 2], [2], [27, 28]]


def test_pack_puts_responses_after_prompts() -> None:
    sequences = pack(PROMPTS, RESPONSES, CPU)
    assert sequences.tokens.tolist() == [
        [5, 6, 7, 20, 21, 2, 0],
        [8, 22, 23, 24, 25, 26, 2],
        [9, 10, 11, 12, 13, 2, 0],
        [14, 15, 27, 28, 0, 0, 0],
    ]
    assert sequences.prompt_lengths.tolist() == [3, 1, 5, 2]
    assert sequences.mask.sum(1).tolist() == [3, 6, 1, 2]
    assert sequences.mask.shape == (4, 6)


def test_rows_are_cut_to_the_longest_but_keep_their_mask() -> None:
    chosen = pack(PROMPTS, RESPONSES, CPU).rows(torch.tensor([3, 0]))
    assert chosen.tokens.tolist() == [[14, 15, 27, 28, 0, 0], [5, 6, 7, 20, 21, 2]]
    assert chosen.mask.shape == (2, 6)
    assert chosen.prompt_lengths.tolist() == [2, 3]


def naive(model: object, prompt: list[int], response: list[int], temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies of one sequence alone, from whole logits."""
    logits = model(torch.tensor([prompt + response])).logits[0].double() / temperature  # type: ignore[operator]
    logp = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return logp.gather(1, torch.tensor(response)[:, None])[:, 0], -(logp.exp() * logp).sum(-1)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_values_equal_those_of_whole_logits(family: str, temperature: float) -> None:
    model, sequences = tiny_model(family).double(), pack(PROMPTS, RESPONSES, CPU)
    logp, values = token_forward(model, sequences, {"entropy": entropy}, temperature, 4096)
    for row, (prompt, response) in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        expected_logp, expected_entropy = naive(model, prompt, response, temperature)
        torch.testing.assert_close(logp[row][sequences.mask[row]], expected_logp, atol=1e-12, rtol=0)
        torch.testing.assert_close(values["entropy"][row][sequences.mask[row]], expected_entropy, atol=1e-12, rtol=0)
    assert bool((logp[~sequences.mask] == 0).all())
    assert bool((values["entropy"][~sequences.mask] == 0).all())


def test_micro_batches_and_chunks_change_nothing() -> None:
    model = tiny_model("qwen2").double()
    generator = random.Random(0)
    prompts = [generator.choices(BODY, k=generator.randint(1, 6)) for _ in range(10)]
    responses = [generator.choices(BODY, k=generator.randint(1, 9)) for _ in range(10)]
    sequences = pack(prompts, responses, CPU)
    whole, values = frozen_forward(model, sequences, {"entropy": entropy}, 1.0, ForwardLimits(10, 4096))
    assert not whole.requires_grad
    for chunk, micro_batch in ((1, 1), (7, 3), (4096, 4)):
        logp, other = frozen_forward(model, sequences, {"entropy": entropy}, 1.0, ForwardLimits(micro_batch, chunk))
        torch.testing.assert_close(logp, whole, atol=1e-12, rtol=0)
        torch.testing.assert_close(other["entropy"], values["entropy"], atol=1e-12, rtol=0)


def gradient(sequences: Sequences, chunk: int) -> list[Tensor]:
    model = tiny_model("llama", tie_word_embeddings=True).double()
    logp, values = token_forward(model, sequences, {"entropy": entropy}, 0.7, chunk)
    (logp.sum() + (values["entropy"] ** 2).sum()).backward()
    return [weight.grad for weight in model.parameters()]


def test_gradients_do_not_depend_on_the_chunk() -> None:
    sequences = pack(PROMPTS, RESPONSES, CPU)
    for left, right in zip(gradient(sequences, 4096), gradient(sequences, 5), strict=True):
        torch.testing.assert_close(left, right, atol=1e-11, rtol=0)
