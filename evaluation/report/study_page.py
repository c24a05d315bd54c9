"""`entrobench report`: one self-contained HTML page per study, from the files that `compare` wrote."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.config import stored
from entrobench.errors import InputError
from entrobench.evaluation.statistics.analysis import A_A
from entrobench.evaluation.tables.clamps import clamp_tables
from entrobench.evaluation.tables.entries import p_text, signed
from entrobench.evaluation.tables.study_tables import read_tables
from entrobench.evaluation.tables.table_formats import Entry, Table, new_block
from entrobench.results import RESULTS, DataFolder, StudyFolder
from entrobench.studies.decontamination import reduced_folder

from .compare import read_sweep, used_values
from .figure_style import colour
from .page_template import PAGE, SCRIPT, STYLE
from .reference_check import compare_with_reference
from .tuning import tuning_lines

if TYPE_CHECKING:
    from pandas import DataFrame

    from entrobench.studies.runs import Study

PILLS = {
    "better": "better",
    "worse": "worse",
    "no difference shown": "none",
    "too few seeds": "few",
    "no audited interval": "few",
    "A/A arm": "none",
    "agrees": "better",
    "higher": "worse",
    "lower": "worse",
    "cannot tell": "few",
}
FIGURES = {
    "scores": ("Final scores", "After the last training step; no checkpoint is picked."),
    "evaluations": ("Scores along the way", "On the benchmarks, at every evaluated step; none is picked."),
    "entropy": ("Entropy of the policy", "Full-vocabulary entropy at temperature 1 for every method, over training."),
    "score_by_entropy": ("Score against final entropy", "Does keeping entropy go with a better score?"),
    "coefficient": ("Coefficient", "The weight λ of the entropy term, where a method adapts it."),
}
SWEEP = {"sweep": ("Score and entropy over the swept value", "On a validation split, with tuning seeds.")}
CURVES = {
    "reward": ("Training reward at equal steps", "Mean reward of the sampled answers."),
    "reward_by_tokens": ("Training reward at equal generated tokens", "The same against what was sampled."),
    "reward_by_time": ("Training reward at equal device time", "The same against the time of the device."),
    "length": ("Response length", "Mean length of the sampled answers."),
}


def write_report(study: Study, folder: Path) -> Path:
    """Write `folder`/report.html and return its path; reads what `compare` wrote and each run's provenance.json.

    Style, script and figures are inside the page; every text is escaped. Raises InputError where `compare` did not run.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    files = StudyFolder(folder)
    if not files.statistics.is_file():
        raise InputError(f"{files.statistics}: missing; run `entrobench compare {study.name}` first")
    page = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    content = _content(study, folder)
    files.report.write_text(page.render(content, style=Markup(STYLE), script=Markup(SCRIPT)), encoding="utf-8")
    return files.report


def _content(study: Study, folder: Path) -> dict[str, Any]:
    """Everything the page shows, as plain values."""
    files = StudyFolder(folder)
    statistics = json.loads(files.statistics.read_text())
    provenance = [json.loads(files.run(run.key).provenance.read_text()) for run in study.runs]
    methods = list(dict.fromkeys(run.method for run in study.runs))
    reference = RESULTS.reference(study.name)
    return {
        "folder": RESULTS.study(study.name).folder,
        "study": study.name,
        "description": study.description,
        "facts": _facts(study, statistics),
        "colours": {method: colour(method, methods) for method in ["base", *methods]},
        "pills": PILLS,
        "starts_block": lambda table, row: row > 0 and new_block(table, table.rows[row - 1], table.rows[row]),
        "statements": [_statement(row, statistics) for row in statistics["comparisons"] if row["scope"] == "study"],
        "tables": [*read_tables(folder)[1], *clamp_tables(study, folder)],
        "reference": compare_with_reference(folder, reference.folder) if reference.scores.is_file() else [],
        "figures": embedded_figures(folder, FIGURES),
        "curves": embedded_figures(folder, CURVES),
        "sweep": _sweep(study, folder),
        "settings": _settings(study),
        "overlap": _overlap(study),
        "methods": _method_table(study, provenance),
        "provenance": _provenance(provenance),
        "runs": _run_table(study, provenance),
        "commands": _commands(study, provenance),
    }


