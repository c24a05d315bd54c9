"""The law R = −a·e^H + b between a policy's entropy and its reward, fitted to one run, and whether it describes it.

Source of the law: Cui et al. 2025, arXiv 2505.22617; H: the policy's entropy in nats per token, R: reward or score.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import ArrayLike
from scipy import stats

from entrobench.errors import InputError
from entrobench.results import StudyFolder

LEVEL = 0.95
FAR = 0.1  # ours: share of the range of R by which the law's second half may miss when fitted to the first
LEAST = 8  # ours: steps, below which a run is not fitted


@dataclass(frozen=True)
class Law:
    """One run's fit; intervals at 95 %, corrected for the dependence of neighbouring steps."""

    a: float
    a_low: float
    a_high: float
    b: float
    b_low: float
    b_high: float
    r_squared: float  # share of the variance of R that the law explains
    steps: int
    effective_steps: float  # how many independent steps the residuals are worth
    miss: float  # mean |error| on the second half of the steps, fitted on the first, over the range of R
    failure: str  # why the law does not describe the run; "" where it does


def fit(entropy: ArrayLike, reward: ArrayLike) -> Law:
    """Fit R = −a·e^H + b by least squares to the steps of one run, in their order; both [n].

    The law is linear in a and b. Raises ValueError for fewer steps than LEAST or an entropy that does not move.
    """
    powers, rewards = numpy.exp(numpy.asarray(entropy, float)), numpy.asarray(reward, float)
    if len(powers) < LEAST or len(powers) != len(rewards):
        raise ValueError(f"needs at least {LEAST} steps of entropy and reward, got {len(powers)} and {len(rewards)}")
    if numpy.ptp(powers) == 0:
        raise ValueError("the entropy is the same at every step")
    line = stats.linregress(powers, rewards)
    residuals = rewards - line.intercept - line.slope * powers
    effective = effective_number(residuals)
    wider = numpy.sqrt(max(len(powers) - 2, 1) / max(effective - 2, 1))
    reach = stats.t.ppf((1 + LEVEL) / 2, max(effective - 2, 1)) * wider
    spans = reach * numpy.array([line.stderr, line.intercept_stderr])
    miss = second_half_miss(powers, rewards)
    a, b = -float(line.slope), float(line.intercept)
    explained = float(line.rvalue) ** 2 if numpy.ptp(rewards) > 0 else 0.0
    return Law(
        a=a,
        a_low=a - float(spans[0]),
        a_high=a + float(spans[0]),
        b=b,
        b_low=b - float(spans[1]),
        b_high=b + float(spans[1]),
        r_squared=explained,
        steps=len(powers),
        effective_steps=effective,
        miss=miss,
        failure=_failure(a, a - float(spans[0]), explained, miss),
    )


def effective_number(residuals: ArrayLike) -> float:
    """n·(1 − ρ)/(1 + ρ), with ρ the residuals' correlation of neighbouring steps (0 where negative)."""
    errors = numpy.asarray(residuals, float)
    square = float(errors @ errors)
    rho = min(max(float(errors[1:] @ errors[:-1]) / square, 0.0), 0.99) if square > 0 else 0.0
    return len(errors) * (1 - rho) / (1 + rho)


def second_half_miss(powers: ArrayLike, rewards: ArrayLike) -> float:
    """Mean |error| on the later half of the steps of a line fitted to the earlier half, over the range of R."""
    x, y = numpy.asarray(powers, float), numpy.asarray(rewards, float)
    half = len(x) // 2
    if numpy.ptp(x[:half]) == 0 or numpy.ptp(y) == 0:
        return float("nan")
    line = stats.linregress(x[:half], y[:half])
    errors = numpy.abs(y[half:] - line.intercept - line.slope * x[half:])
    return float(errors.mean() / numpy.ptp(y))


def _failure(a: float, a_low: float, explained: float, miss: float) -> str:
    """The first reason why the law fails, in words."""
    if a_low <= 0:
        return "reward does not fall with entropy" if a <= 0 else "a may be 0"
    if explained < 0.5:
        return "explains less than half of the variance"
    if not miss <= FAR:
        return "the first half does not foretell the second"
    return ""


def fit_runs(study_folder: Path) -> list[dict[str, Any]]:
    """A row per run below results/<study>/runs: its key and its fit; raises InputError where there is no run."""
    import pandas

    runs = [run for run in StudyFolder(study_folder).runs() if run.steps.is_file()]
    if not runs:
        raise InputError(f"{study_folder}/runs: no finished run; make study STUDY={study_folder.name} trains them")
    rows = []
    for run in runs:
        steps = pandas.read_parquet(run.steps, columns=["entropy", "reward"])
        key = {"study": study_folder.name, **vars(run.key)}
        try:
            rows.append(key | asdict(fit(steps["entropy"], steps["reward"])))
        except ValueError as error:
            rows.append(key | {"steps": len(steps), "failure": str(error)})
    return rows
