"""Entropies and the chunked output layer against definitions written in Python floats."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
import torch
from golden_records import ROUNDED
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from entrobench.entropy.logits import clamped_entropy, entropy, log_probs, token_statistics
from entrobench.entropy.selection import removed_count

INFINITY = float("inf")
ROWS = st.lists(st.one_of(st.floats(-30, 30, width=32), st.integers(-2, 2).map(float)), min_size=1, max_size=12)
SHARES = st.decimals(0, "0.99", places=2).map(float)


def by_hand(row: list[float], removed: int) -> float:
    """Entropy over the kept tokens; equal values at the cut share the places that are left, by weight."""
    ordered = sorted(row)
    cut = ordered[removed]
    above = [z for z in row if z > cut]
    tied = row.count(cut)
    share = (len(row) - removed - len(above)) / tied
    terms = [(1.0, z) for z in above] + [(share, cut)] * tied
    top = max(row)
    total = math.fsum(w * math.exp(z - top) for w, z in terms)
    parts = [(w * math.exp(z - top) / total, z - top - math.log(total)) for w, z in terms if z > -INFINITY]
    return -math.fsum(q * logp for q, logp in parts)


def rows_of(generator: int, count: int, vocabulary: int) -> Tensor:
    return 3 * torch.randn(count, vocabulary, dtype=torch.float64, generator=torch.Generator().manual_seed(generator))


@given(ROWS, SHARES)
def test_clamped_entropy_equals_the_definition(row: list[float], clamp: float) -> None:
    found = clamped_entropy(torch.tensor([row], dtype=torch.float64), clamp)
    removed = math.floor(Fraction(str(clamp)) * len(row))
    assert float(found) == pytest.approx(by_hand(row, removed), abs=1e-10)


@given(ROWS)
def test_entropy_equals_the_definition(row: list[float]) -> None:
    assert float(entropy(torch.tensor([row], dtype=torch.float64))) == pytest.approx(by_hand(row, 0), abs=1e-10)


@given(ROWS, SHARES, st.floats(-50, 50))
def test_a_shift_of_all_logits_changes_nothing(row: list[float], clamp: float, shift: float) -> None:
    logits = torch.tensor([row], dtype=torch.float64)
    shifted = torch.tensor([[z + round(shift) for z in row]], dtype=torch.float64)
    if len(set(shifted[0].tolist())) == len(set(row)):  # a shift may merge values that differ by less than rounding
        assert float(clamped_entropy(shifted, clamp)) == pytest.approx(float(clamped_entropy(logits, clamp)), abs=1e-9)


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12), SHARES, st.randoms(use_true_random=False))
def test_the_order_of_tokens_changes_nothing(row: list[float], clamp: float, shuffler: object) -> None:
    mixed = list(row)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    values = clamped_entropy(torch.tensor([row, mixed], dtype=torch.float64), clamp)
    assert float(values[0]) == pytest.approx(float(values[1]), abs=1e-12)


@given(ROWS, SHARES)
def test_the_bounds_of_entropy(row: list[float], clamp: float) -> None:
    kept = len(row) - removed_count(clamp, len(row))
    value = float(clamped_entropy(torch.tensor([row], dtype=torch.float64), clamp))
    assert -1e-12 <= value <= math.log(len(row)) + 1e-12
    if len(set(row)) == len(row):  # with ties at the cut, more tokens than places share the mass
        assert value <= math.log(kept) + 1e-12


@given(st.decimals(0, "0.999", places=3), st.integers(1, 200_000))
def test_the_removed_count_is_exact(share: Decimal, vocabulary: int) -> None:
    assert removed_count(float(share), vocabulary) == math.floor(Fraction(share) * vocabulary)


@pytest.mark.parametrize("clamp", [0.0, 0.25, 0.5])
def test_gradients_match_finite_differences(clamp: float) -> None:
    logits = rows_of(1, 3, 9).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: clamped_entropy(z, clamp), (logits,))
    assert torch.autograd.gradcheck(entropy, (logits,))


def test_gradients_at_infinite_logits_are_zero() -> None:
    logits = torch.tensor([[1.0, -INFINITY, 0.5, -INFINITY, 0.0]], dtype=torch.float64, requires_grad=True)
    finite = torch.tensor([[1.0, 0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    entropy(logits).sum().backward()
    entropy(finite).sum().backward()
    assert logits.grad is not None
    assert finite.grad is not None
    assert logits.grad[0, [1, 3]].tolist() == [0.0, 0.0]
    assert logits.grad[0, [0, 2, 4]].tolist() == pytest.approx(finite.grad[0].tolist(), abs=ROUNDED)


@pytest.mark.parametrize("function", [entropy, lambda z: clamped_entropy(z, 0.3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-5)])
def test_lower_precision_is_computed_in_float32(function: object, dtype: torch.dtype, tolerance: float) -> None:
    rounded = rows_of(2, 5, 200).to(dtype).requires_grad_()
    value = function(rounded)  # type: ignore[operator]
    exact = function(rounded.detach().double())  # type: ignore[operator]
    assert value.dtype == torch.float32
    assert value.tolist() == pytest.approx(exact.tolist(), rel=tolerance)
    value.sum().backward()
    assert rounded.grad is not None
    assert rounded.grad.dtype == dtype


@pytest.mark.parametrize("function", [entropy, lambda z: clamped_entropy(z, 0.3)])
@pytest.mark.parametrize("place", [0, 7])
def test_nan_raises(function: object, place: int) -> None:
    logits = rows_of(3, 2, 8).float()
    logits[1, place] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        function(logits)  # type: ignore[operator]


def test_huge_logits_stay_finite() -> None:
    logits = torch.tensor([[3e38, -3e38, 3e38, 0.0]], requires_grad=True)
    value = entropy(logits)
    value.sum().backward()
    assert float(value.detach()) == pytest.approx(math.log(2), rel=1e-6)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_log_probs_are_the_softmax() -> None:
    logits, labels = rows_of(4, 6, 11), torch.tensor([0, 3, 10, 5, 5, 1])
    expected = [
        row[label] - math.log(math.fsum(map(math.exp, row)))
        for row, label in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    assert log_probs(logits, labels).tolist() == pytest.approx(expected, rel=1e-12)


def through_the_head(chunk: int, temperature: float, bias: bool) -> tuple[Tensor, ...]:
    """Log-probabilities, a statistic, and the gradients of a weighted sum of both."""
    hidden, weight = rows_of(5, 7, 4).requires_grad_(), rows_of(6, 13, 4).requires_grad_()
    offset = rows_of(7, 1, 13)[0].requires_grad_() if bias else None
    labels = torch.tensor([0, 12, 3, 4, 4, 9, 1])
    stats = {"clamped": lambda z: clamped_entropy(z, 0.3)}
    logp, values = token_statistics(hidden, weight, offset, labels, stats, temperature, chunk)
    (torch.linspace(1, 2, 7, dtype=torch.float64) * (logp - 0.3 * values["clamped"])).sum().backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    return logp.detach(), values["clamped"].detach(), hidden.grad, weight.grad


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_chunk_changes_nothing(temperature: float, bias: bool) -> None:
    whole = through_the_head(100, temperature, bias)
    for chunk in (1, 2, 7):
        for found, expected in zip(through_the_head(chunk, temperature, bias), whole, strict=True):
            assert torch.allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_output_layer_equals_whole_logits(temperature: float) -> None:
    logp, clamped, _, _ = through_the_head(2, temperature, bias=True)
    logits = (rows_of(5, 7, 4) @ rows_of(6, 13, 4).T + rows_of(7, 1, 13)[0]) / temperature
    expected = logits.log_softmax(-1)[torch.arange(7), torch.tensor([0, 12, 3, 4, 4, 9, 1])]
    assert torch.allclose(logp, expected, atol=1e-12)
    assert clamped.tolist() == pytest.approx([by_hand(row, 3) for row in logits.tolist()], abs=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("clamp", [0.0, 0.33])
def test_the_gpu_equals_the_cpu(clamp: float) -> None:
    rounded = rows_of(8, 6, 3000).bfloat16()  # many ties at the cut
    found = clamped_entropy(rounded.cuda(), clamp).cpu()
    assert found.tolist() == pytest.approx(clamped_entropy(rounded, clamp).tolist(), rel=1e-5)
