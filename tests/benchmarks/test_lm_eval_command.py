"""lm-eval's own command line with our model and tasks, and what it calls of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from entrobench.data.datasets import prepare
from entrobench.evaluation.grading.grader import warm_up


def test_judge_is_the_share_of_right_draws() -> None:
    from entrobench.evaluation.benchmarks.lm_eval import judge

    warm_up()
    row = {"answer": "0.5"}
    assert judge(row, ["\\boxed{1/2}"]) == {"avg": 1.0}
    assert judge(row, [["\\boxed{1/2}", "\\boxed{2}", "none", "\\boxed{0.50}"]]) == {"avg": 0.5}
    assert judge({"answer": "4.2", "tolerance": 0.1}, ["\\boxed{4.3}"]) == {"avg": 1.0}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entrobench.evaluation.benchmarks.lm_eval", "run", "--model", "entrobench", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow  # lm-eval indexes its 14,000 files first
def test_the_command_line_samples_and_judges_our_tasks(tmp_path: Path, tiny_folders: tuple[Path, Path]) -> None:
    for name in ("chain2", "gsm8k"):  # gsm8k stands here with embedded rows
        prepare(name, {"kind": "chain", "chain": {"operations": 2, "modulus": 5}}, tmp_path / "results/data" / name)
    options = ["--limit", "3", "--gen_kwargs", "max_gen_toks=6", "--output_path", "out", "--log_samples"]
    done = run(tmp_path, "--model_args", f"pretrained={tiny_folders[0]}", "--tasks", "chain2", "gsm8k", *options)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(file.read_text())["results"]
    assert 0 <= results["chain2"]["avg,none"] <= 1
    assert 0 <= results["gsm8k"]["avg,every draw"] <= 1
    (samples,) = (tmp_path / "out").rglob("samples_gsm8k_*.jsonl")
    (first, *others) = map(json.loads, samples.read_text().splitlines())
    assert len(others) == 2
    assert len(first["resps"][0]) == 4  # the paper's four draws
    asked = first["arguments"]["gen_args_0"]["arg_0"]
    assert asked == first["doc"]["problem"] + " Let's think step by step and output the final answer within \\boxed{}."


def test_a_chat_template_is_not_put_around_twice(tiny_folders: tuple[Path, Path]) -> None:
    from entrobench.errors import InputError
    from entrobench.evaluation.benchmarks.lm_eval import EngineLM

    with pytest.raises(InputError, match="applies the chat template itself"):
        _ = EngineLM(str(tiny_folders[0]), "cpu").tokenizer_name
