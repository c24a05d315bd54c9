"""What clamping does in a study: how many tokens each p keeps, and how much probability it removes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.results import StudyFolder
from entrobench.studies.plan import study_sizes

from .table_formats import Entry, Table

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.studies.runs import Study

LOGGED = ("mass", "entropy", "cosine", "norm_ratio")  # of training/clamp_diagnostics.py
NOTE = (
    "Kept: tokens of the vocabulary (rows of the output layer). Removed mass: what the others hold of the policy's "
    "distribution, token mean, in the first step and over all steps; means over seeds. Clamped entropy in nats, cosine "
    "and norm ratio of its gradient to the full entropy's, over all steps. A dash: hardware.clamp_diagnostics did not "
    "log this p."
)


def clamp_tables(study: Study, folder: Path) -> list[Table]:
    """One table with a row per arm and its p, from curves.parquet in `folder`; none where nothing was logged."""
    import pandas

    curves = pandas.read_parquet(StudyFolder(folder).curves)
    runs = {(run.model, run.dataset, run.method): run.config.method.values for run in study.runs}
    clamps = {key: float(values["clamp"]) for key, values in runs.items() if "clamp" in values}
    if not any(clamps.values()) or not any(column.startswith("clamp/") for column in curves.columns):
        return []
    sizes = {name: sizes.vocabulary for name, sizes in study_sizes(study).items()}
    steps = dict(list(curves.groupby(["model", "dataset", "method"])))
    rows = [_row(key, clamp, sizes[key[0]], steps[key]) for key, clamp in clamps.items()]
    names = ["p", "kept tokens", "removed mass\nat first", "removed mass", "clamped entropy", "cosine", "norm ratio"]
    return [Table("clamps", "Clamping", ["model", "dataset", "method", *names], rows, NOTE, group=2)]


def _row(key: tuple[str, str, str], clamp: float, size: int, steps: DataFrame) -> list[Entry]:
    """The entries of one arm; `size` is the vocabulary, `steps` are those of all its seeds."""

    from entrobench.entropy.selection import removed_count  # needs torch, which tables do without

    kept = size - removed_count(clamp, size)
    row = [*(Entry(text, value=text) for text in key), Entry(f"{clamp:g}", value=clamp)]
    row.append(Entry(f"{kept:,} of {size:,}", value=kept))
    if f"clamp/{clamp}/mass" not in steps:
        return row + [Entry("–")] * (1 + len(LOGGED))
    first = steps[steps["step"] == steps["step"].min()]
    mass, *others = (f"clamp/{clamp}/{name}" for name in LOGGED)
    row += [Entry(f"{value:.2e}", value=value) for value in (first[mass].mean(), steps[mass].mean())]
    return row + [Entry(f"{value:.3f}", value=value) for value in (steps[name].mean() for name in others)]
