"""The entries of a table that show a number: always with its interval, and with the single seeds where they are few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from entrobench.evaluation.statistics.intervals import pooled_t
from entrobench.studies.headline import ENOUGH_SEEDS

from .table_formats import Entry

if TYPE_CHECKING:
    from pandas import Series


def p_text(p: float) -> str:
    """A p-value with three decimals, or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def interval_entry(value: float, bounds: tuple[float | None, float | None], form: str) -> Entry:
    """A number with its interval where there is one: 0.812 [0.790, 0.834]; `form` is the number format."""
    lower, upper = bounds
    interval = "" if lower is None or upper is None else f" [{lower:{form}}, {upper:{form}}]"
    return Entry(f"{value:{form}}{interval}", value=value)


def signed(value: float) -> str:
    """A number with its sign and three decimals: +0.012, −0.003."""
    return f"{value:+.3f}".replace("-", "−")


def difference_entry(
    difference: float, lower: float | None, upper: float | None, seeds: str, bold: bool = False
) -> Entry:
    """+0.012 [−0.003, +0.027], with the seeds' differences below it where there are too few seeds for a verdict."""
    interval = f" [{signed(lower)}, {signed(upper)}]" if _present(lower) and _present(upper) else ""
    few = seeds if 1 < len(seeds.split()) < ENOUGH_SEEDS else ""
    detail = ", ".join(signed(float(value)) for value in few.split())
    return Entry(signed(difference) + interval, f"seeds {detail}" if detail else "", difference, bold)


def _present(value: float | None) -> TypeGuard[float]:
    """Whether there is a number: neither None nor the NaN that pandas makes of it."""
    return value is not None and value == value


def score_entry(mean: float, upper: float | None, seeds: str, bold: bool = False) -> Entry:
    """0.812 ± 0.012, with the seeds below it where there are too few. The base model has one value and no interval."""
    text = f"{mean:.3f} ± {upper - mean:.3f}" if _present(upper) else f"{mean:.3f}"
    few = seeds.split() if 1 < len(seeds.split()) < ENOUGH_SEEDS else []
    return Entry(text, "seeds " + ", ".join(f"{float(seed):.3f}" for seed in few) if few else "", mean, bold)


def seeds_entry(values: Series[float]) -> Entry:
    """Mean over the seeds with its interval: 0.812 ± 0.012."""
    found = pooled_t([values])
    return score_entry(found.mean, found.upper, " ".join(map(str, values)))


def accuracy_entry(row: Mapping[str, Any], name: str, bold: bool = False) -> Entry:
    """The score column `name` of a row of the wide table, with its interval and seeds."""
    return score_entry(row[name], row[f"{name} upper"], row[f"{name} seeds"], bold)


def key_entries(row: Mapping[str, Any]) -> list[Entry]:
    """Model, dataset and method with its marks."""
    return [
        *(Entry(str(row[name]), value=row[name]) for name in ("model", "dataset")),
        Entry(row["method"], row["marks"], row["method"]),
    ]


def number_entry(value: Any, form: str) -> Entry:
    """A number in the given format; a dash where there is none."""
    return Entry(f"{value:{form}}", value=float(value)) if _present(value) else Entry("–")
