"""The parts of a report that say what was run: settings, methods, training rows in benchmarks, provenance, commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.config import stored
from entrobench.evaluation.tables.table_formats import Entry, Table
from entrobench.results import RESULTS, DataFolder, StudyFolder
from entrobench.studies.decontamination import reduced_folder

from .page.blocks import Block, Commands, Definitions, Folded, Paragraphs, Section, Tabular

if TYPE_CHECKING:
    from entrobench.studies.runs import Study


def origin_sections(study: Study, folder: Path) -> list[Section]:
    """Settings, provenance and how to run it again; reads each run's provenance.json."""
    provenance = [json.loads(StudyFolder(folder).run(run.key).provenance.read_text()) for run in study.runs]
    runs = Folded("Every run", [Tabular(_run_table(study, provenance))])
    settings: list[Block] = [Definitions(title, entries) for title, entries in _settings(study)]
    return [
        Section(
            "settings",
            "What was run",
            [*settings, Tabular(_method_table(study, provenance)), *_overlap(study)],
            "Settings",
        ),
        Section("provenance", "Provenance", [Definitions("", _provenance(provenance)), runs]),
        Section(
            "again",
            "How to run it again",
            [Paragraphs(["In a clone of the repository:"]), Commands(_commands(study, provenance))],
            "Again",
        ),
    ]


def _settings(study: Study) -> list[tuple[str, list[tuple[str, str]]]]:
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
    return [("Study", general), ("Trainer (equal for all methods)", trainer), ("Evaluation", evaluation)]


def _overlap(study: Study) -> list[Block]:
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
    none = ["No training row can match one of a benchmark: the problems are split by hash, and shorter than 13 words."]
    said = Paragraphs(["Training rows in the benchmarks:", *(lines or none)])
    return [said, Tabular(Table("overlap", "Matching rows", columns, rows))] if rows else [said]


def _evaluation_schedule(run: Any) -> str:
    every, before = run.hardware.snapshot_every, run.hardware.snapshot_last
    if before:
        return f"after the last step, as the mean over it and the {before} snapshots before it, each {every} steps"
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
