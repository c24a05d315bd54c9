"""Forking tokens by hand: quantiles of small sets, the three scopes, both divisors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, slope, token_batch

from entrobench.training.update import divisor_weights

ENTROPIES = [[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0]]


def selected(**values: Any) -> list[list[float]]:
    batch = mini_batch([[1.0] * 5, [1.0] * 2], fresh={"entropy": padded(ENTROPIES)})
    found: list[list[float]] = method("forking_tokens", **values).select(batch, no_draws)["selected"].tolist()
    return found


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.2, [0, 0, 0, 0, 1]),  # quantile 0.8 at place 3.2 of (1, ..., 5): 4.2
        (0.4, [0, 0, 0, 1, 1]),  # place 2.4: 3.4
        (0.5, [0, 0, 1, 1, 1]),  # place 2: 3 itself, which is kept
        (1.0, [1, 1, 1, 1, 1]),
        (0.0, [0, 0, 0, 0, 0]),
    ],
)
def test_the_quantile_of_a_response(fraction: float, expected: list[float]) -> None:
    assert selected(scope="response", fraction=fraction)[0] == expected


def test_the_scopes() -> None:
    # all seven sorted 1 2 3 4 5 10 20: quantile 0.6 at place 3.6 is 4.6
    assert selected(fraction=0.4) == [[0, 0, 0, 0, 1], [1, 1, 0, 0, 0]]
    assert selected(fraction=0.0) == [[0] * 5] * 2
    assert selected(fraction=0.4, scope="response") == [[0, 0, 0, 1, 1], [0, 1, 0, 0, 0]]
    # each sequence is a micro-batch of its own here
    assert selected(fraction=0.4, scope="microbatch") == selected(fraction=0.4, scope="response")


def test_old_entropies_need_no_forward() -> None:
    old = method("forking_tokens", entropy="old", fraction=0.4)
    batch = mini_batch([[1.0] * 5, [1.0] * 2], entropy_old=padded(ENTROPIES))
    assert old.fresh == ()
    assert method("forking_tokens").fresh == ("entropy",)
    assert old.select(batch, no_draws)["selected"].tolist() == [[0, 0, 0, 0, 1], [1, 1, 0, 0, 0]]


def test_the_divisors() -> None:
    # three of seven tokens are selected
    batch = mini_batch([[1.0] * 5, [1.0] * 2])
    extras = {"selected": padded([[0.0, 0.0, 0.0, 0.0, 1.0], [1.0, 1.0]])}
    everything, _ = divisor_weights(method("forking_tokens", divisor="all"), batch, extras)
    assert everything[batch.mask].tolist() == pytest.approx([1 / 7] * 7, rel=1e-12)
    few, _ = divisor_weights(method("forking_tokens"), batch, extras)
    assert few[batch.mask].tolist() == pytest.approx([0, 0, 0, 0, 1 / 3, 1 / 3, 1 / 3], rel=1e-12)
    assert float((few * torch.ones_like(few)).sum()) == pytest.approx(1, rel=1e-12)


def test_the_weights_of_the_selected_sum_to_one_as_in_eq_6() -> None:
    # 80 of 400 tokens; divided by all of them the sum would be 0.2
    entropies = torch.arange(400.0, dtype=torch.float64).view(4, 100)
    batch = mini_batch([[1.0] * 100] * 4, fresh={"entropy": entropies})
    subject = method("forking_tokens")
    extras = dict(subject.select(batch, no_draws))
    assert float(extras["selected"].sum()) == 80
    for divisor, expected in (("selected", 1.0), ("all", 0.2)):
        weights, _ = divisor_weights(method("forking_tokens", divisor=divisor), batch, extras)
        assert float((weights * extras["selected"]).sum()) == pytest.approx(expected, rel=1e-12)


def test_the_other_tokens_cost_nothing() -> None:
    tokens = replace(token_batch([1.1, 1.1, 2.0], [1.0, 1.0, 1.0]), extras={"selected": padded([[1.0, 0.0, 1.0]])})
    found = method("forking_tokens").token_loss(tokens)
    assert found[0].tolist() == pytest.approx([-1.1, 0.0, -1.2], rel=1e-12)
    assert slope(found, tokens.logp) == pytest.approx([-1.1, 0.0, 0.0], rel=1e-12)
