"""An imported run stands beside trained ones, marked, with our grades; nothing of a trained run is ever overwritten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
from synthetic_results import make_study, write_audit

from entrobench.errors import InputError
from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.statistics.scores import read_grades
from entrobench.foreign.imported import import_run, imported_keys
from entrobench.results import RunFolder, StudyFolder
from entrobench.run_keys import RunKey


def log(path: Path, steps: int = 30, end: str = "") -> Path:
    lines = [json.dumps({"step": step, "entropy": 0.3, "reward": 0.4}) for step in range(1, steps + 1)]
    path.write_text("\n".join(lines) + end)
    return path


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("entrobench.evaluation.figures.study_figures.write_figures", lambda *arguments: [])
    write_audit(tmp_path)
    return make_study(tmp_path, {"grpo": 0.5, "aent": 0.6}, problems=20, seeds=(0, 1))


def answers(study: SimpleNamespace, folder: Path) -> list[Path]:
    """Files of answers to the study's benchmarks, with the problems and draws of a trained run; half are right."""
    run = next(study_runs(study))
    files = []
    for benchmark, grades in run.all_grades().items():
        rows = [
            {
                "problem_id": row.problem_id,
                "draw": row.draw,
                "gold": "7",
                "response": "\\boxed{7}" if i % 2 else "\\boxed{8}",
            }
            for i, row in enumerate(pandas.read_parquet(grades).itertuples())
        ]
        file = folder / f"{benchmark}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files.append(file)
    return files


def study_runs(study: SimpleNamespace) -> Iterator[RunFolder]:
    return StudyFolder(study.results).runs()


def test_an_arm_with_answers_has_curves_scores_and_a_mark(study: SimpleNamespace, tmp_path: Path) -> None:
    trained = next(study_runs(study)).key
    files = StudyFolder(study.results)
    for seed in (0, 1):
        key = RunKey(trained.model, trained.dataset, "theirs", seed)
        done = import_run(files, key, log(tmp_path / f"{seed}.jsonl"), answers(study, tmp_path), replace=False)
        assert "30 steps of 2 quantities, whole" in done.text
        assert "not in the log: length, truncated" in done.text
    compare(study, study.results)
    scores = pandas.read_parquet(files.scores)
    own = scores[(scores["method"] == "theirs") & scores["metric"].str.startswith("avg@")]
    assert set(own["value"]) == {0.5}
    curves = pandas.read_parquet(files.curves)
    assert len(curves[curves["method"] == "theirs"]) == 60
    statistics = json.loads(files.statistics.read_text())
    assert statistics["marks"][f"{trained.model}/{trained.dataset}/theirs"] == ["imported"]
    assert any(row["method"] == "theirs" and row["scope"] == "study" for row in statistics["comparisons"])
    assert re.search(r"theirs[^|]*imported", files.table("md").read_text())


def test_an_arm_without_answers_is_in_the_curves_alone(study: SimpleNamespace, tmp_path: Path) -> None:
    trained = next(study_runs(study)).key
    key = RunKey(trained.model, trained.dataset, "theirs", 0)
    import_run(StudyFolder(study.results), key, log(tmp_path / "l.jsonl"), [], replace=False)
    compare(study, study.results)
    files = StudyFolder(study.results)
    assert "theirs" in set(pandas.read_parquet(files.curves)["method"])
    assert "theirs" not in set(pandas.read_parquet(files.scores)["method"])


def test_what_is_unknown_and_half_written_is_said(tmp_path: Path) -> None:
    files = StudyFolder(tmp_path / "results/mine")
    key = RunKey("m", "d", "theirs", 0)
    done = import_run(files, key, log(tmp_path / "l.jsonl", end='\n{"step": 31, "ent'), [], replace=False)
    assert "half-written (line 31 is no whole JSON)" in done.text
    about = json.loads((files.run(str(key)).folder / "imported.json").read_text())
    assert about["mark"] == "imported"
    assert about["half_written"] == "line 31 is no whole JSON"
    assert about["base model's weights"] == about["training data"] == "UNKNOWN"
    assert imported_keys(files) == [key]
    with pytest.raises(InputError, match="imported before; add --replace"):
        import_run(files, key, log(tmp_path / "l.jsonl"), [], replace=False)
    assert import_run(files, key, log(tmp_path / "l.jsonl", steps=9), [], replace=True).log.rows[-1]["step"] == 9


def test_a_trained_run_is_never_overwritten_and_bad_input_writes_nothing(
    study: SimpleNamespace, tmp_path: Path
) -> None:
    files, trained = StudyFolder(study.results), next(study_runs(study)).key
    with pytest.raises(InputError, match="a run that was trained here"):
        import_run(files, trained, log(tmp_path / "l.jsonl"), [], replace=True)
    bad = tmp_path / "b.jsonl"
    bad.write_text('{"response": "1"}\n')
    key = RunKey("m", "d", "theirs", 0)
    with pytest.raises(InputError, match="row 1: missing gold"):
        import_run(files, key, log(tmp_path / "l.jsonl"), [bad], replace=False)
    with pytest.raises(InputError, match="is no name"):
        import_run(files, RunKey("..", "d", "theirs", 0), log(tmp_path / "l.jsonl"), [], replace=False)
    assert not files.run(str(key)).folder.exists()
    assert len(read_grades(study.results)) > 0
