"""What each method did to the entropy: where it began, where it ended, and by how much more or less than the baseline.

Entropy is that of the policy at temperature 1 for every method, mean over the response tokens of a step, in nats per
token: at its own temperature, a schedule of temperatures would mostly show itself. A high entropy is no merit by
itself, so there are intervals and no verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.statistics.intervals import pooled_t
from entrobench.evaluation.statistics.scores import RUN
from entrobench.progress import DROPPED, SURGED, entropy_events
from entrobench.studies.headline import baseline_of

from .entries import difference_entry, key_entries, number_entry, seeds_entry
from .table_formats import Entry, Table
from .wide_table import FINAL_STEPS

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SHOWN = 6  # runs named in a sentence, ours


def entropies(costs: DataFrame) -> DataFrame:
    """Per run of `run_costs`: entropy `first` (step 1), `final` (mean of the last steps) and their `change`; nats.

    Also `difference`: final minus that of the baseline's run with the same seed, NaN where there is none.
    """
    runs = costs.rename(columns={"first_entropy": "first", "final_entropy": "final"})[[*RUN, "first", "final"]]
    cell = ["model", "dataset", "seed"]
    baseline = runs[runs["method"] == baseline_of(list(dict.fromkeys(runs["method"])))]
    beside = runs[cell].merge(baseline[[*cell, "final"]], on=cell, how="left")["final"]
    return runs.assign(change=runs["final"] - runs["first"], difference=runs["final"] - beside.to_numpy())


def entropy_table(rows: Sequence[Mapping[Any, Any]], costs: DataFrame) -> Table:
    """A row per model x dataset x method, in the order of `rows`, the rows of the wide table."""
    found = entropies(costs)
    baseline = baseline_of(list(dict.fromkeys(found["method"])))
    body = []
    for row in rows:
        if row["method"] == "base":
            continue
        own = found[(found[RUN[:3]] == [row[name] for name in RUN[:3]]).all(axis=1)].sort_values("seed")
        entries = [number_entry(own["first"].mean(), ".3f"), seeds_entry(own["final"]), _change_entry(own["change"])]
        entries += [Entry("–") if row["method"] == baseline else _change_entry(own["difference"].dropna())]
        body.append([*key_entries(row), *entries])
    few = " (of all of a run that has fewer)" if costs["steps"].min() < FINAL_STEPS else ""
    note = (
        "Of the policy at temperature 1, whatever a method samples at. "
        f"Change: from step 1 to the mean of the last {FINAL_STEPS} steps{few}; difference: of those, to "
        f"{baseline}'s run with the same seed; 95 % paired t intervals. To keep the entropy up is no "
        "merit by itself."
    )
    columns = [*RUN[:3], "step 1", f"last {FINAL_STEPS} steps", "change", f"difference to {baseline}"]
    return Table("entropy", "Entropy (nats/token)", columns, body, note, group=2)


def events_sentence(curves: DataFrame) -> str:
    """Which runs' entropy dropped or surged at a step, and when; `curves` holds a row per step of each run."""
    places: dict[str, list[str]] = {"drop": [], "surge": []}
    for run, own in curves.sort_values("step").groupby(RUN, sort=False):
        for kind, step, _ in entropy_events(own["step"].tolist(), own["entropy_t1"].tolist()):
            places[kind].append(f"{'/'.join(map(str, run))} at step {step}")
    limits = {"drop": f"below {100 * DROPPED:g} % of step 1", "surge": f"above {SURGED:g} times step 1"}
    said = [f"{kind} ({limits[kind]}) in {_listed(runs)}" for kind, runs in places.items()]
    return f"Events: {'; '.join(said)}."


def _listed(runs: Sequence[str]) -> str:
    more = f" and {len(runs) - SHOWN} more" if len(runs) > SHOWN else ""
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    return f"{count}: {', '.join(runs[:SHOWN])}{more}" if runs else "no run"


def _change_entry(values: Series[float]) -> Entry:
    if values.empty:
        return Entry("–")
    interval = pooled_t([values])
    return difference_entry(interval.mean, interval.lower, interval.upper, " ".join(map(str, values)))
