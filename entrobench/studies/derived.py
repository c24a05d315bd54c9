"""Method values that earlier runs decide: declared in a study in place of a number, found when a run is locked.

`{tune: [0.001, 0.01]}` is the value of a grid with the best score on validation splits, in trials that lie in
results/<study>/tuning (trials.py). `{time_mean: ARM}` is the mean, over steps and seeds, of the value that another
method of the same model and dataset used. A run's hash covers the declaration and the runs behind it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.catalogue.registry import load_method
from entrobench.config import canonical_hash, parse, stored
from entrobench.errors import InputError, unknown
from entrobench.provenance import check_mathematics
from entrobench.results import RunFolder
from entrobench.run_config import RunConfig, of_this_mathematics, read_config

if TYPE_CHECKING:
    from .runs import Run, Study


def tuned(runs: Sequence[Run], where: str) -> dict[str, tuple[str, list[float]]]:
    """The tuned key and its grid by method. Raises InputError where numbers of trials or a method's grids differ."""
    found: dict[str, tuple[str, list[float]]] = {}
    for run in runs:
        for key, declaration in run.config.method.derived.items():
            if "tune" in declaration and found.setdefault(run.method, (key, declaration["tune"])) != (
                key,
                declaration["tune"],
            ):
                raise InputError(f"{where}: {run.method}: one method is tuned over one grid, the same in all settings")
    counts = {method: len(grid) for method, (_, grid) in found.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{method} {count}" for method, count in counts.items())
        raise InputError(f"{where}: tune: every tuned method must have the same number of trials, got {said}")
    return found


def bind(runs: Sequence[Run], trials: Study | None, where: str) -> list[Run]:
    """Add to every declaration the runs that it rests on, so that the hash of a run covers them.

    Raises InputError for an arm that is not there, that is itself a mean, or that logs no such value.
    """
    tried = {
        "seeds": sorted({run.seed for run in trials.runs}) if trials else [],
        "benchmarks": list(trials.benchmarks) if trials else [],
        "trials": canonical_hash({run.key: run.config.hash for run in trials.runs} if trials else {}),
    }
    with_trials = [_extended(run, dict.fromkeys(_declared(run, "tune"), tried)) for run in runs]
    return [
        _extended(run, {key: _sources(run, key, with_trials, where) for key in _declared(run, "time_mean")})
        for run in with_trials
    ]


def _declared(run: Run, kind: str) -> list[str]:
    return [key for key, declaration in run.config.method.derived.items() if kind in declaration]


def _extended(run: Run, more: Mapping[str, Mapping[str, Any]]) -> Run:
    """The run with `more` in its declarations."""
    if not more:
        return run
    method = run.config.method
    derived = {key: {**declaration, **more.get(key, {})} for key, declaration in method.derived.items()}
    return replace(run, config=replace(run.config, method=replace(method, derived=derived)))


def _sources(run: Run, key: str, runs: Sequence[Run], where: str) -> dict[str, Any]:
    """The last step and the runs of the arm whose value is averaged."""
    declaration = run.config.method.derived[key]
    arm, where = declaration["time_mean"], f"{where}: methods: {run.method}: {key}: time_mean"
    cell = [other for other in runs if (other.model, other.dataset) == (run.model, run.dataset)]
    sources = [other for other in cell if other.method == arm]
    if not sources:
        raise unknown("method", arm, {other.method for other in cell} - {run.method}, where)
    if _declared(sources[0], "time_mean"):
        raise InputError(f"{where}: {arm} is a time mean itself: name the method that adapts {key}")
    state = [field.name for field in fields(load_method(sources[0].config.method.use).State)]
    if key not in state:
        raise InputError(f"{where}: {arm} logs no method/{key} (logged: {', '.join(state) or 'nothing'})")
    steps = sources[0].config.trainer.steps
    last = declaration["to_step"] or steps
    if not declaration["from_step"] <= last <= steps:
        raise InputError(f"{where}: steps {declaration['from_step']} to {last} are not within {arm}'s 1 to {steps}")
    hashes = {str(other.seed): other.config.hash for other in sources}
    return {"to_step": last, "seeds": [other.seed for other in sources], "runs": canonical_hash(hashes)}


def source_files(run: Run) -> list[Path]:
    """The files that decide the declared values of a run."""
    files = [run.files.study.trials.tuned] if _declared(run, "tune") else []
    for key in _declared(run, "time_mean"):
        files += [source.steps for source in _arm(run, run.config.method.derived[key])]
    return files


def _arm(run: Run, declaration: Mapping[str, Any]) -> list[RunFolder]:
    """The runs whose mean a declaration asks for."""
    return [run.files.beside(declaration["time_mean"], seed) for seed in declaration["seeds"]]


def resolve(run: Run) -> RunConfig:
    """A run's config with the values that its declarations stand for, read from `source_files`.

    `declared` keeps the hash of the run as the study declares it. Raises InputError for a missing file, and for a value
    that the method does not take.
    """
    method = run.config.method
    if not method.derived:
        return run.config
    for file in source_files(run):
        if not file.is_file():
            raise InputError(f"{run.key}: {file} is missing, which decides its values; the study's other jobs write it")
    check_mathematics(
        (source for key in _declared(run, "time_mean") for source in _arm(run, method.derived[key])), run.key
    )
    found = {key: _value(run, key, declaration) for key, declaration in method.derived.items()}
    where = f"{run.files.config}: {run.method}"
    values = stored(parse(load_method(method.use).Config, {**method.values, **found}, where))
    derived = {key: {**declaration, "value": found[key]} for key, declaration in method.derived.items()}
    method = replace(method, values=values, derived=derived)
    return replace(run.config, method=method, declared=run.config.hash)


def _value(run: Run, key: str, declaration: Mapping[str, Any]) -> float:
    if "tune" in declaration:
        file = run.files.study.trials.tuned
        tuning = json.loads(file.read_text())
        if not of_this_mathematics(tuning.get("provenance", {})):
            raise InputError(f"{file}: chosen from trials of other mathematics; make study makes it anew")
        value: float = tuning["methods"][run.method]["value"]
        return value
    steps = declaration["from_step"], declaration["to_step"]
    means = [_time_mean(source, key, *steps) for source in _arm(run, declaration)]
    return sum(means) / len(means)


def _time_mean(source: RunFolder, key: str, first: int, last: int) -> float:
    """Mean of the values used in the steps `first` to `last`; the row of a step holds what the next step uses."""
    import pyarrow.parquet

    initial = read_config(source.folder).method.values[key]
    rows = pyarrow.parquet.read_table(source.steps, columns=["step", f"method/{key}"]).to_pylist()
    used = {1: initial} | {int(row["step"]) + 1: row[f"method/{key}"] for row in rows}
    return float(sum(used[step] for step in range(first, last + 1)) / (last + 1 - first))
