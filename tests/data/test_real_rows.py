"""The recipes and tasks of the real benchmarks, against their rows where these are at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrobench.config import EvaluationConfig
from entrobench.data import datasets
from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.generate import build_requests, build_tasks
from entrobench.evaluation.benchmarks.task_files import benchmark_names, load_benchmark

ROOT = Path(__file__).parents[2]
REAL_DATA = Path(os.environ.get(datasets.DATA_VARIABLE) or ROOT.parent / "shared" / "data")
needs_real_data = pytest.mark.skipif(
    not (REAL_DATA / "manifest.json").is_file(),
    reason=f"no folder of real benchmark rows (set {datasets.DATA_VARIABLE})",
)
INSTRUCTION = " Let's think step by step and output the final answer within \\boxed{}."
COUNTS = {  # test rows
    **{"aime24": 30, "amc23": 40, "gsm8k": 1319, "math500": 500, "math_hard": 1324},
    **{"minerva_math": 272, "olympiadbench": 675, "svamp": 1000},
}
FILES = {
    *{"aime24", "amc23", "gsm8k_test", "gsm8k_train", "math500", "math_test"},
    *{"minerva_math", "olympiadbench", "svamp"},
}


def recipe(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / f"config/datasets/{name}.yaml").read_text())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(datasets.DATA_VARIABLE, str(REAL_DATA))
        for name in COUNTS:
            datasets.prepare(name, recipe(name), root / name)
    return root


def test_every_real_benchmark_has_a_task_with_the_papers_prompt_and_a_recipe() -> None:
    made = ("chain", "word_problems")  # by our generators
    real = {name for name in benchmark_names() if not name.startswith(made) and not name.endswith("-validation")}
    assert real == {*COUNTS, "aime25"}
    for name in real:
        assert datasets.render(recipe(name)["prompt"], "How many?") == "How many?" + INSTRUCTION
        benchmark = load_benchmark(name)
        assert (benchmark.dataset, benchmark.split, benchmark.version) == (name, "test", 1)


@needs_real_data
def test_all_nine_files_are_pinned_as_their_manifest_says() -> None:
    listed = json.loads((REAL_DATA / "manifest.json").read_text())
    pinned = {Path(file["file"]).stem: file for name in COUNTS for file in recipe(name)["splits"].values()}
    assert set(pinned) == FILES == set(listed)
    for name, (rows, _, digest) in listed.items():
        assert (pinned[name]["rows"], pinned[name]["sha256"]) == (rows, digest)


@needs_real_data
@pytest.mark.parametrize("name", COUNTS)
def test_every_row_is_there_once_with_problem_and_gold_answer(name: str, prepared: Path) -> None:
    rows = datasets.load_rows(prepared / name, "test")
    assert len(rows) == COUNTS[name]
    assert all(row.problem.strip() and row.answer.strip() for row in rows)
    manifest = json.loads((prepared / name / "manifest.json").read_text())
    assert all(entry["duplicates"] == 0 for entry in manifest["splits"].values())


@needs_real_data
def test_gsm8k_trains_on_what_it_does_not_hold_out(prepared: Path) -> None:
    splits = json.loads((prepared / "gsm8k/manifest.json").read_text())["splits"]
    assert splits["train"]["rows"] + splits["validation"]["rows"] == 7473


@needs_real_data
@pytest.mark.parametrize("name", COUNTS)
def test_a_real_row_is_asked_in_the_papers_words(name: str, prepared: Path) -> None:
    settings = EvaluationConfig(samples=2, pass_k=[1], problems=3)
    requests = build_requests(build_tasks({name: settings}, prepared)[name], settings)
    rows = datasets.load_rows(prepared / name, "test")[:3]
    assert [request.args[0] for request in requests[::2]] == [row.problem + INSTRUCTION for row in rows]
    assert [request.doc["answer"] for request in requests[::2]] == [row.answer for row in rows]


@needs_real_data
def test_olympiadbench_has_several_answers_units_and_a_tolerance(prepared: Path) -> None:
    rows = {row.answer: row for row in datasets.load_rows(prepared / "olympiadbench", "test")}
    assert "$-2,0,2$" in rows
    assert "$\\frac{41}{12}$ km" in rows
    assert "$\\angle B E A_{1}=90$,$\\angle A E B_{1}=90$" in rows  # its degrees would belong to the last one alone
    assert [(row.answer, row.tolerance) for row in rows.values() if row.tolerance] == [("4.2 %", 0.1)]


@needs_real_data
def test_all_of_math500_is_in_math_and_134_rows_in_math_hard(prepared: Path) -> None:
    hard, few = ({row.id for row in datasets.load_rows(prepared / name, "test")} for name in ("math_hard", "math500"))
    assert len(hard & few) == 134


def test_rows_that_nobody_here_has_seen_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AIME 2025: the hash is UNKNOWN until somebody has checked the rows."""
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))
    (tmp_path / "aime25.jsonl").write_text('{"problem": "Why?", "answer": "1"}\n')
    with pytest.raises(
        InputError, match=r"splits.test: sha256 is UNKNOWN: check the rows of .*, then write [0-9a-f]{64}"
    ):
        datasets.prepare("aime25", recipe("aime25"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
