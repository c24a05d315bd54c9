"""The figures of a study of kind theory. Colours are Okabe and Ito's; every line is named where it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from entrobench.evaluation.statistics.intervals import LEVEL
from entrobench.evaluation.tables.theory_tables import NAMES, ORDERS
from entrobench.theory.published import read_points

from .figure_style import COLOURS as METHOD_COLOURS
from .figure_style import FURTHER, INKS, SEPARATOR, caption, label_ends, plain_decades, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

COLOURS = {
    "none": METHOD_COLOURS["grpo"],
    "entropy": METHOD_COLOURS["entropy_bonus"],
    "clamped": METHOD_COLOURS["aent"],
    "entropy_adaptive": FURTHER[1],
    "clamped_adaptive": FURTHER[2],
}
ORDER_LOOKS = {
    "clamped higher": (METHOD_COLOURS["aent"], "o"),
    "full higher": (METHOD_COLOURS["entropy_bonus"], "s"),
    "no difference shown": (METHOD_COLOURS["base"], "^"),
}
SEQUENCE = (*(METHOD_COLOURS[name] for name in ("grpo", "aent", "clip_higher")), FURTHER[1], FURTHER[0])
WIDTH, HEIGHT = 3.3, 2.9  # inches of a panel


def write_figures(folder: Path, draw: dict[str, Callable[[], Figure]]) -> list[Path]:
    """Write each figure as SVG and PNG into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [file for name, function in draw.items() for file in save(function, name, folder)]


def all_figures(results: dict[str, Any]) -> dict[str, Callable[[], Figure]]:
    """{name: function} of all figures; `results` holds the tidy tables by name."""
    return {
        "reward": partial(reward_figure, results["curves"], results["points"]),
        "grid": partial(grid_figure, results["grid"]),
        "one_step": partial(one_step_figure, results["one_step"]),
        "closed_form": partial(closed_form_figure, results["closed_forms"]),
        "bounds": partial(bound_figure, results["curves"]),
    }


def _panels(count: int, across: int | None = None) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    across = across or count
    down = -(-count // across)
    figure = Figure(figsize=(across * (WIDTH + 1.0), down * HEIGHT + 0.3), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).ravel())
    for empty in panels[count:]:
        empty.set_visible(False)
    return figure, panels[:count]


def reward_figure(curves: DataFrame, points: DataFrame) -> Figure:
    """Mean reward over steps by number of optimal actions, with 95 % bands over units, and the published points."""
    numbers = sorted(curves["optimal"].unique(), reverse=True)
    figure, panels = _panels(len(numbers), 2)
    for panel, optimal in zip(panels, numbers, strict=True):
        ends = []
        for method, own in curves[curves["optimal"] == optimal].groupby("method", sort=False):
            steps, mean, reach = _bands(own, "reward")
            dashes = "--" if method.endswith("adaptive") else "-"
            panel.plot(steps, mean, color=COLOURS[method], linestyle=dashes, linewidth=1.5)
            panel.fill_between(steps, mean - reach, mean + reach, color=COLOURS[method], alpha=0.12, linewidth=0)
            ends.append((float(mean[-1]), NAMES[method], COLOURS[method]))
        shown = points[(points["optimal"] == optimal) & (points["quantity"] == "reward")]
        for method, own in shown.groupby("method", sort=False):
            look: dict[str, Any] = {"color": COLOURS[method], "markerfacecolor": "white", "markersize": 5}
            panel.plot(own["step"], own["published"], "o", linestyle="none", clip_on=False, **look)
        panel.set(title=_title(optimal), ylim=(-0.03, 1.03), xlim=(0, None))
        panel.set(xlabel="steps of gradient ascent", ylabel="expected reward")
        label_ends(panel, ends)
    _caption(figure, ["lines: ours, mean of units and 95 % t interval", "open circles: read off the paper's Figure 1"])
    return figure


def _title(optimal: int) -> str:
    return f"{optimal} optimal action{'' if optimal == 1 else 's'}"


def _bands(own: DataFrame, column: str) -> tuple[Any, Any, Any]:
    """Steps, mean over units and half of the 95 % t interval."""
    from scipy import stats

    found = own.groupby("step")[column].agg(["mean", "std", "size"])
    reach = stats.t.ppf((1 + LEVEL) / 2, found["size"] - 1) * found["std"] / numpy.sqrt(found["size"])
    return found.index.to_numpy(), found["mean"].to_numpy(), reach.to_numpy()


