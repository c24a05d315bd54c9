"""BAPO by hand: the balance of contributions, the two searches, and the clip with the bounds that they find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from golden_records import method, mini_batch, no_draws, padded, slope, token_batch

from entrobench.api import MiniBatch
from entrobench.catalogue.registry import load_method
from entrobench.catalogue.variants import load_variant
from entrobench.config import parse
from entrobench.errors import InputError


def tokens(ratios: list[float], advantages: list[float], **changes: Any) -> MiniBatch:
    """One token per sequence."""
    logp = padded([[ratio] for ratio in ratios]).log()
    return mini_batch([[a] for a in advantages], logp_old=logp * 0, fresh={"logp": logp}, **changes)


def bounds(batch: MiniBatch, **values: Any) -> list[tuple[float, float]]:
    """(lower, upper) of each sequence."""
    found = method("bapo", **values).select(batch, no_draws)
    return list(zip(found["lower"][:, 0].tolist(), found["upper"][:, 0].tolist(), strict=True))


def test_a_balanced_update_keeps_the_starting_bounds() -> None:
    # 1.2·1 (cut from 1.5) over 0.9·1
    assert bounds(tokens([1.5, 0.9], [1.0, -1.0])) == [(0.6, 1.2)] * 2


def test_the_upper_bound_rises_until_the_balance_is_met() -> None:
    # positive min(3, upper), negative 1.62: lower does nothing at r = 1.62 but is exhausted first, upper stops at 1.65
    found = bounds(tokens([3.0, 1.62], [1.0, -1.0]))
    assert found == [(pytest.approx(0.8), pytest.approx(1.65))] * 2


def test_a_search_that_fails_ends_at_both_largest_bounds() -> None:
    assert bounds(tokens([0.5, 4.0], [1.0, -1.0])) == [(pytest.approx(0.8), pytest.approx(2.0))] * 2


def test_without_negative_advantages_nothing_is_searched() -> None:
    assert bounds(tokens([0.5, 1.0], [1.0, 0.0])) == [(0.6, 1.2)] * 2


def test_raising_the_lower_bound_never_helps_the_published_balance() -> None:
    # max(r, lower) of a negative token can only grow: at r = 0.1 the balance 0.6/0.6 = 1 is met, at target 1.01 it
    # falls to 0.6/0.8 as the lower bound rises, and the upper one cannot move a positive token of r = 0.6
    batch = tokens([0.6, 0.1], [1.0, -1.0])
    assert bounds(batch, target=0.99) == [(0.6, 1.2)] * 2
    assert bounds(batch, target=1.01) == [(pytest.approx(0.8), pytest.approx(2.0))] * 2


def test_steps_end_at_the_largest_bound_exactly() -> None:
    found = bounds(tokens([0.5, 4.0], [1.0, -1.0]), lower_step=0.15, upper_step=0.7)
    assert found == [(0.8, 2.0)] * 2


def test_the_scope() -> None:
    # the first micro-batch is balanced by itself, the second is not, and together they are not
    batch = tokens([1.5, 0.9, 3.0, 1.62], [1.0, -1.0, 1.0, -1.0], micro_batch=torch.tensor([0, 0, 1, 1]))
    exact = bounds(batch)
    assert exact == [exact[0]] * 4
    # 2·upper or 1.5 + upper against 0.9 + 1.62 = 2.52: 1.3 + 1.3 > 2.52 > 1.25 + 1.25
    assert exact[0] == (pytest.approx(0.8), pytest.approx(1.3))
    published = bounds(batch, scope="microbatch")
    assert published[:2] == [(0.6, 1.2)] * 2
    assert published[2:] == [(pytest.approx(0.8), pytest.approx(1.65))] * 2


# ratio, advantage -> loss and slope with the bounds [0.7, 1.5]
SURROGATE = [
    (1.4, 1.0, -1.4, -1.4),
    (1.6, 1.0, -1.5, 0.0),
    (0.75, -1.0, 0.75, 0.75),
    (0.65, -1.0, 0.7, 0.0),
    (1.6, -1.0, 1.6, 1.6),
]


def test_the_clip_with_the_bounds_of_the_search() -> None:
    ratios, advantages, losses, slopes = (list(column) for column in zip(*SURROGATE, strict=True))
    batch = token_batch(ratios, advantages)
    batch.extras["lower"] = torch.full_like(batch.logp_old, 0.7)  # type: ignore[index]
    batch.extras["upper"] = torch.full_like(batch.logp_old, 1.5)  # type: ignore[index]
    found = method("bapo").token_loss(batch)
    assert found[0].tolist() == pytest.approx(losses, rel=1e-12)
    assert slope(found, batch.logp) == pytest.approx(slopes, rel=1e-12)


@pytest.mark.parametrize("bound", ["lower", "upper"])
def test_a_start_above_the_largest_bound_is_refused(bound: str) -> None:
    values = {"lower": {"lower_start": 0.9, "lower_max": 0.8}, "upper": {"upper_start": 3.0, "upper_max": 2.0}}[bound]
    with pytest.raises(InputError, match=rf"{bound}_start .* is above {bound}_max"):
        parse(load_method("bapo").Config, values, "here")


PRESETS = Path(__file__).parents[2] / "config" / "methods"


@pytest.mark.parametrize(("name", "target"), [("bapo_readme", 1.0), ("bapo_example", 0.5)])
def test_the_papers_half_of_the_total_is_a_balance_of_one(name: str, target: float) -> None:
    # ρ0 = 0.5 = positive/(positive + negative) where both are equal; the example's script hands 0.5 to the code itself
    assert load_variant(name, PRESETS / f"{name}.yaml").values["target"] == target
