"""Training on synthetic processes: rows do not touch each other, draws are shared, λ follows the paper's rule."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from processes import apart

from entrobench.theory import ascent as module
from entrobench.theory.arms import ARMS, CONSTANT, Arm, run_arm
from entrobench.theory.ascent import Ascent, Controller, Draws, State, ascend, watch
from entrobench.theory.bonus import kept_actions
from entrobench.theory.calibration import reward_alone
from entrobench.theory.constructions import Construction, build, stack
from entrobench.theory.process import Floats, Process, policies, value_gradient

SMALL = Construction(actions=200, spread=1.0, rate=20.0, coefficient=0.05, clamp=0.5)


def test_grouped_training_equals_training_every_action_alone() -> None:
    process, logits = build(SMALL, 3, 3, 0)
    alone, own = apart(process, logits)
    settings = Ascent(
        rates=numpy.array([20.0]),
        coefficients=numpy.array([0.05]),
        kept=numpy.array([float(kept_actions(200, 0.5))]),
        controller=Controller(low=1.0, high=2.0, rate=0.001),
    )
    grouped = ascend(process, logits, settings, [0, 5, 60], watch)
    single = ascend(alone, own, settings, [0, 5, 60], watch)
    for name in grouped:
        assert numpy.allclose(grouped[name], single[name], rtol=1e-9, atol=1e-12), name  # 60 steps of rounding


def test_blocks_of_rows_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [SMALL, Construction(actions=200, spread=2.0, rate=5.0, coefficient=0.02, clamp=0.9)]
    arm = Arm("clamped_adaptive", clamped=True, adaptive=True)
    whole = run_arm(arm, wanted, (3, 1), 3, [0, 20], watch, Controller())
    monkeypatch.setattr(module, "BLOCK", 1)
    by_row = run_arm(arm, wanted, (3, 1), 3, [0, 20], watch, Controller())
    assert all((whole[name] == by_row[name]).all() for name in whole)


def test_a_coefficient_of_nothing_is_no_bonus() -> None:
    without = Construction(actions=200, coefficient=0.0)
    none, *others = (run_arm(arm, [without], (2,), 2, [30], reward_alone)["reward"] for arm in CONSTANT)
    assert all((own == none).all() for own in others)


def test_constructions_that_differ_in_unused_settings_are_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    plain = module.ascend

    def counted(process: Process, logits: list[Floats], ascent: Ascent, *rest: Any) -> dict[str, Floats]:
        rows.append(len(ascent.rates))
        return plain(process, logits, ascent, *rest)

    monkeypatch.setattr("entrobench.theory.arms.ascend", counted)
    wanted = [Construction(actions=100, clamp=p, coefficient=c) for p in (0.5, 0.9) for c in (0.01, 0.02)]
    found = {arm.name: run_arm(arm, wanted, (1,), 2, [3], reward_alone)["reward"] for arm in CONSTANT}
    assert rows == [2, 4, 8]
    assert (found["entropy"][0, 0] == found["entropy"][0, 2]).all()
    assert (found["none"] == found["none"][:, :1]).all()


def test_kinds_of_gradient_come_back_in_the_order_of_the_grid() -> None:
    mixed = [Construction(actions=100, gradient=kind, rate=r) for r in (10.0, 300.0) for kind in ("exact", "sampled")]
    together = run_arm(ARMS[1], mixed, (2,), 2, [20], reward_alone)["reward"]
    for number, one in enumerate(mixed):
        assert (together[:, number] == run_arm(ARMS[1], [one], (2,), 2, [20], reward_alone)["reward"][:, 0]).all()


def test_sampled_gradient_is_unbiased() -> None:
    """The mean over 20,000 draws lies within 5 standard errors of the exact gradient at every logit."""
    process, logits = build(Construction(actions=40, spread=1.0, lift=2.0, horizon=2), 3, 3, 0)
    found = policies(process, logits)
    settings = Ascent(rates=numpy.ones(1), samples=1, streams=[0])
    draws = Draws(process, settings)
    drawn = [numpy.stack(own) for own in zip(*(draws.gradient(found) for _ in range(20_000)), strict=True)]
    for own, exact in zip(drawn, value_gradient(process, found), strict=True):
        error = own.std(0) / numpy.sqrt(len(own)) + 1e-12
        assert (numpy.abs(own.mean(0) - exact) < 5 * error).all()


def test_rows_of_one_stream_draw_the_same_numbers() -> None:
    process, logits = stack([build(Construction(actions=40, lift=2.0), 3, 3, 0)] * 2)
    found = policies(process, logits)
    shared = Draws(process, Ascent(rates=numpy.ones(2), samples=4, streams=[7, 7])).gradient(found)[0]
    other = Draws(process, Ascent(rates=numpy.ones(2), samples=4, streams=[7, 8])).gradient(found)[0]
    assert (shared[0] == shared[1]).all()
    assert (other[0] == shared[0]).all()
    assert (other[0] != other[1]).any()


def test_sampled_gradient_refuses_what_it_would_get_wrong() -> None:
    process, _ = build(Construction(actions=40, decoys=20), 1, 1, 0)
    with pytest.raises(ValueError, match="groups of one action"):
        Draws(process, Ascent(rates=numpy.ones(1), samples=1, streams=[0]))


def test_controller_is_equation_4_1_by_hand() -> None:
    rule = Controller(low=1.0, high=2.0, rate=0.1, floor=0.01, ceiling=0.2)
    start = numpy.full(5, 0.1)
    entropy = numpy.array([0.5, 1.5, 2.5, -9.0, 30.0])
    # below the band λ rises by β·(1 − 0.5), above it falls by β·(2.5 − 2), inside it stays; then the box
    assert rule.update(start, entropy) == pytest.approx([0.15, 0.1, 0.05, 0.2, 0.01])


def test_watch_says_what_it_names() -> None:
    process, logits = build(Construction(actions=64, spread=0.0), 1, 1, 0)
    seen = watch(State(0, process, logits, policies(process, logits), None, None))
    assert seen["entropy"][0] == pytest.approx(numpy.log(64), abs=1e-12)
    assert seen["reward"][0] == pytest.approx(1 / 64, abs=1e-15)
