"""Top-k, nucleus and clamped entropies against a float64 definition by sorting, with ties shared; and hard rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from entrobench.entropy import row_statistics
from entrobench.entropy.logits import (
    clamped_entropy,
    entropy,
    log_probs,
    logit_statistics,
    token_statistics,
    top_k_entropy,
    top_p_entropy,
)

ROWS = st.lists(st.one_of(st.floats(-20, 20, width=32), st.integers(-2, 2).map(float)), min_size=1, max_size=12)
ENTROPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "full": entropy,
    "clamped": partial(clamped_entropy, clamp=0.3),
    "top_k": partial(top_k_entropy, k=40),
    "top_p": partial(top_p_entropy, p=0.9),
    "top_p below": partial(top_p_entropy, p=0.9, include_crossing=False),
}


def over_first(row: list[float], places: int) -> float:
    """Entropy over the first `places` tokens in falling order: which of equal tokens comes first does not matter."""
    kept = sorted(row, reverse=True)[:places]
    total = math.fsum(math.exp(z - kept[0]) for z in kept) if kept else 1.0
    parts = [math.exp(z - kept[0]) / total for z in kept]
    return -math.fsum(q * math.log(q) for q in parts if q > 0)


def nucleus(row: list[float], p: float, include_crossing: bool) -> set[int]:
    """Sizes that the nucleus may have: two where rounding decides."""
    ordered = sorted(row, reverse=True)
    masses = [math.exp(z - ordered[0]) for z in ordered]
    limit, sizes = p * math.fsum(masses), set()
    for wanted in (limit * (1 - 1e-12), limit, limit * (1 + 1e-12)):
        reached = [math.fsum(masses[: n + 1]) for n in range(len(row))]
        if include_crossing:
            sizes.add(min(len(row), sum(r < wanted for r in reached) + 1) if wanted > 0 else 0)
        else:
            sizes.add(sum(r <= wanted for r in reached))
    return sizes


@given(ROWS, st.integers(1, 15))
def test_top_k_equals_the_definition(row: list[float], k: int) -> None:
    found = top_k_entropy(torch.tensor([row], dtype=torch.float64), k)
    assert float(found) == pytest.approx(over_first(row, k), abs=1e-10)


@given(ROWS, st.floats(0, 0.999), st.booleans())
def test_top_p_equals_the_definition(row: list[float], p: float, include_crossing: bool) -> None:
    found = float(top_p_entropy(torch.tensor([row], dtype=torch.float64), p, include_crossing))
    assert any(found == pytest.approx(over_first(row, n), abs=1e-10) for n in nucleus(row, p, include_crossing))


@pytest.mark.parametrize("name", ENTROPIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_those_of_float64(name: str, dtype: torch.dtype) -> None:
    source = torch.Generator().manual_seed(3)
    logits = (3 * torch.randn(6, 5000, generator=source)).to(dtype)
    exact = logits.double().requires_grad_()
    rounded = logits.requires_grad_()
    value, expected = ENTROPIES[name](rounded), ENTROPIES[name](exact)
    value.sum().backward()
    expected.sum().backward()
    assert rounded.grad is not None
    assert exact.grad is not None
    tolerance = 1e-4 if dtype == torch.float32 else 5e-3  # the gradient itself is rounded to bfloat16
    assert float((value.double() - expected).abs().max()) < 1e-5
    difference = (rounded.grad.double() - exact.grad).abs().amax(1) / exact.grad.abs().amax(1)
    assert float(difference.max()) < tolerance
    assert torch.equal(rounded.grad != 0, exact.grad.to(dtype) != 0), "the same tokens are kept"


def test_logits_that_the_shift_rounds_together_are_told_apart() -> None:
    logits = torch.tensor([[10.0, 1e-7, 2e-7, 3e-7, -5.0], [10.0, 2e-7, 2e-7, 1e-7, -5.0]])
    shifted = logits - 10
    assert len(set(shifted[0, 1:4].tolist())) < 3, "the case is about rounding"
    leaf = logits.requires_grad_()
    top_k_entropy(leaf, 2).sum().backward()
    assert leaf.grad is not None
    assert (leaf.grad != 0).tolist() == [[True, False, False, True, False], [True, True, True, False, False]]
    assert float(leaf.grad[1, 1]) == float(leaf.grad[1, 2])


@pytest.mark.parametrize("include_crossing", [True, False])
def test_an_empty_nucleus_has_no_entropy_and_no_gradient(include_crossing: bool) -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0], [1.0, 1.0, 1.0]], requires_grad=True)
    value = top_p_entropy(logits, 0.0, include_crossing)
    value.sum().backward()
    assert value.tolist() == [0.0, 0.0]
    assert logits.grad is not None
    assert bool((logits.grad == 0).all())


@pytest.mark.parametrize("name", ENTROPIES)
def test_fewer_finite_logits_than_places(name: str) -> None:
    logits = torch.full((1, 90), -torch.inf)
    logits[0, [3, 50]] = torch.tensor([0.5, 0.0])
    leaf = logits.requires_grad_()
    value = ENTROPIES[name](leaf)
    value.sum().backward()
    below = name == "top_p below"  # the first token holds 0.62, the second crosses 0.9
    assert float(value) == pytest.approx(0.0 if below else over_first([0.5, 0.0], 2), abs=1e-6)
    assert leaf.grad is not None
    assert leaf.grad[0, torch.arange(90) % 47 != 3].tolist() == [0.0] * 88
    assert bool(leaf.grad.isfinite().all())


@pytest.mark.parametrize("name", ENTROPIES)
@pytest.mark.parametrize("lowest", [-torch.inf, -3e38])
def test_large_gradients_stay_finite_at_dropped_logits(name: str, lowest: float) -> None:
    logits, labels = torch.randn(2, 60), torch.tensor([3, 4])
    logits[:, ::7] = lowest
    leaf = logits.requires_grad_()
    (100 * (log_probs(leaf, labels) + ENTROPIES[name](leaf))).sum().backward()
    logp, value = logit_statistics(leaf, labels, [ENTROPIES[name]])
    (at_logits,) = torch.autograd.grad((100 * (logp + value)).sum(), leaf)
    assert leaf.grad is not None
    assert bool(leaf.grad.isfinite().all())
    assert torch.allclose(at_logits, leaf.grad, rtol=1e-4, atol=1e-4), "shared exponentials, the same gradient"


@pytest.mark.parametrize("name", ENTROPIES)
def test_a_vocabulary_of_one(name: str) -> None:
    logits = torch.tensor([[2.0], [-1.0]], requires_grad=True)
    value = ENTROPIES[name](logits)
    value.sum().backward()
    assert value.tolist() == [0.0, 0.0]
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("name", ENTROPIES)
def test_gradients_match_finite_differences(name: str) -> None:
    logits = 2 * torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    assert torch.autograd.gradcheck(ENTROPIES[name], (logits.requires_grad_(),))


def test_log_probs_raise_at_nan_and_have_the_softmax_gradient() -> None:
    logits, labels = torch.randn(2, 7, dtype=torch.float64).requires_grad_(), torch.tensor([1, 6])
    assert torch.autograd.gradcheck(lambda z: log_probs(z, labels), (logits,))
    with pytest.raises(ValueError, match="NaN"):
        log_probs(torch.full((2, 7), float("nan")), labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: clamped_entropy(z, 1.0), "clamp"),
        (lambda z: top_k_entropy(z, 0), "k must"),
        (lambda z: top_p_entropy(z, 1.5), "p must"),
    ],
)
def test_values_out_of_range_are_refused(call: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(1, 4))


@pytest.mark.parametrize("name", ENTROPIES)
def test_the_number_of_threads_changes_no_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = 3 * torch.randn(40, 300, generator=torch.Generator().manual_seed(7))
    monkeypatch.setattr(row_statistics, "BLOCK", 900)  # three rows
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = bits(ENTROPIES[name], logits)
        torch.set_num_threads(2)
        found = bits(ENTROPIES[name], logits)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(alone, found, strict=True))


def bits(function: Callable[[Tensor], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = function(leaf)
    value.sum().backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def test_a_statistic_without_gradient_is_not_computed_again() -> None:
    calls = []

    def logged(logits: Tensor) -> Tensor:
        calls.append(len(logits))
        return logits.square().mean(1)

    hidden, weight = torch.randn(6, 4).requires_grad_(), torch.randn(9, 4).requires_grad_()
    labels = torch.arange(6)
    logp, values = token_statistics(hidden, weight, None, labels, {"logged": logged}, 1.0, 2)
    (logp.sum() + 0 * values["logged"].sum()).backward()
    assert calls == [2, 2, 2]
