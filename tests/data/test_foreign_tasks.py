"""Tasks that are not ours: named in a study, prepared once, asked as lm-eval asks them, judged by our grader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrobench.config import EvaluationConfig
from entrobench.data import datasets, foreign_tasks
from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.generate import build_requests, build_tasks
from entrobench.evaluation.benchmarks.task_files import load_benchmark
from entrobench.studies.named_inputs import benchmark_version, load_dataset
from entrobench.studies.runs import Study
from entrobench.studies.study import load_study

ROWS = [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(4)]
TASK: dict[str, Any] = {
    "task": "sums",
    "dataset_path": "json",
    "output_type": "generate_until",
    "test_split": "test",
    "fewshot_split": "train",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_target": "{{answer}}",
    "num_fewshot": 1,
    "generation_kwargs": {"until": ["\n\n", "Question:"], "do_sample": False},
    "metric_list": [{"metric": "exact_match"}],
    "metadata": {"version": 2.0},
}


@pytest.fixture(autouse=True)
def _no_packaged_tasks(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture project; lm-eval's 14,000 files are searched by one test only."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(project / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", project / "cache")
    monkeypatch.setattr(foreign_tasks, "packaged_tasks", dict)
    monkeypatch.setattr("entrobench.evaluation.benchmarks.task_files.packaged_tasks", dict)


def write_task(test: list[dict[str, Any]] = ROWS, **change: Any) -> Path:
    folder = Path("config/tasks")
    folder.mkdir(exist_ok=True)
    files = {}
    for split, rows in (("train", [{"question": "What is 9 + 9?", "answer": "18"}]), ("test", test)):
        files[split] = str((folder / f"{split}.jsonl").absolute())
        Path(files[split]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "my-sums.yaml"
    path.write_text(yaml.safe_dump({**TASK, "dataset_kwargs": {"data_files": files}, **change}))
    return path


def study(benchmark: str) -> Study:
    content = {"models": ["tiny"], "datasets": ["chain2"], "methods": ["grpo"], "seeds": [0], "benchmarks": [benchmark]}
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump(content))
    return load_study("mine")


def test_a_task_named_in_a_study_becomes_a_dataset_and_is_asked_as_lm_eval_asks() -> None:
    write_task()
    recipe = study("sums").datasets["lm-eval.sums"]
    root = Path("results/data")
    manifest = datasets.prepare("lm-eval.sums", recipe.spec, root / "lm-eval.sums")
    assert manifest["splits"]["test"]["rows"] == len(ROWS)
    assert manifest["recipe"]["version"] == "2.0"
    settings = EvaluationConfig(samples=2, temperature=0.6, max_tokens=9, pass_k=[1])
    requests = build_requests(build_tasks({"sums": settings}, root)["sums"], settings)
    assert len(requests) == 2 * len(ROWS)
    prompt, sampling = requests[0].args
    assert prompt == "Question: What is 9 + 9?\nAnswer: 18\n\nQuestion: What is 0 + 0?\nAnswer:"
    assert sampling["until"] == ["\n\n", "Question:"]
    assert (sampling["temperature"], sampling["max_gen_toks"]) == (0.6, 9)
    assert [request.doc["answer"] for request in requests[::2]] == ["0", "2", "4", "6"]


def test_jobs_read_the_prepared_rows_and_nothing_else() -> None:
    path = write_task()
    datasets.prepare("lm-eval.sums", study("sums").datasets["lm-eval.sums"].spec, Path("results/data/lm-eval.sums"))
    for file in Path("config/tasks").glob("*.jsonl"):
        file.unlink()
    settings = EvaluationConfig(pass_k=[1])
    assert len(build_requests(build_tasks({"sums": settings}, Path("results/data"))["sums"], settings)) == 8 * len(ROWS)
    assert load_benchmark("sums").path == path.absolute() or load_benchmark("sums").path == path


def test_an_edited_task_file_is_another_recipe() -> None:
    write_task()
    before = load_dataset("lm-eval.sums", "here").recipe_hash
    write_task(doc_to_text="Q: {{question}}")
    assert load_dataset("lm-eval.sums", "here").recipe_hash != before


def test_a_task_with_the_name_of_one_of_ours_is_named_with_a_prefix() -> None:
    write_task(task="gsm8k")
    assert not load_benchmark("gsm8k").foreign
    named = load_benchmark("lm-eval.gsm8k")
    assert (named.foreign, named.dataset, named.until) == (True, "lm-eval.gsm8k", ("\n\n", "Question:"))


def test_included_files_and_functions_are_read_without_running_them() -> None:
    path = write_task()
    path.with_name("base.yaml").write_text("output_type: multiple_choice\nprocess_docs: !function no.such.function\n")
    path.write_text("include: base.yaml\ntask: sums\n")
    assert foreign_tasks.read_task(path)["process_docs"] == "no.such.function"
    with pytest.raises(InputError, match="sums is a task of output_type multiple_choice; only generate_until"):
        study("sums")


@pytest.mark.parametrize(
    ("benchmark", "change", "message"),
    [
        ("sms", {}, r"mine.yaml: benchmarks: unknown benchmark 'sms' .allowed: aime24, .* a task in config/tasks"),
        ("sums", {"class": "mine.Task"}, "benchmarks: sums is no plain text task"),
        ("sums", {"output_type": "loglikelihood"}, "benchmarks: sums is a task of output_type loglikelihood"),
    ],
)
def test_what_cannot_be_asked_is_refused_early(benchmark: str, change: dict[str, Any], message: str) -> None:
    write_task(**change)
    with pytest.raises(InputError, match=message) as caught:
        study(benchmark)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "change", "message"),
    [
        ([*ROWS, {"question": "?", "answer": ""}], {}, "lm-eval task lm-eval.sums: row 5: the gold answer is empty"),
        (ROWS, {"doc_to_target": "[1, 2]", "num_fewshot": 0}, "row 1: the gold answer must be text, got .1, 2."),
        (ROWS, {"dataset_kwargs": {"data_files": {"test": "no/such.jsonl"}}}, "its rows cannot be loaded: "),
    ],
)
def test_faulty_rows_are_one_line(rows: list[dict[str, Any]], change: dict[str, Any], message: str) -> None:
    write_task(rows, **change)
    recipe = load_dataset("lm-eval.sums", "here")
    with pytest.raises(InputError, match=message) as caught:
        datasets.verify("lm-eval.sums", recipe.spec)
    assert "\n" not in str(caught.value)


def test_the_tasks_that_come_with_lm_eval_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len(foreign_tasks.packaged_tasks()) > 5000
    cot = load_benchmark("gsm8k_cot")
    assert (cot.foreign, cot.dataset) == (True, "lm-eval.gsm8k_cot")
    assert "Q:" in cot.until
    with pytest.raises(InputError, match="output_type multiple_choice"):
        load_benchmark("arc_easy")
    with pytest.raises(InputError, match=r"unknown benchmark 'gsm8k_cott' .*did you mean 'gsm8k_cot'"):
        load_benchmark("gsm8k_cott")


def test_a_task_whose_included_file_was_not_copied_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("task: mine\ninclude: _common.yaml\n")
    (tmp_path / "_commons.yaml").write_text("output_type: generate_until\n")
    with pytest.raises(InputError, match=r"mine.yaml: include: no file _common.yaml .*did you mean '_commons.yaml'"):
        foreign_tasks.read_task(tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", ["base.yaml", "helpers.py"])
def test_an_edited_file_that_a_task_includes_or_calls_is_another_recipe(name: str) -> None:
    """Its name and version stay, its prompts do not: what was prepared before is not taken for it."""
    path = write_task()
    path.with_name("base.yaml").write_text(path.read_text())
    path.with_name("helpers.py").write_text("def keep(rows): return rows\n")
    path.write_text("include: base.yaml\ntask: sums\nprocess_docs: !function helpers.keep\n")
    before = load_dataset("lm-eval.sums", "here").recipe_hash, benchmark_version("sums")
    path.with_name(name).write_text(path.with_name(name).read_text() + "# edited\n")
    after = load_dataset("lm-eval.sums", "here").recipe_hash, benchmark_version("sums")
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert before[1].startswith(after[1].partition(" ")[0])