def grid_figure(grid: DataFrame) -> Figure:
    """Every construction of the grid: gain of the clamped against gain of the full bonus, with intervals."""
    numbers = sorted(grid["optimal"].unique(), reverse=True)
    figure, panels = _panels(len(numbers))
    published = {(point.optimal, point.method): point.value for point in read_points() if point.quantity == "gain"}
    for panel, optimal in zip(panels, numbers, strict=True):
        own = grid[grid["optimal"] == optimal]
        panel.axline((0, 0), slope=1, color=INKS["axis"], linewidth=1)
        for order in ORDERS:
            part, (paint, marker) = own[own["order"] == order], ORDER_LOOKS[order]
            panel.errorbar(
                part["gain_entropy"],
                part["gain_clamped"],
                xerr=_reach(part, "gain_entropy"),
                yerr=_reach(part, "gain_clamped"),
                fmt=marker,
                color=paint,
                markersize=4,
                elinewidth=0.4,
                alpha=0.7,
                label=f"{order}: {len(part)} of {len(own)}",
            )
        if (optimal, "clamped") in published:
            place = published[optimal, "entropy"], published[optimal, "clamped"]
            panel.plot(*place, "*", color=FURTHER[0], markersize=13, label="published", linestyle="none")
        panel.set(xlabel="gain of the full bonus", ylabel="gain of the clamped bonus")
        panel.set(title=_title(optimal), xlim=(-1.05, 1.05), ylim=(-1.05, 1.05))
        panel.legend(loc="lower right", fontsize=7)
    _caption(
        figure, ["gain: last reward above that of no bonus", "one point per construction, 95 % t intervals over units"]
    )
    return figure


def _reach(part: DataFrame, name: str) -> Any:
    return (part[f"{name}_high"] - part[name]).to_numpy()


def one_step_figure(rows: DataFrame) -> Figure:
    """What one step does to the right action and to the tail, over λ, for the full bonus and each clamp."""
    figure, panels = _panels(2)
    plain = rows[rows["method"] == "none"].iloc[0]
    titles = {"right": "probability of the right action", "tail": "probability of all unlikely actions"}
    bonus = rows[rows["coefficient"].notna()]
    for panel, (column, title) in zip(panels, titles.items(), strict=True):
        ends = [(float(plain[column]), "no bonus", COLOURS["none"])]
        panel.axhline(plain[column], color=COLOURS["none"], linewidth=1.2)
        for paint, (clamp, own) in zip(SEQUENCE[1:], bonus.groupby("clamp"), strict=False):
            panel.plot(own["coefficient"], own[column], "o-", color=paint, markersize=3.5, linewidth=1.3)
            ends.append((float(own[column].iloc[-1]), "full" if clamp == 0 else f"p = {clamp:g}", paint))
        panel.set_xscale("log")
        panel.set_yscale("log")
        for axis in (panel.xaxis, panel.yaxis):
            plain_decades(axis)
        panel.set(xlabel="coefficient λ of the bonus", ylabel="after one step", title=title)
        label_ends(panel, ends)
    _caption(figure, ["exact values, no sampling", "the start, its rewards and the step size are ours"])
    return figure


def closed_form_figure(found: DataFrame) -> Figure:
    """Reward of the regularised optimum over λ: by sparsity, and for one optimal action by clamp."""
    figure, panels = _panels(2)
    rarest = found["optimal"].min()
    parts = (
        ("full entropy", found[found["clamp"] == 0], "optimal", "k = {:g}"),
        (f"{rarest} optimal action, ideal clamps", found[found["optimal"] == rarest], "clamp", "p = {:g}"),
    )
    for panel, (title, part, column, name) in zip(panels, parts, strict=True):
        for paint, (value, own) in zip(SEQUENCE, part.groupby(column), strict=False):
            panel.plot(own["coefficient"], own["reward"], color=paint, linewidth=1.5, label=name.format(value))
        panel.set_xscale("log")
        plain_decades(panel.xaxis)
        panel.set(title=title, xlabel="coefficient λ of the bonus", ylabel="reward of the optimum of V + λH")
        panel.legend(loc="lower left", labelcolor="linecolor")
    _caption(figure, ["closed form; k actions pay 1, all else 0", "an ideal clamp removes no optimal action"])
    return figure


def bound_figure(curves: DataFrame) -> Figure:
    """The gradient's norm and its bound 2·H over steps: small entropy, small gradient."""
    numbers = sorted(curves["optimal"].unique(), reverse=True)
    chosen = [numbers[0], numbers[-1]]
    figure, panels = _panels(2)
    for panel, optimal in zip(panels, chosen, strict=True):
        ends = []
        for method in ("none", "entropy", "clamped"):
            own = curves[(curves["optimal"] == optimal) & (curves["method"] == method)]
            means = own.groupby("step")[["norm", "entropy"]].mean()
            panel.plot(means.index, means["norm"], color=COLOURS[method], linewidth=1.5)
            panel.plot(means.index, 2 * means["entropy"], color=COLOURS[method], linewidth=1.2, linestyle=":")
            ends.append((float(means["norm"].iloc[-1]), NAMES[method], COLOURS[method]))
        panel.set_yscale("log")
        panel.set(title=_title(optimal), xlabel="steps of gradient ascent", ylabel="‖∇V‖ and its bound")
        label_ends(panel, ends)
    _caption(
        figure,
        ["solid: norm of the reward's gradient", "dotted: its bound, twice the entropy in nats", "means over units"],
    )
    return figure


def _caption(figure: Figure, parts: Sequence[str]) -> None:
    caption(figure, SEPARATOR.join([*parts, "made by: entrobench theory STUDY"]))
