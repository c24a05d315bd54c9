"""Training reward at equal updates, equal generated tokens and equal device time.

The budget is the smallest total of any run of the cell. A method that samples more, or takes longer per step, has made
fewer steps when it is spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from entrobench.evaluation.statistics.scores import RUN

from .entries import key_entries, seeds_entry
from .table_formats import Entry, Table
from .wide_table import device_seconds

if TYPE_CHECKING:
    from pandas import DataFrame

BUDGETS = ("updates", "tokens", "seconds")
LAST_STEPS = 5  # ours: a step's reward is noisy, so the last five within the budget are averaged


def spending(curves: DataFrame) -> DataFrame:
    """The steps in order, `updates`, `tokens` and device `seconds` replaced by what the run had spent by then."""
    ordered = curves.assign(seconds=device_seconds(curves)).sort_values("step", kind="stable")
    spent = ordered.groupby(RUN, sort=False)[list(BUDGETS)].cumsum()
    return ordered.assign(**{name: spent[name] for name in BUDGETS})


def rewards_at_equal_budgets(curves: DataFrame) -> DataFrame:
    """Per run: training reward at the moment when it had spent the cell's smallest total of updates, tokens or seconds.

    Columns: model, dataset, method, seed, budget, available (the smallest total), reward (NaN if the first step of the
    run already exceeds it).
    """
    import pandas

    spent, cell, frames = spending(curves), RUN[:2], []
    for budget in BUDGETS:
        totals = spent.groupby(RUN, sort=False)[budget].max()
        spent["available"] = spent[cell].merge(totals.groupby(cell).min().reset_index(), on=cell)[budget].to_numpy()
        within = spent[spent[budget] <= spent["available"]].groupby(RUN, sort=False).tail(LAST_STEPS)
        rewards = within.groupby(RUN, sort=False).agg(available=("available", "first"), reward=("reward", "mean"))
        frames.append(rewards.reindex(totals.index).assign(budget=budget).reset_index())
    return pandas.concat(frames, ignore_index=True)


def budget_table(rows: Sequence[Mapping[Any, Any]], curves: DataFrame) -> Table:
    """A row per model x dataset x method, in the order of `rows`, the rows of the wide table."""
    rewards = rewards_at_equal_budgets(curves)
    found = dict(iter(rewards.groupby(["model", "dataset", "method", "budget"], sort=False)))
    body = []
    for row in rows:
        if row["method"] == "base":
            continue
        entries = key_entries(row)
        for budget in BUDGETS:
            values = found[row["model"], row["dataset"], row["method"], budget].sort_values("seed")["reward"]
            entries.append(Entry("–") if values.isna().any() else seeds_entry(values))
        body.append(entries)
    note = (
        f"Reward of the sampled answers, mean of the last {LAST_STEPS} steps within the budget. Device time: CPU "
        "seconds of the training process on a CPU, so that other load does not count. "
        "The budget is the least that any run of the cell spent: "
    )
    return Table("budgets", "Training reward at equal budgets", COLUMNS, body, note + _budgets(rewards), group=2)


COLUMNS = ["model", "dataset", "method", "at equal\nupdates", "at equal generated\ntokens", "at equal\ndevice time"]


def _budgets(rewards: DataFrame) -> str:
    least = rewards.assign(cell=rewards["model"] + " · " + rewards["dataset"])
    least = least.groupby(["cell", "budget"], sort=False)["available"].min().unstack()
    cells = [
        f"{cell} {row['updates']:.0f} updates, {row['tokens'] / 1e6:.3f} M tokens, {row['seconds']:.1f} s"
        for cell, row in least.to_dict("index").items()
    ]
    return "; ".join(cells) + "."
