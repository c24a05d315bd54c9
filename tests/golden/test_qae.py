"""QAE by hand: hard groups learn from what was right alone, easy ones from what was wrong alone."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from golden_records import method, step_batch

from entrobench.api import Method
from entrobench.catalogue.registry import load_method
from entrobench.config import parse
from entrobench.errors import InputError
from entrobench.methods.qae import group_quantile


def advantages(subject: Method, rewards: list[float], groups: list[int] | None = None) -> list[float]:
    found = subject.advantages(step_batch(rewards, groups or [0] * len(rewards), [1] * len(rewards)))
    return found[:, 0].tolist()


# one right of four, or one wrong: squares 9/16 + 3/16 = 3/4, variance 1/4, standard deviation 1/2
SCALE = 1 / (0.5 + 1e-6)


def test_a_hard_and_an_easy_group() -> None:
    # interleaved: (1,0,0,0) has p 1/4 <= 0.6, baseline 0; (1,1,1,0) has p 3/4 > 0.6, baseline 1
    found = advantages(method("qae"), [1, 1, 0, 1, 0, 1, 0, 0], [0, 1] * 4)
    assert found[0::2] == pytest.approx([SCALE, 0, 0, 0], rel=1e-12)
    assert found[1::2] == pytest.approx([0, 0, 0, -SCALE], rel=1e-12)


def test_padding_stays_zero() -> None:
    found = method("qae").advantages(step_batch([1, 0, 0, 0], [0] * 4, [1, 2, 3, 2]))
    assert found[0].tolist() == pytest.approx([SCALE, 0, 0], rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tenths", range(1, 10))
def test_the_two_regimes_at_every_share_of_right_answers(tenths: int, dtype: torch.dtype) -> None:
    # in exact arithmetic: p <= 1 - K is hard; floating point must not move a share that equals K
    quantile = Fraction(tenths, 10)
    for size in range(2, 21):
        for right in range(1, size):
            rewards = torch.tensor([1.0] * right + [0.0] * (size - right), dtype=dtype)
            hard = Fraction(right, size) <= 1 - quantile
            found = group_quantile(rewards, tenths / 10, "inverted_cdf").item()
            assert found == (0.0 if hard else 1.0), (size, right)


def test_rewards_that_are_not_binary() -> None:
    # CDF of 1, 2, 3, 4, 5 reaches 0.4 at 2; variance 10/4
    scale = 1 / (2.5**0.5 + 1e-6)
    expected = [(reward - 2) * scale for reward in (5, 3, 1, 4, 2)]
    assert advantages(method("qae"), [5, 3, 1, 4, 2]) == pytest.approx(expected, rel=1e-12)


def test_the_authors_code_interpolates_and_so_leaves_the_two_regimes() -> None:
    # five right of eight: place 0.4·7 = 2.8 between the third reward, 0, and the fourth, 1: baseline 0.8 and not 1
    scale = 1 / ((15 / 56) ** 0.5 + 1e-6)  # squares 5·(3/8)² + 3·(5/8)² = 15/8, over 7
    rewards = [1.0] * 5 + [0.0] * 3
    linear = advantages(method("qae", interpolation="linear"), rewards)
    assert linear == pytest.approx([0.2 * scale] * 5 + [-0.8 * scale] * 3, rel=1e-12)
    assert advantages(method("qae"), rewards) == pytest.approx([0.0] * 5 + [-scale] * 3, rel=1e-12)


@pytest.mark.parametrize("interpolation", ["inverted_cdf", "linear"])
def test_a_constant_group_has_no_advantage(interpolation: str) -> None:
    assert advantages(method("qae", interpolation=interpolation), [0.1] * 7) == [0.0] * 7


@pytest.mark.parametrize("quantile", [0.0, 1.0])
def test_the_ends_are_refused(quantile: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1, both excluded"):
        parse(load_method("qae").Config, {"quantile": quantile}, "here")
