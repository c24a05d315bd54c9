from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_results import make_study

from entrobench.evaluation.figures.curve_figures import Quantity, curve_figure, curve_panels
from entrobench.evaluation.figures.difference_figure import difference_panels
from entrobench.evaluation.figures.figure_style import CROWDED, MARKERS, PALETTE, caption, colour, marker, spread
from entrobench.evaluation.figures.panels import Panel, inline
from entrobench.evaluation.figures.score_figures import (
    entropy_score_figure,
    entropy_score_panels,
    pass_k_panels,
    score_figure,
    score_panels,
)
from entrobench.evaluation.figures.study_curves import learning_curves
from entrobench.evaluation.figures.study_figures import write_figures
from entrobench.evaluation.figures.sweep_figure import sweep_figure, sweep_panels
from entrobench.evaluation.report.compare import read_curves
from entrobench.evaluation.statistics.scores import problem_table, read_grades, score_table

SWEEP = pandas.DataFrame(
    {
        "method": "entropy_bonus",
        "key": "coefficient",
        "value": [0.0, 0.0, 0.02, 0.02, 0.1, 0.1],
        "seed": [0, 1, 0, 1, 0, 1],
        "metric": "avg@8",
        "score": [0.8, 0.82, 0.8, 0.79, 0.0, 0.0],
        "entropy": [0.1, 0.12, 0.3, 0.28, 6.9, 6.8],
    }
)

STATISTICS = {
    "metric": "avg@8",
    "metrics": ["avg@8"],
    "baseline": "grpo",
    "aggregates": [{"method": "grpo"}, {"method": "aent"}],
    "comparisons": [
        {
            "scope": "study",
            "metric": "avg@8",
            "method": "aent",
            "difference": 0.02,
            "lower": -0.01,
            "upper": 0.05,
            "detectable": 0.04,
            "verdict": "no difference shown",
        }
    ],
}
ENTROPY = Quantity("entropy", "entropy (nats/token)")


