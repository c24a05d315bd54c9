"""Prompts that are run once give the log-probabilities and gradients of the plain way, in every family."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import BODY, exact, run_config, save_data, save_tiny, tiny_model, tiny_trainer, weights
from torch import Tensor

from entrobench.entropy.logits import entropy
from entrobench.errors import InputError
from entrobench.models.language_model import recompute_layers
from entrobench.models.shared_prefix import FAMILIES, lay_out, obstacle_in, row_states, share_prompts, shares_prompts
from entrobench.training.forward import Sequences, frozen_forward, pack, token_forward
from entrobench.training.micro_batches import ForwardLimits

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
VARIANTS: dict[str, dict[str, Any]] = {
    **{family: {} for family in FAMILIES},
    "tied": {"tie_word_embeddings": True},
    "alone": {"num_key_value_heads": 4},
}


def unequal_sequences() -> Sequences:
    """Ten answers to four prompts, all lengths unequal; one prompt has a single answer, one a single token."""
    generator = torch.Generator().manual_seed(0)

    def words(count: int) -> list[int]:
        return torch.randint(BODY.start, BODY.stop, (count,), generator=generator).tolist()

    prompts = [words(length) for length in (7, 1, 12, 4)]
    owners = [0, 0, 0, 1, 1, 2, 3, 3, 3, 3]
    return pack(
        [prompts[owner] for owner in owners], [words(1 + 5 * row % 9) for row in range(10)], torch.device("cpu")
    )


def made(variant: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """A model that shares prompts and one of the same weights that does not."""
    plain = tiny_model(variant if variant in FAMILIES else "llama", **VARIANTS[variant])
    plain = exact(plain) if dtype == torch.float64 else plain
    shared = copy.deepcopy(plain)
    share_prompts(shared)
    assert shares_prompts(shared)
    assert not shares_prompts(plain)
    return shared, plain


def learned(model: Any, sequences: Sequences, micro_batch: int, chunk: int = 4096) -> tuple[Tensor, Tensor]:
    """Log-probabilities [S,T], and the gradient of a loss of them and of entropies, in micro-batches."""
    model.zero_grad()
    logps, place = [], torch.arange(1.0, 1 + sequences.mask.shape[1]).sin()
    for rows in torch.arange(len(sequences.mask)).split(micro_batch):
        logp, values = token_forward(model, sequences.rows(rows), {"entropy": entropy}, 0.7, chunk)
        (logp * place.to(logp) * (1 + rows[:, None]) + values["entropy"] ** 2).sum().div(
            sequences.mask.sum()
        ).backward()
        logps.append(logp.detach())
    return torch.cat(logps), torch.cat([weight.grad.flatten() for weight in model.parameters()])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_log_probabilities_and_gradients_are_those_of_the_plain_way(variant: str, dtype: torch.dtype) -> None:
    (shared, plain), sequences = made(variant, dtype), unequal_sequences()
    expected_logp, expected = learned(plain, sequences, 10)
    for micro_batch, chunk in ((10, 4096), (3, 5), (1, 4096)):
        logp, gradient = learned(shared, sequences, micro_batch, chunk)
        torch.testing.assert_close(logp, expected_logp, atol=TOLERANCE[dtype], rtol=0)
        torch.testing.assert_close(gradient, expected, atol=TOLERANCE[dtype] * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_forwards_without_gradient_are_those_of_the_plain_way(family: str) -> None:
    """So the records of the sampling policy and of the reference are made."""
    (shared, plain), sequences = made(family, torch.float64), unequal_sequences()
    expected, values = frozen_forward(plain, sequences, {"entropy": entropy}, 1.0, ForwardLimits(10, 4096))
    for limits in (ForwardLimits(10, 4096), ForwardLimits(3, 7), ForwardLimits(1, 4096), ForwardLimits(10, 4096, 60)):
        found, others = frozen_forward(shared, sequences, {"entropy": entropy}, 1.0, limits)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
        torch.testing.assert_close(others["entropy"], values["entropy"], atol=1e-12, rtol=0)


def test_padding_on_the_right_and_the_order_change_nothing() -> None:
    (shared, _), sequences = made("qwen3", torch.float64), unequal_sequences()
    order = torch.tensor([7, 2, 9, 0, 4, 5, 1, 8, 3, 6])
    padded = Sequences(
        torch.nn.functional.pad(sequences.tokens, (0, 4), value=9)[order],
        sequences.prompt_lengths[order],
        sequences.prompts[order],
        torch.nn.functional.pad(sequences.mask, (0, 3))[order],
    )
    expected, _ = token_forward(shared, sequences, {}, 1.0, 4096)
    found, _ = token_forward(shared, padded, {}, 1.0, 4096)
    torch.testing.assert_close(found[:, : expected.shape[1]], expected[order], atol=1e-12, rtol=0)
    assert bool((found[:, expected.shape[1] :] == 0).all())


def test_every_prompt_is_run_once_and_no_padding() -> None:
    (shared, _), sequences = made("llama", torch.float32), unequal_sequences()
    layout = lay_out(sequences.tokens, sequences.prompts, sequences.prompt_lengths, torch.tensor(sequences.lengths))
    assert len(layout.tokens) == 7 + 1 + 12 + 4 + int(sequences.mask.sum())
    assert row_states(shared, layout).shape[0] == len(layout.tokens)
    for row, length in enumerate(sequences.lengths):
        place = layout.sequences[row, :length]
        assert layout.tokens[place].tolist() == sequences.tokens[row, :length].tolist()
        assert layout.positions[place].tolist() == list(range(length))


def test_an_answer_does_not_see_another_answer() -> None:
    (shared, _), sequences = made("qwen2", torch.float64), unequal_sequences()
    expected, _ = token_forward(shared, sequences, {}, 1.0, 4096)
    start = int(sequences.prompt_lengths[0])
    sequences.tokens[0, start] = (sequences.tokens[0, start] + 1 - BODY.start) % len(BODY) + BODY.start
    found, _ = token_forward(shared, sequences, {}, 1.0, 4096)
    assert float((found[0] - expected[0]).detach().abs().max()) > 1e-3
    torch.testing.assert_close(found[1:], expected[1:], atol=1e-12, rtol=0)


def test_recomputed_layers_give_the_same_gradient() -> None:
    (shared, plain), sequences = made("llama", torch.float64), unequal_sequences()
    _, expected = learned(plain, sequences, 10)
    recompute_layers(shared)
    torch.testing.assert_close(
        learned(shared, sequences, 4)[1], expected, atol=1e-12 * float(expected.abs().max()), rtol=0
    )


def test_a_model_that_shares_prompts_does_all_else_as_before(tmp_path: Path) -> None:
    shared, plain = made("qwen2", torch.float32)
    tokens = torch.tensor([[0, 0, 5, 6, 7], [8, 9, 10, 11, 12]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])  # padding on the left, as in generate()
    assert torch.equal(shared(tokens, attention_mask=mask).logits, plain(tokens, attention_mask=mask).logits)
    for name, model in (("shared", shared), ("plain", plain)):
        model.save_pretrained(tmp_path / name)
    assert (tmp_path / "shared/config.json").read_text() == (tmp_path / "plain/config.json").read_text()


def test_attention_that_is_not_known_is_refused_or_run_the_plain_way_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sliding = tiny_model("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1)
    assert "sliding window" in str(obstacle_in(sliding))
    with pytest.raises(InputError, match="shared_prefix: known for llama, qwen2, qwen3, not for 'mistral': use auto"):
        share_prompts(tiny_model("mistral"))
    from entrobench.distributed.ranks import Ranks
    from entrobench.training.assembly import _share_prompts

    _share_prompts(sliding, "auto", Ranks())
    assert not shares_prompts(sliding)
    assert "each prompt is run once per answer: not for layers with a sliding window" in capsys.readouterr().out


def test_a_run_without_sharing_is_the_same_run(tmp_path: Path) -> None:
    model, data = save_tiny(tmp_path / "model", "qwen3"), save_data(tmp_path / "data")
    runs = {}
    for setting in ("auto", "never"):
        config = run_config("reference_kl", steps=1)
        runs[setting] = tiny_trainer(model, data, tmp_path / setting, config, shared_prefix=setting)
        assert shares_prompts(runs[setting].parts.model) == shares_prompts(runs[setting].parts.reference)
        runs[setting].run()
    assert shares_prompts(runs["auto"].parts.model)
    assert not shares_prompts(runs["never"].parts.model)
    start = tiny_trainer(model, data, tmp_path / "start", run_config("reference_kl", steps=1))
    moved = float((weights(runs["auto"]) - weights(start)).abs().max())
    assert moved > 1e-3
    assert float((weights(runs["auto"]) - weights(runs["never"])).abs().max()) < 1e-3 * moved
