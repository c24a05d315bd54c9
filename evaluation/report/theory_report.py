"""`entrobench theory`: run a study of kind theory and write its tables, figures and page."""

from __future__ import annotations

import base64
import json
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from entrobench import provenance as origin
from entrobench.evaluation.figures.theory_figures import all_figures, write_figures
from entrobench.evaluation.tables import law_tables, theory_tables
from entrobench.evaluation.tables.table_formats import Table, latex, markdown
from entrobench.results import StudyFolder
from entrobench.theory import calibration, experiments, one_step
from entrobench.theory.study import CURVES, TABLES, TheoryStudy

from .page.blocks import Block, Commands, Definitions, Page, Paragraphs, Picture, Section, Tabular

FIGURES = {
    "reward": (
        "Reward over steps",
        "The construction of the grid that comes closest to the paper's figure on 15 and 1 optimal actions.",
    ),
    "grid": (
        "Every construction of the grid",
        "Above the line the clamped bonus ends higher than the full one, below it lower.",
    ),
    "one_step": (
        "One step of policy optimisation",
        "How each bonus moves the right action and the tail, by direct computation.",
    ),
    "closed_form": (
        "How large λ may be",
        "Reward of the policy that maximises V + λH: more actions and fewer optimal ones need a smaller λ.",
    ),
    "bounds": ("Entropy bounds the gradient", "Where the entropy collapses, the gradient of the reward must vanish."),
}


def run_theory(study: TheoryStudy) -> Path:
    """Compute everything and write results/<study>/: parquet, csv, table.*, figures/, provenance.json, report.html."""
    started = time.time()
    files = study.files
    files.folder.mkdir(parents=True, exist_ok=True)
    results = compute(study)
    for name in CURVES:
        results[name].assign(study=study.name).to_parquet(files.numbers(name, "parquet"), index=False)
    for name in TABLES:
        results[name].to_csv(files.numbers(name, "csv"), index=False, float_format="%.10g")
    tables = all_tables(study, results)
    files.table("md").write_text("\n".join(markdown(table) for table in tables.values()))
    files.table("tex").write_text("\n".join(latex(table) for table in tables.values()))
    results["points"].to_csv(files.table("csv"), index=False, float_format="%.6g")
    write_figures(files.figures, all_figures(results))
    found = list(findings(study, results))
    files.findings.write_text("\n".join(found) + "\n")
    made = provenance(study, started)
    files.provenance.write_text(json.dumps(made, indent=1) + "\n")
    return write_page(study, results, tables, found, made)


def compute(study: TheoryStudy) -> dict[str, Any]:
    """All tidy tables by name, and the chosen construction."""
    import pandas

    grid = calibration.search(study)
    chosen = study.constructions[calibration.closest(grid)]
    curves = experiments.curves(study, chosen)
    trees = experiments.trees(study)
    parts = {"chosen bandit": curves} | {f"tree, horizon {h}": own for h, own in trees.groupby("horizon")}
    bounds = [experiments.bound_summary(own).assign(process=name) for name, own in parts.items()]
    return {
        "grid": grid,
        "chosen": chosen,
        "curves": curves,
        "points": calibration.cells(curves, study),
        "trees": trees,
        "bounds": pandas.concat(bounds, ignore_index=True),
        "one_step": pandas.DataFrame(one_step.sweep(study.one_step)),
        "closed_forms": experiments.closed_forms(study, chosen),
    }


def all_tables(study: TheoryStudy, results: Mapping[str, Any]) -> dict[str, Table]:
    """The tables that people read, in the page's order."""
    rows = results["one_step"].to_dict("records")
    rows = [{key: value for key, value in row.items() if value == value} for row in rows]
    tables = [
        theory_tables.plateau_table(results["curves"], results["points"]),
        theory_tables.gain_table(results["curves"], results["points"]),
        theory_tables.transient_table(results["points"]),
        theory_tables.order_table(results["grid"]),
        theory_tables.one_step_table(rows),
        theory_tables.closed_form_table(results["closed_forms"], results["chosen"].actions),
        theory_tables.bound_table(results["bounds"]),
    ]
    return {table.name: table for table in tables}


def findings(study: TheoryStudy, results: Mapping[str, Any]) -> Iterator[str]:
    """What the numbers say, in sentences that say no more."""
    points, grid = results["points"], results["grid"]
    for role, where in (("fit", "the cells that chose it"), ("check", "cells that it had not seen")):
        own = points[points["role"] == role]
        if len(own):
            yield (
                f"The closest of {len(study.constructions)} constructions (ours; the paper's is UNKNOWN) lies "
                f"{own['distance'].mean():.3f} from the published last rewards on {where} ({len(own)} cells, mean "
                f"absolute distance), at most {own['distance'].max():.3f}."
            )
    for optimal, counts in theory_tables.order_counts(grid):
        total = sum(counts.values())
        yield (
            f"With {optimal} optimal of {results['chosen'].actions:,} actions the clamped bonus ends above the full "
            f"one in {counts['clamped higher']} of {total} constructions, below it in {counts['full higher']}, and no "
            f"difference is shown in {counts['no difference shown']}."
        )
    yield from _limits(results)


