"""`entrobench pack`: a study's finished runs as files to commit: identities, steps and scores, no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.errors import InputError, unknown
from entrobench.files import write_whole
from entrobench.provenance import check_mathematics
from entrobench.results import StudyFolder
from entrobench.studies.reuse import answers_identity

from .scores import RUN, score_table, study_problems

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from entrobench.studies.runs import Study


def pack(study: Study, folder: Path, target: StudyFolder) -> list[Path]:
    """Pack the runs of a finished study, whose results lie in `folder`, into `target`; returns the files.

    Raises InputError where a run is not trained, or was trained by other mathematics.
    """
    if missing := [run.key for run in study.runs if not run.files.provenance.is_file()]:
        raise InputError(f"{study.path}: {len(missing)} runs are not trained yet, first {missing[0]}")
    check_mathematics((run.files for run in study.runs), str(study.path))
    problems = study_problems(folder, study.pass_k)
    own = problems[_key(problems).isin({run.key for run in study.runs})].reset_index(drop=True)
    target.folder.mkdir(parents=True, exist_ok=True)
    _steps(study).to_parquet(target.curves, index=False, compression="zstd")
    own.to_parquet(target.problems, index=False, compression="zstd")
    score_table(own).to_csv(target.numbers("scores", "csv"), index=False, float_format="%.6f")
    runs = {
        run.key: {
            "config": json.loads(run.files.config.read_text()),
            "provenance": json.loads(run.files.provenance.read_text()),
            "answers": answers_identity(study, run),
        }
        for run in study.runs
    }
    write_whole(target.provenance, json.dumps(runs, indent=1) + "\n")
    return [target.provenance, target.curves, target.problems, target.numbers("scores", "csv")]


def unpack(study: Study, key: str, source: StudyFolder) -> None:
    """Put one packed run into its folder: config, steps, scores and, last, provenance, which says whence it came.

    Raises InputError for a run that is not in the pack.
    """
    import pandas

    found = json.loads(source.provenance.read_text())
    if key not in found:
        raise unknown("run", key, found, str(source.provenance))
    run, packed = study.run(key).files, found[key]
    run.folder.mkdir(parents=True, exist_ok=True)
    write_whole(run.config, json.dumps(packed["config"], indent=2) + "\n")
    steps, problems = pandas.read_parquet(source.curves), pandas.read_parquet(source.problems)
    steps[_key(steps) == key].drop(columns=RUN).dropna(axis=1, how="all").to_parquet(run.steps, index=False)
    problems[_key(problems) == key].to_parquet(run.problems, index=False)
    record = {**packed["provenance"], "taken_from": str(source.folder)}
    write_whole(run.provenance, json.dumps(record, indent=2) + "\n")


def _key(table: DataFrame) -> Series[str]:
    """The run's key of every row."""
    seeds = "seed" + table["seed"].astype(str)
    return table["model"] + "/" + table["dataset"] + "/" + table["method"] + "/" + seeds


def _steps(study: Study) -> DataFrame:
    import pandas

    frames = [pandas.read_parquet(run.files.steps).assign(**vars(run.files.key)) for run in study.runs]
    return pandas.concat(frames, ignore_index=True)
