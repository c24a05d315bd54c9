"""The tables of a study of kind theory, from its tidy results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from entrobench.theory.bonus import kept_actions
from entrobench.theory.calibration import paired_interval
from entrobench.theory.experiments import CLAMPS, half_way

from .entries import interval_entry, signed
from .table_formats import Entry, Table

if TYPE_CHECKING:
    from pandas import DataFrame

NAMES = {
    "none": "no bonus",
    "entropy": "full entropy",
    "clamped": "clamped entropy",
    "entropy_adaptive": "full, adaptive λ",
    "clamped_adaptive": "clamped, adaptive λ",
}
ORDERS = ("clamped higher", "full higher", "no difference shown")
UNITS = "Intervals: 95 % t intervals over the units (seeds), of differences paired by unit."


def text(value: Any, form: str = "") -> Entry:
    """A number or a word as an entry that sorts by its value; a missing number is a dash."""
    missing = isinstance(value, float) and value != value
    return Entry("–") if missing else Entry(format(value, form), value=value)


def plateau_table(curves: DataFrame, points: DataFrame) -> Table:
    """Last rewards beside the published ones, each with its distance and whether the fit saw it."""
    last = curves[curves["step"] == curves["step"].max()]
    known = points[points["role"].isin(["fit", "check"])].set_index(["optimal", "method"])
    rows = []
    for (optimal, method), units in last.groupby(["optimal", "method"], sort=False):
        mean, low, high = paired_interval(units["reward"].to_numpy())
        row = [text(optimal), text(NAMES[method]), interval_entry(mean, (low, high), ".3f")]
        if (optimal, method) in known.index:
            point = known.loc[(optimal, method)]
            row += [text(float(point["published"]), ".2f"), text(float(point["distance"]), ".3f"), text(point["role"])]
        else:
            row += [text(float("nan")), text(float("nan")), text("not published")]
        rows.append(row)
    columns = ["optimal actions", "method", "last reward, ours", "published", "distance", "role"]
    note = f"{UNITS} The published adaptive λ and the curves of 5 optimal actions are UNKNOWN."
    return Table("plateaus", "Last rewards, cell by cell", columns, rows, note, group=1)


def gain_table(curves: DataFrame, points: DataFrame) -> Table:
    """What each bonus adds to the last reward, beside the published gains."""
    last = curves[curves["step"] == curves["step"].max()].pivot_table("reward", ["optimal", "unit"], "method")
    known = points[points["role"] == "gain"].set_index(["optimal", "method"])
    rows = []
    for optimal in sorted(last.index.unique("optimal"), reverse=True):
        own = last.loc[optimal]
        for method in (name for name in NAMES if name != "none"):
            mean, low, high = paired_interval((own[method] - own["none"]).to_numpy())
            row = [
                text(optimal),
                text(NAMES[method]),
                Entry(f"{signed(mean)} [{signed(low)}, {signed(high)}]", value=mean),
            ]
            published = float(known["published"].get((optimal, method), float("nan")))
            rows.append([*row, text(published, "+.2f"), text(abs(mean - published), ".3f")])
    columns = ["optimal actions", "method", "gain over no bonus, ours", "published", "distance"]
    return Table("gains", "Gains over no bonus", columns, rows, UNITS, group=1)


def transient_table(points: DataFrame) -> Table:
    """How far our curves lie from the published ones before the last step."""
    before = points[points["role"] == "transient"].groupby(["optimal", "method"], sort=False)["distance"]
    found = before.agg(["size", "mean", "max"]).reset_index()
    rows = [
        [
            text(row["optimal"]),
            text(NAMES[row["method"]]),
            text(row["size"]),
            text(row["mean"], ".3f"),
            text(row["max"], ".3f"),
        ]
        for row in found.to_dict("records")
    ]
    columns = ["optimal actions", "method", "points", "mean distance", "largest distance"]
    note = "The fit did not see them: steps 300 to 1000 of the published curves. All points: published_points.csv."
    return Table("transients", "On the way", columns, rows, note, group=1)


def order_table(found: DataFrame) -> Table:
    """In which settings of the grid the clamped bonus ends above the full one, and in which it does not."""
    keys = ["gradient", "has decoys", "coefficient", "clamp", "optimal"]
    rows = []
    for values, own in found.assign(**{"has decoys": found["decoys"] > 0}).groupby(keys):
        counts = [int((own["order"] == name).sum()) for name in ORDERS]
        spread = f"{signed(own['clamped_over_entropy'].min())} to {signed(own['clamped_over_entropy'].max())}"
        gradient, decoys, coefficient, clamp, optimal = values
        row = [text(gradient), text("yes" if decoys else "no"), text(coefficient, "g"), text(clamp, "g"), text(optimal)]
        rows.append([*row, text(len(own)), *(text(count) for count in counts), Entry(spread)])
    columns = ["gradient", "decoys", "λ", "p", "optimal actions", "constructions", *ORDERS, "clamped − full"]
    note = "A construction counts as higher where the 95 % t interval over units leaves out 0. Every one: grid.csv."
    return Table("orders", "Where the order holds, and where not", columns, rows, note, group=4)


def order_counts(found: DataFrame) -> list[tuple[int, dict[str, int]]]:
    """(number of optimal actions, {order: constructions}), the largest number first."""
    return [
        (optimal, {name: int(((found["optimal"] == optimal) & (found["order"] == name)).sum()) for name in ORDERS})
        for optimal in sorted({int(value) for value in found["optimal"]}, reverse=True)
    ]


def one_step_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The policy after one step: mass of each kind of action, reward, entropy."""
    shown = []
    for row in rows:
        name = {"start": "before the step", "none": "no bonus"}.get(
            str(row["method"]), NAMES.get(str(row["method"]), "")
        )
        clamp = float(row["clamp"]) if "clamp" in row else float("nan")
        setting = [
            text(name),
            text(float(row.get("coefficient", float("nan"))), "g"),
            text(clamp if clamp else float("nan"), "g"),
        ]
        masses = [text(float(row[key]), ".4f") for key in ("right", "wrong", "likely", "tail")]
        shown.append([*setting, *masses, text(float(row["entropy"]), ".3f")])
    columns = ["bonus", "λ", "p", "right", "wrong", "other likely", "tail", "entropy"]
    note = (
        "Probabilities after one exact gradient step; right pays 1, all else 0. Entropy in nats. All settings are ours."
    )
    return Table("one_step", "One step of policy optimisation", columns, shown, note)