def _limits(results: Mapping[str, Any]) -> Iterator[str]:
    actions, forms = results["chosen"].actions, results["closed_forms"]
    for optimal in (forms["optimal"].max(), forms["optimal"].min()):
        full, kept = (
            experiments.half_way(actions, optimal),
            experiments.half_way(actions - int(0.33 * actions), optimal),
        )
        yield (
            f"Closed form, {optimal} optimal: the optimum of V + λH pays less than 1/2 beyond λ = {full:.4f}; a clamp "
            f"at p = 0.33 that never removes an optimal action moves that to {kept:.4f}."
        )
    bounds = results["bounds"]
    yield (
        f"{int(bounds['violated'].sum())} violations of the bounds in {int(bounds['checked'].sum()):,} checks. The "
        f"right side of Proposition 2's first term, with our constant, is 1 or more in "
        f"{bounds.loc[bounds['bound'] == 'soft gap', 'says_nothing'].mean():.0%} of them, and then says nothing."
    )
    rows = results["one_step"].dropna(subset=["coefficient"])
    plain = results["one_step"].set_index("method").loc["none", "right"]
    small = rows[rows["coefficient"] <= 0.01]
    yield (
        f"One step, λ up to 0.01: every bonus moves the right action's probability by at most "
        f"{(small['right'] - plain).abs().max():.1e} from {plain:.3f}."
    )


def provenance(study: TheoryStudy, started: float) -> dict[str, Any]:
    """Where the results come from; times are of this process."""
    commit, dirty = origin.git_state(Path(__file__).resolve())
    lock = origin.lock_file()
    return {
        "package_version": origin.package_version(),
        "git_commit": commit,
        "git_dirty": dirty,
        "lock_sha256": origin.sha256_file(lock) if lock.is_file() else None,
        "config_hash": study.hash,
        "hardware": origin.machine("cpu"),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "scipy", "pandas")},
        "units": study.units,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": time.time() - started,
        "cpu_seconds": time.process_time(),
        "peak_memory_bytes": origin.peak_memory_bytes(),
    }


def write_page(
    study: TheoryStudy, results: Mapping[str, Any], tables: dict[str, Table], found: list[str], made: dict[str, Any]
) -> Path:
    """Write report.html, one file with everything inside; every text is escaped."""
    from .page.render import render

    facts = [
        (str(len(study.constructions)), "constructions"),
        (str(study.units), "units each"),
        (f"{results['chosen'].actions:,}", "actions"),
        (f"{study.steps:,}", "steps"),
        (f"{made['cpu_seconds']:.0f} s", "of CPU"),
    ]
    origin = [(name, json.dumps(value).strip('"')) for name, value in made.items()]
    commands = [f"make study STUDY={study.name}", f"entrobench theory {study.name}"]
    parts = [
        *sections(study, results, tables),
        Section("provenance", "Provenance", [Definitions("", origin)]),
        Section("again", "How to run it again", [Commands(commands)], "Again"),
    ]
    page = Page(study.name, study.description, facts, found, parts, str(study.folder))
    study.files.report.write_text(render(page), encoding="utf-8")
    return study.files.report


def sections(study: TheoryStudy, results: Mapping[str, Any], tables: dict[str, Table]) -> list[Section]:
    """The parts of the page, each with its lines, figures and tables."""
    chosen = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in asdict(results["chosen"]).items()
    )
    parts: list[tuple[str, str, list[str], list[str], list[str]]] = [
        (
            "process",
            "Synthetic process",
            [f"The chosen construction: {chosen}."],
            ["reward"],
            ["plateaus", "gains", "transients"],
        ),
        ("order", "Where it holds, and where not", [], ["grid"], ["orders"]),
        ("step", "One step", [], ["one_step"], ["one_step"]),
        ("optimum", "Closed form", [], ["closed_form"], ["closed_form"]),
        ("inequalities", "Bounds", [], ["bounds"], ["bounds"]),
    ]
    found = []
    for name, title, lines, figures, names in parts:
        blocks: list[Block] = [Paragraphs(lines), *(picture(study.folder, figure) for figure in figures)]
        found.append(Section(name, title, [*blocks, *(Tabular(tables[table]) for table in names)]))
    laws: list[Block] = [Tabular(table) for table in law_tables.read_laws(study.folder)]
    missing = Paragraphs(["Not measured here: `entrobench clamp-law` and `entrobench reward-law` add them."])
    return [*found, Section("laws", "On trained policies", laws or [missing])]


def picture(folder: Path, name: str) -> Picture:
    """A figure of the study as an image inside the page."""
    data = base64.b64encode(StudyFolder(folder).figure(name).read_bytes()).decode()
    title, text = FIGURES[name]
    return Picture(title, text, f"data:image/svg+xml;base64,{data}", f"{title}. {text}")
