"""A run that is finished elsewhere is taken from there instead of being trained again: another study, or a pack."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench import provenance
from entrobench.catalogue.registry import method_infos
from entrobench.config import canonical_hash
from entrobench.files import write_whole
from entrobench.results import RESULTS, RunFolder, StudyFolder
from entrobench.run_config import RunConfig, of_this_mathematics
from entrobench.run_keys import step_name
from entrobench.training.snapshots import snapshot_steps

from . import named_inputs

if TYPE_CHECKING:
    from .runs import Run, Study


def reuse_finished_run(config: RunConfig, folder: Path, snapshot_every: int = 0, snapshot_last: int = 0) -> Path | None:
    """Link the outputs of an equal finished run of another study into `folder`; return its folder, or None.

    Runs are equal if config hash, package version and method source are, and if their snapshots include those wanted
    here. provenance.json then names the folder in `reused_from`.
    """
    method = provenance.sha256_file(method_infos()[config.method.use].source)
    identity = config.hash, method, provenance.package_version()
    wanted = [] if snapshot_last else list(snapshot_steps(config.trainer.steps, snapshot_every))
    source = provenance.find_twin(RESULTS, *identity, besides=folder, snapshots=list(map(step_name, wanted)))
    if source is not None and snapshot_last:  # the last step is known only now: training may have ended at its plateau
        wanted = list(snapshot_steps(_steps(source), snapshot_every)[-snapshot_last:])
        source = source if all(RunFolder(source).snapshot(step_name(step)).is_dir() for step in wanted) else None
    if source is not None:
        if snapshot_every:
            RunFolder(folder).snapshots.mkdir(exist_ok=True)
        _link(RunFolder(source), RunFolder(folder), list(map(step_name, wanted)))
    return source


def _steps(run: Path) -> int:
    from pyarrow import parquet

    rows: int = parquet.read_metadata(RunFolder(run).steps).num_rows
    return rows


def _link(source: RunFolder, target: RunFolder, snapshots: Sequence[str]) -> None:
    """Take over a run's outputs; provenance.json comes last, for it marks the end.

    Weights are hard links: finished files are never changed in place. Single files are copies: Snakemake renews the
    time of a job's outputs, and through a link it would renew the source's time, too, so that the source looked
    changed.
    """
    mark = shutil.ignore_patterns(".snakemake_timestamp")
    for own, other in [(source.final, target.final), *((source.snapshot(n), target.snapshot(n)) for n in snapshots)]:
        shutil.copytree(own, other, copy_function=os.link, ignore=mark)
    shutil.copy(source.steps, target.steps)
    record = {**json.loads(source.provenance.read_text()), "reused_from": str(source.folder)}
    write_whole(target.provenance, json.dumps(record, indent=2) + "\n")


def answers_identity(study: Study, run: Run) -> dict[str, str]:
    """What decides a run's scores beside its weights: how it is sampled, by which benchmarks, and how it is judged."""
    return {
        "evaluation": canonical_hash(study.evaluations[run.model].file_content),
        "benchmarks": ", ".join(f"{name} {named_inputs.benchmark_version(name)}" for name in study.benchmarks),
        "graders": ", ".join([named_inputs.grader_version(), *study.graders]),
    }


def packed_runs(study: Study) -> list[str]:
    """The runs of a study that its committed pack holds as this version would make them, by their keys.

    Equal are config, mathematics, method source and package version, and what decides the answers. Runs evaluated along
    the way are not packed.
    """
    pack = StudyFolder(RESULTS.reference(study.name).pack)
    packed = json.loads(pack.provenance.read_text()) if pack.provenance.is_file() else {}
    return [run.key for run in study.runs if run.key in packed and _as_packed(study, run, packed[run.key])]


def _as_packed(study: Study, run: Run, packed: Mapping[str, Any]) -> bool:
    stored, made = packed["config"], packed["provenance"]
    return (
        not run.snapshots
        and stored.get("declared", stored["hash"]) == run.config.hash
        and of_this_mathematics(stored)
        and made["method"]["source_sha256"] == provenance.sha256_file(method_infos()[run.config.method.use].source)
        and made["package_version"] == provenance.package_version()
        and packed["answers"] == answers_identity(study, run)
    )
