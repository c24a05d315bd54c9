"""Claim: a bandit with 10^5 different actions takes at least 5,000 exact-gradient steps a minute, in under 1 GiB.

One instance: one method, one number of optimal actions, one seed; every action has a logit of its own, so that none are
grouped; reward gradient, entropy and its gradient in float64. Steps are counted by CPU time, which a busy machine
stretches less than wall time. A study's processes are grouped, and then a step costs a thousandth.
"""

from __future__ import annotations

import time

import numpy
from shared.measure import describe_machine, one_thread, table

ACTIONS, STEPS, ROUNDS = 100_000, 200, 3
CLAIM = 5_000


def main() -> None:
    one_thread()
    from entrobench.provenance import peak_memory_bytes
    from entrobench.theory.arms import ARMS

    lines = []
    for arm in ARMS:
        rates = sorted(steps_per_minute(arm) for _ in range(ROUNDS))
        lines.append([arm.name, *(f"{rate:,.0f}" for rate in rates), f"{CLAIM:,}"])
    print(describe_machine())
    print(table(["method", "slowest", "median", "fastest", "at least"], lines))
    print(f"peak memory {peak_memory_bytes() / 2**30:.2f} GiB, at most 1")


def steps_per_minute(arm: object) -> float:
    """Steps of gradient ascent per minute of CPU time."""
    from entrobench.theory.arms import Arm
    from entrobench.theory.ascent import Ascent, Controller, ascend
    from entrobench.theory.bonus import kept_actions
    from entrobench.theory.calibration import reward_alone
    from entrobench.theory.process import Level, Process

    assert isinstance(arm, Arm)
    logits = numpy.random.default_rng(0).standard_normal((1, 1, ACTIONS))
    rewards = numpy.zeros_like(logits)
    rewards[..., :15] = 1.0
    process = Process((Level(numpy.ones_like(logits), rewards),))
    ascent = Ascent(
        rates=numpy.array([100.0]),
        coefficients=numpy.array([0.02]) if arm.bonus else None,
        kept=numpy.array([float(kept_actions(ACTIONS, 0.33))]) if arm.clamped else None,
        controller=Controller() if arm.adaptive else None,
    )
    start = time.process_time()
    ascend(process, [logits], ascent, [STEPS - 1], reward_alone)
    return 60 * STEPS / (time.process_time() - start)


if __name__ == "__main__":
    main()
