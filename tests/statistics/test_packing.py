"""Packed runs stand for trained ones: the same scores, curves and verdicts, and only where nothing has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
from synthetic_results import make_study

from entrobench import provenance
from entrobench.catalogue.registry import method_infos
from entrobench.config import EvaluationConfig
from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.evaluation import Evaluation
from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.statistics.packing import pack, unpack
from entrobench.results import RESULTS, RunFolder, StudyFolder
from entrobench.studies.reuse import packed_runs

PACK = StudyFolder(RESULTS.reference("fake").pack)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A finished study of real methods whose files lie where a study's do."""
    monkeypatch.chdir(tmp_path)
    method_infos.cache_clear()  # it names sources as seen from the working directory
    made = make_study(tmp_path, {"grpo": 0.5, "aent": 0.6}, benchmarks=["chain2"], problems=6)
    for run in made.runs:
        run.files = RunFolder(run.folder)
        run.files.config.write_text(json.dumps(run.config.content))
        record = json.loads(run.files.provenance.read_text()) | {"package_version": provenance.package_version()}
        record["method"]["source_sha256"] = provenance.sha256_file(method_infos()[run.method].source)
        run.files.provenance.write_text(json.dumps(record))
    made.run = {run.key: run for run in made.runs}.__getitem__
    yield made
    method_infos.cache_clear()


def test_packed_runs_compare_like_trained_ones(study: SimpleNamespace) -> None:
    def compared() -> list[object]:
        compare(study, study.results)
        return [*map(pandas.read_parquet, (study.results / "problems.parquet", study.results / "curves.parquet"))]

    before = compared()
    files = pack(study, study.results, PACK)
    assert [file.name for file in files] == ["provenance.json", "curves.parquet", "problems.parquet", "scores.csv"]
    assert "seed" in pandas.read_csv(files[-1])
    assert packed_runs(study) == [run.key for run in study.runs]
    shutil.rmtree(study.results / "runs")
    for run in study.runs:
        unpack(study, run.key, PACK)
        assert json.loads(run.files.provenance.read_text())["taken_from"] == "results/reference/fake/runs"
        assert json.loads(run.files.config.read_text()) == run.config.content
    for old, new in zip(before, compared(), strict=True):
        order = [name for name in ("method", "seed", "benchmark", "problem_id", "step") if name in old]
        old, new = (table.sort_values(order, ignore_index=True) for table in (old, new))
        pandas.testing.assert_frame_equal(old, new[list(old)], check_dtype=False)


def test_a_run_that_would_be_made_or_judged_otherwise_is_not_taken(study: SimpleNamespace) -> None:
    pack(study, study.results, PACK)
    run, kept = study.runs[0], [run.key for run in study.runs[1:]]
    run.config = replace(run.config, seed=99)
    assert packed_runs(study) == kept
    study.evaluations = {"tiny": Evaluation(EvaluationConfig(samples=16), {"chain2": {}})}
    assert packed_runs(study) == []
    with pytest.raises(InputError, match="unknown run 'tiny/chain2/grpo/seed7'"):
        unpack(study, "tiny/chain2/grpo/seed7", PACK)
    run.files.provenance.unlink()
    with pytest.raises(InputError, match="1 runs are not trained yet, first tiny/chain2/grpo/seed0"):
        pack(study, study.results, PACK)