def _facts(study: Study, statistics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers under the title."""

    counts = {name: len({getattr(run, name) for run in study.runs}) for name in ("model", "dataset", "method", "seed")}
    facts = [(str(count), name if count == 1 else f"{name}s") for name, count in counts.items()]
    return [(str(len(study.runs)), "training runs"), *facts, (statistics["metric"], "headline metric")]


def _statement(row: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, str]:
    """One plain sentence about a method against the baseline, over the whole study."""
    baseline = statistics["baseline"]
    bounds = "" if row["lower"] is None else f" (95 % interval {signed(row['lower'])} to {signed(row['upper'])})"
    cells, seeds = len(row["cells"]), sorted({len(paired) for paired in row["seeds"]})
    each = f"{' or '.join(map(str, seeds))} shared {'seed' if seeds == [1] else 'seeds'} each"
    basis = f"{cells} model x dataset {'cells' if cells > 1 else 'cell'}, {each}"
    said = {
        "better": f"scores higher than {baseline}",
        "worse": f"scores lower than {baseline}",
        "no difference shown": f"is not shown to differ from {baseline}",
        **dict.fromkeys(("too few seeds", "no audited interval"), f"against {baseline}, without a verdict"),
        A_A: f"is {baseline} again with the same seeds, so that chance alone made this difference",
    }[row["verdict"]]
    p = "" if row["p_holm"] is None else f"; p {p_text(row['p_holm'])} after Holm's correction"
    found = "" if row["detectable"] is None else f"; a true {row['detectable']:.3f} would be found with 80 % power"
    text = f"{row['method']} {said}: {signed(row['difference'])}{bounds} of {row['metric']} over {basis}{p}{found}."
    text += f" Covers {statistics['covers']}." if row["verdict"] in ("better", "worse") else ""
    return {"method": row["method"], "text": text, "verdict": row["verdict"]}


def embedded_figures(folder: Path, wanted: Mapping[str, tuple[str, str]]) -> list[dict[str, str]]:
    """The figures that exist, as images inside the page."""
    figures = []
    for name, (title, text) in wanted.items():
        file = StudyFolder(folder).figure(name)
        if file.is_file():
            data = base64.b64encode(file.read_bytes()).decode()
            figures.append({"title": title, "text": text, "source": f"data:image/svg+xml;base64,{data}"})
    return figures


def _sweep(study: Study, folder: Path) -> dict[str, Any] | None:
    """The sweep behind the study's values: its result in words, its figure and its numbers."""
    sweep = read_sweep(study)
    if sweep is None:
        return None
    groups = ["method", "key", "value"]
    means = sweep.groupby(groups, sort=False).agg(
        seeds=("seed", "nunique"), score=("score", "mean"), entropy=("entropy", "mean")
    )
    means = means.reset_index()
    rows = [
        [
            *(Entry(str(row[name]), value=row[name]) for name in ("method", "key")),
            Entry(f"{row['value']:g}", value=row["value"]),
            Entry(str(row["seeds"]), value=row["seeds"]),
            *(Entry(f"{row[name]:.3f}", value=row[name]) for name in ("score", "entropy")),
        ]
        for row in means.to_dict("records")
    ]
    metric = str(sweep["metric"].iloc[0])
    columns = [*groups, "seeds", f"validation {metric}", "final entropy (nats/token)"]
    return {
        "lines": [*_sweep_lines(means, used_values(study), metric), *(tuning_lines(folder) if study.tuning else [])],
        "figures": embedded_figures(folder, SWEEP),
        "table": Table("sweep", "Sweep", columns, rows, "Means over the tuning seeds."),
    }


def _sweep_lines(means: DataFrame, used: Mapping[tuple[str, str], Sequence[float]], metric: str) -> Iterable[str]:
    """For each swept key: the best value, the value the study uses, and whether they agree."""
    for (method, key), rows in means.groupby(["method", "key"], sort=False):
        best = rows.nlargest(1, "score").iloc[0]
        text = f"{method}, {key}: of {len(rows)} values the best mean validation {metric} is {best['score']:.3f}"
        text += f", at {best['value']:g}."
        yield text + "".join(_used_line(rows, value) for value in used.get((str(method), str(key)), []))


def _used_line(rows: DataFrame, value: float) -> str:
    """Where a value that the study uses stands in the sweep, in words."""
    if value not in set(rows["value"]):
        return f" The study uses {value:g}, which was not swept."
    score = rows.loc[rows["value"] == value, "score"].iloc[0]
    if score == rows["score"].max():
        return f" The study uses {value:g}, the best value."
    return f" The study uses {value:g}: {score:.3f}, place {int((rows['score'] > score).sum()) + 1} of {len(rows)}."


def _settings(study: Study) -> list[dict[str, Any]]:
    """Trainer and evaluation values; one that differs between cells names the cells."""
    names = dict.fromkeys(name for run in study.runs for name in stored(run.config.trainer))
    trainer = [(name, _by_cell(study, name)) for name in names]
    evaluation = [*_sampling(study), ("graders", ", ".join(study.graders))]
    general = [
        ("models", ", ".join(dict.fromkeys(run.model for run in study.runs))),
        ("datasets", ", ".join(dict.fromkeys(run.dataset for run in study.runs))),
        ("seeds", ", ".join(map(str, sorted({run.seed for run in study.runs})))),
        ("benchmarks", ", ".join(study.benchmarks)),
        ("evaluated", _grouped((_evaluation_schedule(run), f"{run.model} · {run.dataset}") for run in study.runs)),
    ]
    return [
        {"title": "Study", "entries": general},
        {"title": "Trainer (equal for all methods)", "entries": trainer},
        {"title": "Evaluation", "entries": evaluation},
    ]


def _overlap(study: Study) -> dict[str, Any]:
    """The training rows that the study's benchmarks also ask, and what became of them."""
    lines, rows = [], []
    for name, compared in study.compared.items():
        manifest = DataFolder(reduced_folder(RESULTS.data_root, name, compared)).manifest
        found = json.loads(manifest.read_text())["decontamination"]
        used = [run.config.dataset.decontaminated for run in study.runs if run.dataset == name]
        removed = set.intersection(*(set(section.get("against", ())) for section in used))
        counts = f"{name}: {found['matching']} of {found['rows']} training rows match"
        lines.append(f"{counts} a row of {', '.join(compared['against'])} ({found['rule']}).")
        gone = {match["id"] for match in found["matches"] if match["benchmark"] in removed}
        for match in found["matches"]:
            fate = "removed" if match["id"] in gone else "trained on"
            texts = [name, match["id"], match["benchmark"], match["benchmark_id"], match["kind"], match["words"], fate]
            rows.append([Entry(text, value=text) for text in texts])
    columns = ["dataset", "training row", "benchmark", "its row", "match", "shared words", "fate"]
    none = ["No row can match: the embedded problems are split by hash, and shorter than 13 words."]
    return {"lines": lines or none, "table": Table("overlap", "Matching rows", columns, rows) if rows else None}


def _evaluation_schedule(run: Any) -> str:
    every = run.hardware.snapshot_every
    return f"every {every} steps and after the last" if every else "after the last step"


def _sampling(study: Study) -> Iterable[tuple[str, str]]:
    """How answers are sampled. A value that differs names its base models, a benchmark's own value the benchmark."""
    evaluations = study.evaluations
    for key in asdict(next(iter(evaluations.values())).shared):
        yield key, _grouped((_plain(getattr(said.shared, key)), model) for model, said in evaluations.items())
    for name in study.benchmarks:
        own = {model: said.benchmarks[name] for model, said in evaluations.items()}
        if any(own.values()):
            texts = {model: ", ".join(f"{k} {_plain(v)}" for k, v in said.items()) for model, said in own.items()}
            yield f"{name}, of its own", _grouped((text or "none", model) for model, text in texts.items())


def _by_cell(study: Study, name: str) -> str:
    return _grouped((_plain(getattr(run.config.trainer, name)), f"{run.model} · {run.dataset}") for run in study.runs)


def _grouped(pairs: Iterable[tuple[str, str]]) -> str:
    """A single value where all agree, else each value with those that have it."""
    holders: dict[str, dict[str, None]] = {}
    for value, holder in pairs:
        holders.setdefault(value, {})[holder] = None
    if len(holders) == 1:
        return next(iter(holders))
    return "; ".join(f"{value} ({', '.join(named)})" for value, named in holders.items())


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _method_table(study: Study, provenance: Sequence[Mapping[str, Any]]) -> Table:
    """Each method of the study: where it comes from, its values, the paper and the hooks it overrides."""
    from entrobench.catalogue.registry import method_infos

    infos, rows = method_infos(), {}
    for run, origin in zip(study.runs, provenance, strict=True):
        method = run.config.method
        values = ", ".join(f"{key} {_plain(value)}" for key, value in method.values.items())
        info = infos.get(method.use)
        texts = [
            run.method,
            method.use,
            values or "none",
            info.paper if info else "not installed here",
            ", ".join(info.hooks) if info else "",
            f"{origin['method']['distribution']}, {origin['method']['source_sha256'][:12]}",
        ]
        rows[tuple(texts)] = [Entry(text, value=text) for text in texts]
    columns = ["method", "use", "values", "paper", "hooks", "source"]
    return Table("methods", "Methods", columns, list(rows.values()))


def _provenance(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the runs share; where they differ, every value."""

    def different(values: Iterable[object]) -> str:
        return "; ".join(dict.fromkeys(map(str, values)))

    def state(run: Mapping[str, Any]) -> str:
        if run["git_commit"] is None:
            return "installed package, no checkout"
        return f"{run['git_commit']}{' with uncommitted changes' if run['git_dirty'] else ''}"

    hardware = [", ".join(f"{key} {_plain(value)}" for key, value in run["hardware"].items()) for run in runs]
    versions = [", ".join(f"{name} {version}" for name, version in run["versions"].items()) for run in runs]
    return [
        ("entrobench", different(run["package_version"] for run in runs)),
        ("mathematics", different(run.get("mathematics", "unknown") for run in runs)),
        ("commit", different(map(state, runs))),
        ("lock file (sha256)", different(run["lock_sha256"] for run in runs)),
        ("hardware", different(hardware)),
        ("versions", different(versions)),
        ("training time, all runs", f"{sum(run['seconds'] for run in runs) / 3600:.2f} h"),
        ("largest memory of a run", f"{max(run['peak_memory_bytes'] for run in runs) / 2**30:.2f} GiB"),
    ]


def _run_table(study: Study, provenance: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for run, origin in zip(study.runs, provenance, strict=True):
        key = [Entry(str(value), value=value) for value in (run.model, run.dataset, run.method, run.seed)]
        rows.append(
            [
                *key,
                Entry(run.config.hash[:12], value=run.config.hash),
                Entry(f"{origin['seconds']:.0f}", value=origin["seconds"]),
                Entry(f"{origin['peak_memory_bytes'] / 2**20:.0f}", value=origin["peak_memory_bytes"]),
                Entry(_plain(origin.get("reused_from")), value=_plain(origin.get("reused_from"))),
            ]
        )
    columns = ["model", "dataset", "method", "seed", "config", "seconds", "peak memory (MiB)", "reused from"]
    return Table("runs", "Every run", columns, rows, "config: first digits of the hash of config.json.", group=3)


def _commands(study: Study, provenance: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines to type in a clone. Where runs are of several commits or of an installed package, no commit is named."""
    commits = {run["git_commit"] for run in provenance}
    checkout = [f"git checkout {commit}" for commit in commits if commit and len(commits) == 1]
    return [*checkout, "make setup", f".venv/bin/snakemake --config study={study.name}"]