def bound_table(found: DataFrame) -> Table:
    """How often each bound was checked and failed, and how much it leaves open."""
    rows = []
    for row in found.to_dict("records"):
        key = [text(row["process"]), text(row["bound"]), text(row["checked"], ","), text(row["violated"])]
        ratios = [text(row[name], ".3g") for name in ("least_ratio", "median_ratio")]
        rows.append([*key, *ratios, text(row["says_nothing"], ".0%")])
    columns = ["process", "bound", "checked", "violated", "least right/left", "median right/left", "right side ≥ 1"]
    note = (
        "gradient: ‖∇V‖ ≤ 2·H(π). stationary (Proposition 1): V* − V ≤ ‖∇V‖/C. soft gap (first term of Proposition 2): "
        "V_λ* − V_λ ≤ ‖∇V_λ‖²/(2λC_λ). bias (Proposition 2 without it): V* − V ≤ (V_λ* − V_λ) + λ(H ln|A| − ln|A*|). "
        "The paper's C and C_λ are UNKNOWN: these are ours (entrobench/theory/bounds.py). A right side of 1 or more "
        "says nothing, for rewards lie in [0,1]."
    )
    return Table("bounds", "Bounds along the runs", columns, rows, note, group=1)


def closed_form_table(found: DataFrame, actions: int) -> Table:
    """The λ above which the regularised optimum no longer is a good policy, by sparsity and clamp."""
    rows = []
    for optimal in found["optimal"].unique():
        kept = [float(kept_actions(actions, clamp)) for clamp in CLAMPS]
        errors = found.loc[found["optimal"] == optimal, "optimiser_error"]
        rows.append(
            [text(int(optimal)), *(text(half_way(own, optimal), ".4f") for own in kept), text(errors.max(), ".0e")]
        )
    names = ["full" if clamp == 0 else f"p = {clamp:g}" for clamp in CLAMPS]
    note = (
        f"λ at which the optimum of V + λH pays 1/2, 1/ln((n − k)/k) with n kept of {actions:,} actions and k optimal "
        "ones; for a clamp that never removes an optimal action. Last column: largest |V_λ* − V_λ| between closed form "
        "and natural policy gradient (full entropy)."
    )
    columns = ["optimal actions", *names, "against the optimiser"]
    return Table("closed_form", "How large λ may be", columns, rows, note)
