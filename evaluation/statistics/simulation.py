"""Simulated studies for the audit: many at once, as arrays [studies, cells, methods, seeds] of scores or of chances.

Variances are those of an earlier quickstart (a test recomputes them from results/reference/quickstart-two-seeds):
difficulties from pass@1 and pass@2, spread of the runs from the tolerances, own noise from the paired differences; the
rest is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .admission import KEYED, UNEQUAL

if TYPE_CHECKING:
    from numpy.random import Generator

    from .intervals import Floats

SEEDS = (2, 3, 5, 10, 20)
PROBLEMS, DRAWS = 300, 8
EASE = (0.67, 0.50)  # Beta distribution of a problem's chance to be solved
SEED_NOISE = 0.016  # standard deviation of what runs with the same seed share
RUN_NOISE = 0.014  # standard deviation of a run's own training noise
CELL_NOISE = (0.8, 0.7, 1.1, 1.3)  # both, relative, per model x dataset cell
CELL_SHIFT = (0.02, 0.01, -0.01, -0.02)
CELL_EFFECT = 0.01  # standard deviation over cells of a method's effect (method x cell interaction); ours
PROBLEM_EFFECT = 0.05  # standard deviation over problems of what a method changes for better and worse; ours
EFFECT = 0.02  # of the judged method, where coverage and power are measured
METHODS = 4  # the first is the baseline, the last one is judged
CELLS = len(CELL_NOISE)
SIMULATED = {
    **{"problems": PROBLEMS, "draws": DRAWS, "ease": EASE, "seed_noise": SEED_NOISE, "run_noise": RUN_NOISE},
    **{"cell_noise": CELL_NOISE, "cell_shift": CELL_SHIFT, "cell_effect": CELL_EFFECT, "methods": METHODS},
    **{"problem_effect": PROBLEM_EFFECT, "effect": EFFECT},
}


@dataclass(frozen=True)
class Scenario:
    """How a kind of simulated study differs from one that is run with keyed seeds."""

    name: str
    note: str
    correlation: float = 0.0  # of a run's own noise with those of the same method and seed in other cells
    noise: float = 1.0  # own noise of the judged method, relative
    new_problems: bool = False  # the question is about problems that were drawn, not about these
    new_cells: bool = False  # the question is about cells of which these were drawn
    in_full: bool = False  # whether the problems' answers are simulated one by one, which the bootstraps need


SCENARIOS = (
    Scenario(KEYED, "studies as they are run: independent cells, methods that differ by cell", in_full=True),
    Scenario(UNEQUAL, "the judged method's runs have 1.5 times the noise of the others", noise=1.5),
    Scenario("shared seeds, 0.2", "the same seeds in all cells, noise correlated 0.2 between them", correlation=0.2),
    Scenario("shared seeds, 0.4", "the same seeds in all cells, noise correlated 0.4 between them", correlation=0.4),
    Scenario("new problems", "asked about new problems of the same kind", new_problems=True, in_full=True),
    Scenario("new cells", "asked about other models and tasks of the same kind", new_cells=True),
)


@dataclass(frozen=True)
class Studies:
    """Simulated studies: each problem's chances, and the runs' shifts; `center` is the mean score without effects."""

    chances: Floats  # [studies, methods, problems] of a run without shift
    weight: Floats  # [studies, problems]: a shift of 1 moves chances by this, whose mean is 1
    shift: Floats  # [studies, cells, methods, seeds]
    center: Floats | float


def simulate(rng: Generator, studies: int, scenario: Scenario, effect: float) -> Studies:
    """Draw studies of 4 cells, 4 methods and 20 seeds.

    A run's chance at a problem is ease + shift·w with w = p(1-p) over its mean, so that a shift moves the mean score by
    exactly itself and leaves sure problems sure. shift = cell + seed noise + own noise + effect of the method there.
    """
    import numpy

    ease = rng.beta(*EASE, (studies, PROBLEMS))
    weight = ease * (1 - ease)
    weight /= weight.mean(axis=-1, keepdims=True)
    mixed = PROBLEM_EFFECT * rng.standard_normal((studies, PROBLEMS))
    if not scenario.new_problems:  # the method changes problems, not their mean
        mixed -= (mixed * weight).mean(axis=-1, keepdims=True)
    chances = numpy.repeat(ease[:, None], METHODS, axis=1)
    chances[:, -1] += weight * mixed
    center = EASE[0] / sum(EASE) if scenario.new_problems else ease.mean(axis=-1)
    return Studies(chances, weight, _shifts(rng, studies, scenario, effect), center)


def _shifts(rng: Generator, studies: int, scenario: Scenario, effect: float) -> Floats:
    """What moves the runs of every cell, method and seed: [studies, cells, methods, seeds]."""
    import numpy

    size = (studies, CELLS, METHODS, max(SEEDS))
    shared, own = rng.standard_normal((studies, 1, *size[2:])), rng.standard_normal(size)
    noise = RUN_NOISE * (numpy.sqrt(scenario.correlation) * shared + numpy.sqrt(1 - scenario.correlation) * own)
    noise[:, :, -1] *= scenario.noise
    noise += SEED_NOISE * rng.standard_normal((studies, CELLS, 1, max(SEEDS)))
    effects = CELL_EFFECT * rng.standard_normal((studies, CELLS, METHODS))
    if not scenario.new_cells:  # what is asked is the mean over these cells, or over the first one alone
        effects[:, 0] = 0
        effects[:, 1:] -= effects[:, 1:].mean(axis=1, keepdims=True)
    effects[:, :, -1] += effect
    shifts: Floats = noise * numpy.asarray(CELL_NOISE)[:, None, None] + effects[..., None]
    return shifts + numpy.asarray(CELL_SHIFT)[:, None, None]


def answered(rng: Generator, studies: Studies) -> Floats:
    """Each problem's share of right answers: [studies, cells, methods, seeds, problems]."""
    import numpy

    moved = studies.shift[..., None] * studies.weight[:, None, None, None]
    chances = (studies.chances[:, None, :, None] + moved).astype("float32")
    limits = (chances.clip(0, 1) * 65535 + 0.5).astype("uint16")  # chances in steps of 1/65536: below any noise here
    right = numpy.zeros(limits.shape, dtype="uint8")
    for _ in range(DRAWS):
        right += rng.integers(65536, size=limits.shape, dtype="uint16") < limits
    return right / numpy.float32(DRAWS)


def scored(rng: Generator, studies: Studies) -> Floats:
    """The runs' scores alone: their mean and variance over draws are exact, their shape normal (of 2,400 answers)."""
    import numpy

    weight = studies.weight[:, None, None, None]
    base = studies.chances[:, None, :, None]
    mean = base.mean(axis=-1) + studies.shift
    # of p(1 - p) with p = base + shift·w, term by term
    spread = (base * (1 - base)).mean(axis=-1) + studies.shift * (weight * (1 - 2 * base)).mean(axis=-1)
    spread = (spread - studies.shift**2 * (weight**2).mean(axis=-1)) / (PROBLEMS * DRAWS)
    found: Floats = mean + numpy.sqrt(numpy.maximum(spread, 0)) * rng.standard_normal(mean.shape)
    return found
