"""The experiments of a study of kind theory, as tidy tables: one function each, deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy

from . import bounds
from .arms import ARMS, CONSTANT, Arm, rows, run_arm
from .ascent import State, watch
from .bonus import kept_actions
from .constructions import Construction
from .optimiser import maximise
from .process import Floats
from .published import read_points
from .study import TheoryStudy

if TYPE_CHECKING:
    from pandas import DataFrame

LOOKS = 41  # ours: equally spaced steps at which curves are recorded, beside those of the published figure
COEFFICIENTS = numpy.geomspace(0.02, 0.3, 57)  # ours: λ at which the regularised optimum is drawn
CLAMPS = (0.0, 0.33, 0.9, 0.99, 0.999)  # ours, and the larger of the paper's p
SOFT = ("gap", "gap_right", "bias_right")


def watch_bounds(state: State) -> dict[str, Floats]:
    """What `watch` sees, and both sides of each bound, [R]; those of the regularised value only where λ > 0."""
    seen, missing = watch(state), numpy.full(len(state.logits[0]), numpy.nan)
    stationary = bounds.stationary_bound(state.process, state.logits)
    seen |= {"suboptimality": stationary.left, "stationary_right": stationary.right}
    seen |= dict.fromkeys(SOFT, missing)
    if state.coefficients is None:
        return {"bonus": missing, "coefficient": missing} | seen
    gap = bounds.soft_gap(state.process, state.logits, state.coefficients)
    bias = bounds.bias_bound(state.process, state.logits, state.coefficients)
    return seen | {"gap": gap.left, "gap_right": gap.right, "bias_right": bias.right}


def curves(study: TheoryStudy, construction: Construction) -> DataFrame:
    """All five methods on one construction: a row per optimal, method, step and unit (the seed)."""
    published = {point.step for point in read_points() if point.step <= study.steps}
    look_at = sorted(published | {round(step) for step in numpy.linspace(0, study.steps, LOOKS)})
    return _along(study, construction, ARMS, study.units, look_at)


def trees(study: TheoryStudy) -> DataFrame:
    """The same along processes of several horizons, with the column horizon; the bounds are followed on them."""
    import pandas

    settings, frames = study.trees, []
    look_at = sorted({round(step) for step in numpy.linspace(0, settings.steps, LOOKS)})
    shared = {name: getattr(settings, name) for name in ("actions", "spread", "lift", "rate", "coefficient")}
    for horizon in settings.horizons:
        construction = Construction(horizon=horizon, **shared)
        found = _along(study, construction, CONSTANT, settings.units, look_at)
        frames.append(found.assign(horizon=horizon))
    return pandas.concat(frames, ignore_index=True)


def _along(
    study: TheoryStudy, construction: Construction, arms: Sequence[Arm], units: int, look_at: Sequence[int]
) -> DataFrame:
    import pandas

    frames = []
    for arm in arms:
        seen = run_arm(arm, [construction], study.optimal, units, look_at, watch_bounds, study.controller)
        shape = (len(look_at), len(study.optimal), units)
        steps, numbers, seeds = numpy.meshgrid(look_at, study.optimal, range(units), indexing="ij")
        keys: dict[str, Any] = {"optimal": numbers.ravel(), "method": arm.name, "step": steps.ravel()}
        values = {name: own.reshape(shape).ravel() for name, own in seen.items()}
        frames.append(pandas.DataFrame({**keys, "unit": seeds.ravel(), **values}))
    return pandas.concat(frames, ignore_index=True)


def closed_forms(study: TheoryStudy, construction: Construction) -> DataFrame:
    """Reward of the regularised optimum over λ, for each number of optimal actions and each ideal clamp.

    `optimiser_error` is |V_λ* − V_λ| of natural policy gradient from the construction's start, for the full entropy.
    """
    import pandas

    plain = replace(construction, decoys=0, decoy_lift=0.0)
    found = []
    for optimal in study.optimal:
        process, logits = rows([plain], [optimal], 1)
        wide = [numpy.repeat(own, len(COEFFICIENTS), 0) for own in logits]
        process = process.repeat(len(COEFFICIENTS))
        reached = bounds.soft_value(process, maximise(process, wide, COEFFICIENTS), COEFFICIENTS)
        for clamp in CLAMPS:
            kept = float(kept_actions(plain.actions, clamp))
            best, reward = bounds.soft_optimum(process, COEFFICIENTS, kept)
            columns = {"coefficient": COEFFICIENTS, "reward": reward, "soft_value": best}
            error = numpy.abs(best - reached) if clamp == 0 else numpy.full(len(best), numpy.nan)
            found.append(pandas.DataFrame({"optimal": optimal, "clamp": clamp, **columns, "optimiser_error": error}))
    return pandas.concat(found, ignore_index=True)


def half_way(actions: float, optimal: int) -> float:
    """λ at which the regularised optimum of a bandit pays one half: 1 / ln((|A| − k)/k); NaN where it always does."""
    if actions <= 2 * optimal:
        return float("nan")
    return float(1 / numpy.log((actions - optimal) / optimal))


def bound_summary(found: DataFrame) -> DataFrame:
    """A row per bound: where it was checked, how often it failed, and how far the right side lies above the left."""
    import pandas

    sides = {
        "gradient": (found["norm"], 2 * found["entropy"]),
        "stationary": (found["suboptimality"], found["stationary_right"]),
        "soft gap": (found["gap"], found["gap_right"]),
        "bias": (found["suboptimality"], found["bias_right"]),
    }
    return pandas.DataFrame([_summary(name, *pair) for name, pair in sides.items()])


def _summary(name: str, left: Any, right: Any) -> dict[str, Any]:
    known = (left.notna() & right.notna()).to_numpy()
    bound = bounds.Bound(left.to_numpy()[known], right.to_numpy()[known])
    positive = bound.left > 0
    ratio = bound.right[positive] / bound.left[positive]
    return {
        "bound": name,
        "checked": int(known.sum()),
        "violated": int(known.sum() - bound.holds.sum()),
        "least_ratio": float(ratio.min()),
        "median_ratio": float(numpy.median(ratio)),
        "says_nothing": float(numpy.mean(bound.right >= 1)),  # a right side of 1 holds for every policy
    }