def results(root: Path, **options: object) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Curves and scores of a small study."""
    arguments = {"seeds": (0, 1), "problems": 6, "datasets": ["chain2", "chain3"]} | options
    study = make_study(root, {"grpo": 0.5, "aent": 0.7}, **arguments)
    return read_curves(study, study.results), score_table(problem_table(read_grades(study.results), [1, 2, 4]))


def test_every_figure_is_written_twice_with_the_same_bytes_and_stale_ones_go(tmp_path: Path) -> None:
    curves, scores = results(tmp_path, datasets=["chain2"])
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.svg").write_text("")
    files = write_figures(curves, scores, STATISTICS, tmp_path / "figures", SWEEP, {})
    names = {"entropy", "reward", "length", "reward_by_tokens", "reward_by_time", "scores", "score_by_entropy"}
    names |= {"coefficient", "sweep", "differences"}
    assert {file.name for file in files} == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert sorted(files) == sorted((tmp_path / "figures").iterdir())
    again = write_figures(curves, scores, STATISTICS, tmp_path / "again", SWEEP, {})
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]


def test_no_coefficient_and_no_sweep_where_there_are_none(tmp_path: Path) -> None:
    curves, scores = results(tmp_path, datasets=["chain2"])
    curves = curves[curves["method"] == "grpo"].drop(columns="method/coefficient")
    files = write_figures(curves, scores[scores["method"] != "aent"], STATISTICS, tmp_path / "figures", None, {})
    assert not {"coefficient.svg", "sweep.svg"} & {file.name for file in files}


def test_curves_show_each_seed_the_mean_and_the_range(tmp_path: Path) -> None:
    curves, _ = results(tmp_path, datasets=["chain2"])
    figure = curve_figure(curves, ENTROPY)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "entropy (nats/token)")
    assert axes.get_title(loc="left") == "tiny · chain2"
    assert {text.get_text() for text in axes.texts} == {"grpo", "aent"}
    grpo = curves[curves["method"] == "grpo"].pivot(index="step", columns="seed", values="entropy")
    thick = [line for line in axes.lines if line.get_linewidth() > 1 and line.get_color() == colour("grpo", [])]
    assert numpy.allclose(thick[0].get_ydata(), grpo.mean(axis=1))
    leading = [line for line in axes.lines if line.get_transform() == axes.transAxes]  # from a line's end to its name
    assert len(axes.lines) - len(leading) == 2 * (2 + 1)
    edges = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(grpo.to_numpy().min())
    assert edges.max() == pytest.approx(grpo.to_numpy().max())


def test_names_stand_at_the_ends_of_their_lines(tmp_path: Path) -> None:
    curves, _ = results(tmp_path, datasets=["chain2"], seeds=(0,))
    longer = curves.assign(length=curves["length"] + 9 * (curves["method"] == "aent"))
    (axes,) = curve_figure(longer, Quantity("length", "")).axes
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = {line.get_color(): to_axes.transform((0, line.get_ydata()[-1]))[1] for line in axes.lines}
    for text in axes.texts:
        assert text.get_position()[1] == pytest.approx(ends[text.get_color()])
        assert 0 < text.get_position()[1] < 1


def test_five_seeds_get_the_t_interval_of_the_mean(tmp_path: Path) -> None:
    curves, _ = results(tmp_path, datasets=["chain2"], seeds=range(5), steps=3)
    figure = curve_figure(curves[curves["method"] == "grpo"], ENTROPY)
    values = curves[(curves["method"] == "grpo") & (curves["step"] == 1)]["entropy"]
    half = 2.7764451 * values.std() / math.sqrt(5)
    at_first_step = figure.axes[0].collections[0].get_paths()[0].vertices
    at_first_step = at_first_step[at_first_step[:, 0] == 1, 1]
    assert at_first_step.max() == pytest.approx(values.mean() + half)
    assert at_first_step.min() == pytest.approx(values.mean() - half)
    assert "95 % t interval" in figure.get_supxlabel()


def test_a_wide_range_is_drawn_on_a_logarithmic_axis(tmp_path: Path) -> None:
    curves, _ = results(tmp_path, datasets=["chain2"])
    exploded = curves.assign(entropy=curves["entropy"].where(curves["method"] == "grpo", 6.9))
    assert curve_figure(curves, ENTROPY).axes[0].get_yscale() == "linear"
    assert curve_figure(exploded, ENTROPY).axes[0].get_yscale() == "log"


def test_long_histories_are_thinned(tmp_path: Path) -> None:
    curves, _ = results(tmp_path, datasets=["chain2"], steps=900, seeds=(0,))
    figure = curve_figure(curves, ENTROPY)
    assert {len(line.get_xdata()) for line in figure.axes[0].lines} == {180}
    assert "running mean of 5 steps" in figure.get_supxlabel()


def test_score_panels_show_seeds_means_and_the_base_model(tmp_path: Path) -> None:
    curves, scores = results(tmp_path, benchmarks=["b1", "b2"])
    figure = score_figure(curves, scores, "avg@8")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "tiny · chain2\non b1",
        "\non b2",
        "tiny · chain3\non b1",
        "\non b2",
    ]
    chosen = scores[(scores["metric"] == "avg@8") & (scores["benchmark"] == "b1")]
    aent = chosen[(chosen["method"] == "aent") & (chosen["dataset"] == "chain2")]["value"]
    sign = marker("aent", ["grpo", "aent"])
    dots = [line for line in figure.axes[0].lines if line.get_marker() == sign]
    assert {line.get_color() for line in dots} == {colour("aent", [])}
    assert sorted(dots[0].get_xdata()) == pytest.approx(sorted(aent))
    base = chosen[chosen["method"] == "base"]["value"].iloc[0]
    assert base in [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"]


def test_the_sweep_marks_the_used_value() -> None:
    figure = sweep_figure(SWEEP, {("entropy_bonus", "coefficient"): [0.02]})
    score, entropy = figure.axes
    assert [tick.get_text() for tick in entropy.get_xticklabels()] == ["0", "0.02", "0.1"]
    assert entropy.get_yscale() == "log"
    marks = [line for line in score.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in marks] == [0.02]
    assert score.get_ylabel() == "validation avg@8"


def test_a_method_keeps_its_colour() -> None:
    assert colour("aent", ["aent"]) == colour("aent", ["aent", "grpo", "zeta"])
    others = [colour(name, ["siren", "kl_cov", "grpo"]) for name in ("siren", "kl_cov", "grpo")]
    assert len(set(others)) == 3


@given(st.lists(st.floats(0, 1), max_size=9))
def test_spread_keeps_order_and_distance(positions: list[float]) -> None:
    placed = spread(positions, 0.1)
    assert len(placed) == len(positions)
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    gaps = numpy.diff([placed[i] for i in order])
    assert numpy.all(gaps >= 0.1 - 1e-9)


def test_spread_moves_nothing_without_need() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1) == [0.9, 0.1, 0.5]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])


def many_methods(curves: pandas.DataFrame, number: int) -> pandas.DataFrame:
    """The same runs under `number` names, the baseline among them."""
    names = ["grpo", *(f"method{number}" for number in range(number - 1))]
    own = curves[curves["method"] == "grpo"]
    return pandas.concat([own.assign(method=name) for name in names], ignore_index=True)


def test_names_at_the_ends_of_lines_do_not_overlap_in_stacked_panels(tmp_path: Path) -> None:
    """Equal lines under four names, a panel per cell: the room between names is that of the panel, not the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    curves = many_methods(results(tmp_path)[0], 4)
    figure = curve_figure(pandas.concat([curves, curves.assign(model="other")]), ENTROPY)
    FigureCanvasAgg(figure).draw()
    assert len(figure.axes) == 4
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
        assert len(boxes) == 4
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_many_methods_get_a_panel_each_on_common_axes(tmp_path: Path) -> None:
    curves, _ = results(tmp_path)
    crowd = many_methods(curves, CROWDED + 1)
    figure = curve_figure(crowd, ENTROPY)
    assert len(figure.axes) == 2 * (CROWDED + 1)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == 2 * list(dict.fromkeys(crowd["method"]))
    assert {"tiny · chain2", "tiny · chain3", "step", "entropy (nats/token)"} <= {t.get_text() for t in figure.texts}
    boxes = [axes.get_position() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert len({axes.get_ylim() for axes in figure.axes[: CROWDED + 1]}) == 1
    assert len(figure.axes[1].collections[0].get_segments()) == CROWDED + 1
    assert "grey: the other methods" in figure.get_supxlabel()
    assert len(curve_figure(many_methods(curves, CROWDED), ENTROPY).axes) == 2


def test_many_methods_get_a_panel_each_of_score_by_entropy(tmp_path: Path) -> None:
    curves, scores = results(tmp_path, datasets=["chain2"])
    costs = many_methods(curves, CROWDED + 1).groupby(["model", "dataset", "method", "seed"], sort=False)["entropy"]
    costs = costs.mean().rename("final_entropy").reset_index()
    chosen = scores[(scores["metric"] == "avg@8") & (scores["method"] == "grpo")]
    figure = entropy_score_figure(
        costs, pandas.concat([chosen.assign(method=name) for name in costs["method"].unique()]), "avg@8"
    )
    assert len(figure.axes) == CROWDED + 1
    everything, reference, own = figure.axes[3].lines
    assert (len(everything.get_xdata()), len(reference.get_xdata()), len(own.get_xdata())) == (2 * (CROWDED + 1), 2, 2)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_methods_names_are_readable_in_their_colours_on_white_and_on_dark() -> None:
    """Contrast of text by WCAG 2, level AA."""
    for light, dark in PALETTE.values():
        assert 1.05 / (luminance(light) + 0.05) >= 4.5
        assert (luminance(dark) + 0.05) / (luminance("#15191d") + 0.05) >= 4.5


def test_methods_have_signs_of_their_own_beside_their_colours() -> None:
    names = [f"m{number}" for number in range(29)]
    looks = {(marker(name, names), colour(name, names)) for name in names}
    assert len(looks) == 29
    assert len({marker(name, names) for name in names[: len(MARKERS)]}) == len(MARKERS)


def all_panels(root: Path) -> list[Panel]:
    curves, scores = results(root, seeds=range(2))
    costs = curves.groupby(["model", "dataset", "method", "seed"], sort=False)["entropy"].mean()
    found = [panel for table, quantity in learning_curves(curves).values() for panel in curve_panels(table, quantity)]
    found += [*difference_panels(STATISTICS), *score_panels(curves, scores, "avg@8"), *pass_k_panels(curves, scores)]
    found += entropy_score_panels(costs.rename("final_entropy").reset_index(), scores, "avg@8")
    return [*found, *sweep_panels(SWEEP, {("entropy_bonus", "coefficient"): [0.02]})]


def test_a_panel_of_the_page_says_what_is_seen_and_stays_text(tmp_path: Path) -> None:
    """One of each kind: text, no colour but the page's variables, no id without the panel's key, the methods marked."""
    panels = {panel.alt.split(" of ")[0].split(":")[0]: panel for panel in all_panels(tmp_path)}
    assert len(panels) > 8
    for number, panel in enumerate(panels.values()):
        assert "aent" in panel.alt or "entropy_bonus" in panel.alt
        svg = ElementTree.fromstring(inline(panel, ["grpo", "aent"], f"k{number}"))
        assert svg.get("aria-label") == panel.alt
        texts = "".join(svg.itertext())
        assert not re.findall("#[0-9a-f]{6}", ElementTree.tostring(svg, encoding="unicode")), panel.alt
        ids = [element.get("id") for element in svg.iter() if element.get("id")]
        assert all(name.startswith(f"k{number}-") for name in ids)
        if "aent" in panel.alt:
            assert "aent" in texts
            assert {element.get("data-method") for element in svg.iter()} >= {"aent"}


def test_a_panel_names_both_ends_of_many_methods(tmp_path: Path) -> None:
    curves, _ = results(tmp_path, datasets=["chain2"])
    crowd = many_methods(curves, 29)
    (panel,) = curve_panels(crowd, ENTROPY)
    assert "…" in panel.alt
    assert panel.size[1] > 5
    names = set(re.findall(r"method\d+", "".join(ElementTree.fromstring(inline(panel, [], "k")).itertext())))
    assert len(names) == 28, "every method is named at the end of its line"


def test_pass_k_goes_up_to_the_largest_k(tmp_path: Path) -> None:
    curves, scores = results(tmp_path, datasets=["chain2"])
    (panel,) = pass_k_panels(curves, scores)
    mean = scores[(scores["metric"] == "pass@4") & (scores["method"] == "aent")]["value"].mean()
    assert f"at k = 4: aent {mean:.3f}" in panel.alt
    assert list(pass_k_panels(curves, scores[~scores["metric"].isin(["pass@2", "pass@4"])])) == []


def test_spending_keeps_the_order_of_cells_and_methods(tmp_path: Path) -> None:
    curves, _ = results(tmp_path)
    from entrobench.evaluation.tables.budgets import spending

    keys = ["model", "dataset", "method"]
    reversed_runs = curves.iloc[::-1].reset_index(drop=True)
    assert spending(reversed_runs)[keys].drop_duplicates().to_numpy().tolist() == (
        reversed_runs[keys].drop_duplicates().to_numpy().tolist()
    )


def test_captions_break_between_their_parts() -> None:
    from matplotlib.figure import Figure

    narrow, wide = Figure(figsize=(2, 1)), Figure(figsize=(9, 1))
    for figure in (narrow, wide):
        caption(figure, "thick: mean over seeds   ·   band: range   ·   thin: each seed")
    assert narrow.get_supxlabel().splitlines() == ["thick: mean over seeds", "band: range   ·   thin: each seed"]
    assert "\n" not in wide.get_supxlabel()
