"""How small a difference could a study have shown, and how many seeds would another one need?

Of a two-sided t test at the level that Holm's procedure asks of the first difference it accepts, 5 % over the number of
tests: what a method needs that differs alone.
"""

from __future__ import annotations

from .intervals import LEVEL

POWER = 0.8
MOST_SEEDS = 1000


def smallest_detectable(error: float, degrees: float, tests: int) -> float:
    """The true difference that such a test finds with 80 % power, at this standard error and degrees of freedom.

    The noncentral t gives the chance to pass the limit on the difference's own side; the other side adds less than
    (1 - LEVEL) / 2 of what is missing to the power and is left out (so the answer is not too small).
    """
    from scipy import special

    limit = special.stdtrit(degrees, 1 - (1 - LEVEL) / tests / 2)
    return float(special.nctdtrinc(degrees, 1 - POWER, limit)) * error


def seeds_for(difference: float, error: float, degrees: float, seeds: int, tests: int) -> int | None:
    """The fewest seeds per cell with which `difference` is detectable, from what `seeds` seeds gave; None above 1,000.

    Squared standard errors go with 1 / seeds and degrees of freedom with seeds - 1, in every cell.
    """
    for wanted in range(2, MOST_SEEDS + 1):
        scaled = error * (seeds / wanted) ** 0.5
        if smallest_detectable(scaled, degrees * (wanted - 1) / (seeds - 1), tests) <= difference:
            return wanted
    return None
