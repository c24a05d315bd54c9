"""One step of policy optimisation against the same step written out action by action."""

from __future__ import annotations

import numpy
import pytest

from entrobench.theory.one_step import OneStep, step, sweep


def by_hand(settings: OneStep, coefficient: float, kept: int) -> numpy.ndarray:
    """Probabilities of all actions after the step, with a loop over actions and no groups; kept 0: no bonus."""
    tail = settings.actions - settings.likely - 2
    rest = 1 - settings.wrong - settings.right - settings.tail
    start = [
        settings.wrong,
        settings.right,
        *[rest / settings.likely] * settings.likely,
        *[settings.tail / tail] * tail,
    ]
    reward = numpy.eye(settings.actions)[1]
    p = numpy.array(start)
    gradient = p * (reward - p @ reward)
    if kept:
        q = numpy.where(numpy.arange(settings.actions) < kept, p, 0) / p[:kept].sum()
        entropy = -(q[:kept] * numpy.log(q[:kept])).sum()
        gradient[:kept] -= coefficient * q[:kept] * (numpy.log(q[:kept]) + entropy)
    moved = numpy.log(p) + settings.rate * gradient
    return numpy.exp(moved) / numpy.exp(moved).sum()


@pytest.mark.parametrize(("clamp", "kept"), [(None, 0), (0.0, 60), (0.7, 18)])
def test_a_step_equals_the_same_step_action_by_action(clamp: float | None, kept: int) -> None:
    """18 kept of 60: wrong, right and 16 of the likely ones would be cut through a tie, so likely is 16."""
    settings = OneStep(actions=60, likely=16, rate=2.0)
    expected, found = by_hand(settings, 0.4, kept), step(settings, 0.4, clamp)
    assert found["wrong"] == pytest.approx(expected[0], abs=1e-14)
    assert found["right"] == pytest.approx(expected[1], abs=1e-14)
    assert found["likely"] == pytest.approx(expected[2:18].sum(), abs=1e-14)
    assert found["tail"] == pytest.approx(expected[18:].sum(), abs=1e-14)
    assert found["entropy"] == pytest.approx(-(expected * numpy.log(expected)).sum(), abs=1e-13)


def test_the_sweep_holds_the_start_the_plain_step_and_every_setting() -> None:
    rows = sweep(OneStep(actions=1000, coefficients=[0.1, 0.2], clamps=[0.33, 0.9]))
    assert [row["method"] for row in rows[:2]] == ["start", "none"]
    settings = {(row["coefficient"], row["clamp"]) for row in rows[2:]}
    assert settings == {(c, p) for c in (0.1, 0.2) for p in (0.0, 0.33, 0.9)}
    assert all(sum(row[name] for name in ("wrong", "right", "likely", "tail")) == pytest.approx(1) for row in rows)
