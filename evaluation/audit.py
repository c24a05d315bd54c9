"""`entrobench audit-statistics`: how often is each interval wrong? Simulated studies, judged by the code of real ones.

The committed result, results/reference/statistics/audit.csv, decides which interval may give a verdict (`admission`).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .admission import COLUMNS, ERRORS, NEW, PRIMARY, THESE, is_valid
from .analysis import Analysis, Board, Scope
from .statistics import (
    LEVEL,
    CrossedBootstrap,
    interquartile_mean,
    interquartile_mean_samples,
    percentile_interval,
    pooled_t,
    resample_counts,
)
from .table_formats import Entry, Table, markdown

if TYPE_CHECKING:
    from numpy.random import Generator
    from pandas import DataFrame

SEEDS = (2, 3, 5, 10, 20)

# Variances of the quickstart study (a test recomputes them from results/reference/quickstart): difficulties from pass@1
# and pass@2, spread of the runs from the tolerances, own noise from the paired differences. INTERACTION is ours.
PROBLEMS, DRAWS = 300, 8
EASE = (0.67, 0.50)  # Beta distribution of a problem's chance to be solved
SEED_NOISE = 0.016  # standard deviation of what runs with the same seed share
RUN_NOISE = 0.014  # standard deviation of a run's own training noise
CELL_NOISE = (0.8, 0.7, 1.1, 1.3)  # both, relative, per model x dataset cell
CELL_SHIFT = (0.02, 0.01, -0.01, -0.02)
INTERACTION = 0.05  # standard deviation over problems of what a method changes for better and worse
EFFECT = 0.02  # of the method, where coverage and power are measured
REPLICATES = 500  # of a bootstrap; fewer than in a study

CELLS = [(f"model{number}", "data") for number in range(len(CELL_NOISE))]
METHODS = ("grpo", "new")
SIMULATED = {
    **{"problems": PROBLEMS, "draws": DRAWS, "ease": EASE, "seed_noise": SEED_NOISE, "run_noise": RUN_NOISE},
    **{"cell_noise": CELL_NOISE, "cell_shift": CELL_SHIFT, "interaction": INTERACTION, "effect": EFFECT},
    "replicates": REPLICATES,
}
DIFFERENCES = {
    "paired t": "difference: paired t, pooled within cells",
    "seed bootstrap": "difference: bootstrap of paired seeds",
    "crossed bootstrap": "difference: bootstrap of seeds x problems",
    "stratified bootstrap": "difference of IQMs: stratified bootstrap",
    "improvement": "P(better): bootstrap",
}
SINGLE = {"score t": "one method's score in a cell: t", "IQM": "one method's IQM: stratified bootstrap"}
QUESTIONS = {THESE: "on the benchmark's own problems", NEW: "on new problems of the same kind"}


def simulate(rng: Generator, effect: float, problems: str) -> tuple[Board, float]:
    """One study of two methods and 20 seeds per cell: its scores, and the true mean score without effects.

    A run's chance at a problem is ease + shift·w with w = p(1-p) over its mean, so that a shift moves the mean score by
    exactly itself and leaves sure problems sure. shift = cell + seed noise + run noise + effect of the method.
    """
    import numpy

    ease = rng.beta(*EASE, PROBLEMS)
    weight = ease * (1 - ease) / numpy.mean(ease * (1 - ease))
    mixed = INTERACTION * rng.standard_normal(PROBLEMS)
    if problems == THESE:
        mixed -= (mixed * weight).mean() / weight.mean()  # the method changes problems, not their mean
    size = (len(CELLS), len(METHODS), max(SEEDS))
    noise = SEED_NOISE * rng.standard_normal((size[0], 1, size[2])) + RUN_NOISE * rng.standard_normal(size)
    shift = numpy.asarray(CELL_SHIFT)[:, None, None] + noise * numpy.asarray(CELL_NOISE)[:, None, None]
    changed = numpy.stack([numpy.zeros(PROBLEMS), effect + mixed])[None, :, None, :]
    chances = (ease + weight * (shift[..., None] + changed)).astype("float32").reshape(-1, PROBLEMS)
    values = (rng.random((DRAWS, *chances.shape), dtype="float32") < chances).mean(axis=0)
    runs = [(*cell, method, seed) for cell in CELLS for method in METHODS for seed in range(size[2])]
    center = ease.mean() if problems == THESE else EASE[0] / sum(EASE)
    return Board(runs, {"b": [str(number) for number in range(PROBLEMS)]}, {"b": values}), float(center)


def first_seeds(board: Board, seeds: int) -> Board:
    """The same study as if it had been run with fewer seeds."""
    rows = [row for row, run in enumerate(board.runs) if run[3] < seeds]
    return Board([board.runs[row] for row in rows], board.items, {"b": board.values["b"][rows]})


def measure(analysis: Analysis, cells: int) -> dict[str, tuple[float, tuple[float, float]]]:
    """Estimate and bounds of every interval of one simulated study, by the functions that judge real studies."""
    import numpy

    rng, scope = analysis.rng, Scope("study", tuple(CELLS[:cells]), ("b",))
    row = analysis.compare(scope, METHODS[1])
    assert row is not None
    differences = [numpy.asarray(cell) for cell in row["differences"]]
    drawn = [resample_counts(cell.size, REPLICATES, rng) @ cell / cell.size for cell in differences]
    tasks = [analysis.run_scores(scope, method) for method in METHODS]
    theirs, ours = (interquartile_mean_samples(own, rng, REPLICATES) for own in tasks)
    iqms = [interquartile_mean(numpy.concatenate(own)) for own in tasks]
    interval, score = row["interval"], pooled_t(tasks[0][:1])
    found = {
        "paired t": (interval.mean, (interval.lower, interval.upper)),
        "seed bootstrap": (interval.mean, percentile_interval(numpy.mean(drawn, axis=0))),
        "crossed bootstrap": (interval.mean, row["bootstrap"]),
        "stratified bootstrap": (iqms[1] - iqms[0], percentile_interval(ours - theirs)),
        "improvement": (row["improvement"], row["improvement_interval"]),
        "IQM": (iqms[0], percentile_interval(theirs)),
    }
    return found | ({"score t": (score.mean, (score.lower, score.upper))} if cells == 1 else {})


def simulate_all(simulations: int, seed: int, effect: float, problems: str, advance: Callable[[], None]) -> DataFrame:
    """Simulate studies: a row per simulation x interval x cells x seeds with its estimate and bounds.

    Bounds of a single method's score are relative to the true mean score of the simulated study.
    """
    import numpy
    import pandas

    rng, rows = numpy.random.default_rng([seed, int(effect > 0), int(problems == NEW)]), []
    for _ in range(simulations):
        board, center = simulate(rng, effect, problems)
        bootstrap = CrossedBootstrap(board.items, rng, REPLICATES)
        for seeds in SEEDS:
            analysis = Analysis(first_seeds(board, seeds), METHODS[0], bootstrap, rng)
            for cells in (1, len(CELLS)):
                for name, (estimate, (lower, upper)) in measure(analysis, cells).items():
                    offset = center if name in SINGLE else 0.0
                    rows.append((name, cells, seeds, estimate - offset, lower - offset, upper - offset))
        advance()
    return pandas.DataFrame(rows, columns=["interval", "cells", "seeds", "estimate", "lower", "upper"])


def audit(simulations: int, seed: int, progress: bool) -> DataFrame:
    """Simulate `simulations` studies without and as many with an effect, for either question; columns COLUMNS.

    false_positives: share of intervals that exclude "no difference" where there is none; under the effect, coverage of
    the truth and power, the share that finds it. false_positives and power are NaN for the intervals of one method.
    """
    import pandas
    from rich.progress import Progress

    tables = []
    with Progress(disable=not progress) as bar:
        task = bar.add_task("simulating studies", total=2 * len(QUESTIONS) * simulations)
        for problems in QUESTIONS:
            without, effect = (
                simulate_all(simulations, seed, size, problems, lambda: bar.advance(task)) for size in (0.0, EFFECT)
            )
            tables.append(_rates(without, effect, simulations).assign(problems=problems))
    return pandas.concat(tables, ignore_index=True)[list(COLUMNS)]


def _rates(without: DataFrame, effect: DataFrame, simulations: int) -> DataFrame:
    import pandas

    groups = ["interval", "cells", "seeds"]
    effects: dict[Any, DataFrame] = dict(iter(effect.groupby(groups)))
    nulls, rows = dict(iter(without.groupby(groups))), []
    for (name, cells, seeds), found in effects.items():
        truth, nothing = _truth(name, cells, effect), 0.5 if name == "improvement" else 0.0
        row = {"interval": name, "cells": cells, "seeds": seeds, "simulations": simulations}
        row["coverage"] = ((found["lower"] <= truth) & (truth <= found["upper"])).mean()
        if name in DIFFERENCES:
            null = nulls[name, cells, seeds]
            row["false_positives"] = ((null["lower"] > nothing) | (null["upper"] < nothing)).mean()
            row["power"] = (found["lower"] > nothing).mean()
        rows.append(row)
    order = list(DIFFERENCES | SINGLE)
    table = pandas.DataFrame(rows).sort_values(["cells", "seeds"])
    return table.sort_values("interval", key=lambda names: names.map(order.index), kind="stable")


def _truth(name: str, cells: int, effect: DataFrame) -> float:
    """What an interval should cover. P(better)'s estimate is unbiased, so its mean is the truth; an IQM over several
    cells has no closed form, so the mean of the estimates at the most seeds stands for it."""
    if name == "score t":
        return CELL_SHIFT[0]
    if name in ("improvement", "IQM"):
        own = effect[(effect["interval"] == name) & (effect["cells"] == cells) & (effect["seeds"] == max(SEEDS))]
        return float(own["estimate"].mean())
    return EFFECT


def run_audit(simulations: int, seed: int, folder: Path, progress: bool) -> list[Table]:
    """Measure every interval and write `folder`/audit.csv, audit.md and provenance.json; returns the tables to show."""
    started, content = time.time(), _provenance(simulations, seed)  # the code's state now, not when it has ended
    rates = audit(simulations, seed, progress)
    folder.mkdir(parents=True, exist_ok=True)
    rates.to_csv(folder / "audit.csv", index=False, float_format="%.6g")
    tables = audit_tables(rates.to_dict("records"), seed)
    (folder / "audit.md").write_text("\n".join(map(markdown, tables)))
    content["seconds"] = round(time.time() - started, 1)
    (folder / "provenance.json").write_text(json.dumps(content, indent=2) + "\n")
    return tables


def _provenance(simulations: int, seed: int) -> dict[str, Any]:
    from entrobench import provenance

    commit, dirty = provenance.git_state(Path(__file__).resolve())
    return {
        "package_version": provenance.package_version(),
        "git_commit": commit,
        "git_dirty": dirty,
        "seed": seed,
        "simulations": simulations,
        "simulated": SIMULATED,
        "hardware": provenance.machine("cpu"),
        "versions": {name: version(name) for name in ("numpy", "scipy", "pandas")},
    }


def audit_tables(rates: Sequence[Mapping[Any, Any]], seed: int) -> list[Table]:
    """False positives and coverage for either question: a row per interval and number of cells, a column per seeds."""
    simulations = rates[0]["simulations"]
    limit = 100 * (1 - LEVEL), 100 * math.sqrt((1 - LEVEL) * LEVEL / simulations)
    notes = {
        "false_positives": "95 % intervals, in %, that exclude 'no difference' where there is none. Bold: "
        f"at most {limit[0]:.0f} % + {ERRORS} x {limit[1]:.2f} %, so that the interval may give a verdict on the "
        f"benchmark's own problems. Verdicts rest on '{DIFFERENCES[PRIMARY]}'.",
        "coverage": f"Coverage of the truth in % at a true difference of {EFFECT:g}.",
    }
    general = f" {simulations} simulated studies, seed {seed}; ± is the Monte-Carlo error."
    return [
        _rate_table([row for row in rates if row["problems"] == problems], rate, question, notes[rate] + general)
        for problems, question in QUESTIONS.items()
        for rate in notes
    ]


def _rate_table(rates: Sequence[Mapping[Any, Any]], rate: str, question: str, note: str) -> Table:
    found = {(row["interval"], row["cells"], row["seeds"]): row for row in rates}
    labels = DIFFERENCES if rate == "false_positives" else DIFFERENCES | SINGLE
    rows = [
        [
            Entry(labels[name], value=labels[name]),
            Entry(str(cells), value=cells),
            *(_rate_entry(found[name, cells, seeds], rate) for seeds in SEEDS),
        ]
        for name, cells in dict.fromkeys(key[:2] for key in found)
        if name in labels
    ]
    columns = ["95 % interval", "cells", *(f"{seeds} seeds" for seeds in SEEDS)]
    title = f"{rate.replace('_', ' ').capitalize()} {question}"
    return Table(f"audit {rate}", title, columns, rows, note, group=1)


def _rate_entry(row: Mapping[Any, Any], rate: str) -> Entry:
    value, simulations = row[rate], row["simulations"]
    likely = (value * simulations + 1) / (simulations + 2)  # a rate of 0 among few is no certainty
    error = math.sqrt(likely * (1 - likely) / simulations)
    bold = rate == "false_positives" and row["problems"] == THESE and is_valid(row)
    return Entry(f"{100 * value:.1f} ± {100 * error:.1f}", value=value, bold=bold)
