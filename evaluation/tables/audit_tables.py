"""The audit of the intervals as tables and files: results/statistics/audit.csv, audit.md and provenance.json."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from entrobench import provenance
from entrobench.evaluation.statistics.admission import ERRORS, JUDGING, PRIMARY, is_valid
from entrobench.evaluation.statistics.audit import DIFFERENCES, REPLICATES, SINGLE, audit_intervals
from entrobench.evaluation.statistics.intervals import LEVEL
from entrobench.evaluation.statistics.simulation import EFFECT, SCENARIOS, SEEDS, SIMULATED
from entrobench.results import StatisticsFolder

from .table_formats import Entry, Table, markdown


def run_audit(simulations: int, seed: int, folder: Path, progress: bool) -> list[Table]:
    """Measure every interval and write `folder`/audit.csv, audit.md and provenance.json; returns the tables to show."""
    started, content = time.time(), _provenance(simulations, seed)  # the code's state now, not when it has ended
    rates = audit_intervals(simulations, seed, progress)
    files = StatisticsFolder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rates.to_csv(files.audit, index=False, float_format="%.6g")
    tables = audit_tables(rates.to_dict("records"), seed)
    files.page.write_text("\n".join(map(markdown, tables)))
    content["seconds"] = round(time.time() - started, 1)
    files.provenance.write_text(json.dumps(content, indent=2) + "\n")
    return tables


def _provenance(simulations: int, seed: int) -> dict[str, Any]:
    commit, dirty = provenance.git_state(Path(__file__).resolve())
    return {
        "package_version": provenance.package_version(),
        "git_commit": commit,
        "git_dirty": dirty,
        "seed": seed,
        "simulations": simulations,
        "simulated": {**SIMULATED, "replicates": REPLICATES},
        "scenarios": [asdict(scenario) for scenario in SCENARIOS],
        "hardware": provenance.machine("cpu"),
        "versions": {name: version(name) for name in ("numpy", "scipy", "pandas")},
    }


def audit_tables(rates: Sequence[Mapping[Any, Any]], seed: int) -> list[Table]:
    """False positives, coverage and power by scenario: a row per interval and number of cells, a column per seeds."""
    simulations = rates[0]["simulations"]
    limit = 100 * (1 - LEVEL), 100 * math.sqrt((1 - LEVEL) * LEVEL / simulations)
    notes = {
        "false_positives": "95 % intervals, in %, that exclude 'no difference' where there is none. Bold: "
        f"at most {limit[0]:.0f} % + {ERRORS} x {limit[1]:.2f} %. An interval may give a verdict where it is bold in "
        f"the scenarios {' and '.join(JUDGING)}. Verdicts rest on '{DIFFERENCES[PRIMARY]}'.",
        "coverage": f"Coverage of the truth in % at a true difference of {EFFECT:g}.",
        "power": f"Intervals, in %, that lie above 0 at a true difference of {EFFECT:g}.",
    }
    general = f" {simulations} simulated studies, seed {seed}; ± is the Monte-Carlo error."
    tables = []
    for scenario in SCENARIOS:
        own = [row for row in rates if row["scenario"] == scenario.name]
        for rate in notes if scenario.name in JUDGING else ("false_positives",):
            note = f"Simulated: {scenario.note}. {notes[rate]}{general}"
            tables.append(_rate_table(own, rate, scenario.name, note))
    return tables


def _rate_table(rates: Sequence[Mapping[Any, Any]], rate: str, scenario: str, note: str) -> Table:
    found = {(row["interval"], row["cells"], row["seeds"]): row for row in rates}
    labels = DIFFERENCES | SINGLE if rate == "coverage" else DIFFERENCES
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
    title = f"{rate.replace('_', ' ').capitalize()}: {scenario}"
    return Table(f"audit {rate}", title, columns, rows, note, group=1)


def _rate_entry(row: Mapping[Any, Any], rate: str) -> Entry:
    value, simulations = row[rate], row["simulations"]
    likely = (value * simulations + 1) / (simulations + 2)  # a rate of 0 among few is no certainty
    error = math.sqrt(likely * (1 - likely) / simulations)
    bold = rate == "false_positives" and row["scenario"] in JUDGING and is_valid(row)
    return Entry(f"{100 * value:.1f} ± {100 * error:.1f}", value=value, bold=bold)
