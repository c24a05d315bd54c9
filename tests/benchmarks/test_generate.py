"""Generation with a tiny random model: every problem, every draw, the same bits again, and one line for bad input."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard

from entrobench.config import EvaluationConfig
from entrobench.data.datasets import DATA_VARIABLE, load_rows, prepare, render
from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.generate import build_requests, build_tasks, generate
from entrobench.models.language_model import load_tokenizer, weights_sha256
from entrobench.run_config import MATHEMATICS

ROOT = Path(__file__).parents[2]
EVALUATION: dict[str, Any] = {
    "samples": 3,
    "temperature": 1.0,
    "top_p": 0.95,
    "top_k": 20,
    "max_tokens": 6,
    "pass_k": [1],
    "problems": 5,
    "seed": 7,
    "benchmarks": ["chain2", "chain2-validation"],
}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of a few thousand weights with a word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<s>", "</s>", *map(str, range(10)), "+", "-", "*", "=", ";", "\\boxed{", "}"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = tmp_path_factory.mktemp("models") / "tiny"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for name in ("chain2", "gsm8k"):  # gsm8k stands here with embedded rows: only its prompt is tested
        prepare(name, {"kind": "chain", "chain": {"operations": 2, "modulus": 5}}, root / name)
    return root


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in zstandard.decompress(path.read_bytes()).decode().splitlines()]


@pytest.fixture(scope="module")
def generated(model_folder: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    generate(model_folder, EVALUATION, data_root, folder, device="cpu")
    return folder / "generations"


def test_the_header_pins_model_benchmark_and_settings(generated: Path, model_folder: Path) -> None:
    assert sorted(path.name for path in generated.iterdir()) == ["chain2-validation.jsonl.zst", "chain2.jsonl.zst"]
    assert read(generated / "chain2.jsonl.zst")[0] == {
        "header": {
            "benchmark": "chain2",
            "benchmark_version": 1,
            "evaluation": EVALUATION,
            "model_weights_sha256": weights_sha256(model_folder),
            "mathematics": MATHEMATICS,
            "seed": 7,
            "stream": "",
        }
    }


def test_every_problem_has_all_its_draws(generated: Path, data_root: Path) -> None:
    rows = load_rows(data_root / "chain2", "test")[:5]
    records = read(generated / "chain2.jsonl.zst")[1:]
    assert [(r["problem_id"], r["draw"]) for r in records] == [(row.id, draw) for row in rows for draw in range(3)]
    gold = {row.id: (row.problem, row.answer) for row in rows}
    assert all((r["problem"], r["gold"]) == gold[r["problem_id"]] for r in records)
    assert all(1 <= r["tokens"] <= 6 and r["finish"] in ("stop", "length") for r in records)
    assert all(r["tokens"] == 6 for r in records if r["finish"] == "length")
    assert all("</s>" not in r["response"] and "<s>" not in r["response"] for r in records)
    assert len({r["response"] for r in records}) > 5


def test_generation_repeats_to_the_bit(generated: Path, model_folder: Path, data_root: Path, tmp_path: Path) -> None:
    generate(model_folder, EVALUATION, data_root, tmp_path, device="cpu")
    for path in generated.iterdir():
        assert (tmp_path / "generations" / path.name).read_bytes() == path.read_bytes()


def test_answers_do_not_depend_on_the_other_problems_or_benchmarks(
    generated: Path, model_folder: Path, data_root: Path, tmp_path: Path
) -> None:
    fewer = EVALUATION | {"problems": 2, "benchmarks": ["chain2"]}
    generate(model_folder, fewer, data_root, tmp_path, device="cpu")
    records = read(tmp_path / "generations/chain2.jsonl.zst")[1:]
    assert records == read(generated / "chain2.jsonl.zst")[1 : 1 + len(records)]


@pytest.mark.parametrize(("seed", "stream"), [(8, ""), (EVALUATION["seed"], "tiny/chain2/0")])
def test_a_seed_or_a_stream_draws_other_answers(
    generated: Path, model_folder: Path, data_root: Path, tmp_path: Path, seed: int, stream: str
) -> None:
    generate(model_folder, EVALUATION | {"seed": seed}, data_root, tmp_path, device="cpu", stream=stream)
    responses = [
        [r["response"] for r in read(f / "chain2.jsonl.zst")[1:]] for f in (generated, tmp_path / "generations")
    ]
    assert responses[0] != responses[1]


def test_a_benchmark_asked_again_draws_apart_and_snapshots_answer_with_the_last_step(
    generated: Path, model_folder: Path, data_root: Path, tmp_path: Path
) -> None:
    snapshots = tmp_path / "snapshots"
    for step in (2, 4, 6):
        shutil.copytree(model_folder, snapshots / f"step00000{step}")
    again = EVALUATION | {"benchmarks": ["chain2", "chain2@again"], "average_last": 3}
    again["sampling"] = {"chain2@again": {"temperature": 1.0}}
    generate(model_folder, again, data_root, tmp_path, device="cpu", snapshots=snapshots)
    header, *rows = read(tmp_path / "generations/chain2.jsonl.zst")
    assert header["header"]["snapshots"] == ["step000006", "step000004"], "the newest first"
    own = [row for row in rows if "snapshot" not in row]
    assert own == read(generated / "chain2.jsonl.zst")[1:], (
        "the last step's answers are what they are without the others"
    )
    assert [row.get("snapshot", 0) for row in rows] == sorted([0, 1, 2] * len(own))
    other = read(tmp_path / "generations/chain2@again.jsonl.zst")[1:]
    texts = [[row["response"] for row in part] for part in (own, rows[len(own) :][: len(own)], other[: len(own)])]
    assert texts[0] != texts[1], "equal weights, other draws"
    assert texts[0] != texts[2], "equal weights, other draws"
    shutil.rmtree(snapshots / "step000006")
    shutil.rmtree(snapshots / "step000004")
    with pytest.raises(InputError, match="holds 1 snapshots, average_last needs 2 before the last step"):
        generate(model_folder, again, data_root, tmp_path, device="cpu", snapshots=snapshots)


def test_prompts_are_the_benchmarks_and_sampling_the_studys(data_root: Path) -> None:
    settings = EvaluationConfig(samples=2, temperature=0.6, top_p=0.95, top_k=20, max_tokens=32, pass_k=[1], problems=3)
    requests = build_requests(build_tasks({"gsm8k": settings}, data_root)["gsm8k"], settings)
    assert len(requests) == 3 * 2
    prompt, sampling = requests[0].args
    problem = load_rows(data_root / "gsm8k", "test")[0].problem
    assert prompt == f"{problem} Let's think step by step and output the final answer within \\boxed{{}}."
    assert sampling == {"until": [], "temperature": 0.6, "top_p": 0.95, "top_k": 20, "max_gen_toks": 32}


def test_lm_eval_itself_can_drive_the_engine(model_folder: Path, data_root: Path) -> None:
    """`generate_until` is lm-eval's own call: repeats of a request are draws, stop strings cut the text."""
    from lm_eval.api.registry import get_model

    from entrobench.evaluation.benchmarks.lm_eval import EngineLM

    assert get_model("entrobench") is EngineLM
    model = EngineLM.create_from_arg_string(f"pretrained={model_folder},seed=7,device=cpu")
    settings = EvaluationConfig(samples=3, max_tokens=6, pass_k=[1], problems=4)
    requests = build_requests(build_tasks({"chain2": settings}, data_root)["chain2"], settings)
    texts = model.generate_until(requests)
    assert len(texts) == 12
    assert texts == [response.text for response in model.respond(requests)]
    for request in requests:
        request.arguments[1]["until"] = [" "]
    assert model.generate_until(requests) == [text.split(" ")[0] for text in texts]


def test_batches_do_not_change_greedy_answers(model_folder: Path, data_root: Path) -> None:
    from entrobench.evaluation.benchmarks.lm_eval import EngineLM

    settings = EvaluationConfig(samples=1, temperature=0.0, max_tokens=6, pass_k=[1])
    requests = build_requests(build_tasks({"chain2": settings}, data_root)["chain2"], settings)
    small, large = (EngineLM(str(model_folder), "cpu", batch_size=size) for size in (8, 256))
    assert small.generate_until(requests) == large.generate_until(list(reversed(requests)))[::-1]


def test_a_model_folder_without_tokenizer_is_one_line(model_folder: Path, data_root: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((model_folder / name).read_bytes())
    with pytest.raises(InputError, match="without tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="without tokenizer"):
        generate(tmp_path, EVALUATION, data_root, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmarks": []}, "benchmarks must name at least one"),
        ({"benchmarks": ["chain4"]}, "unknown benchmark 'chain4' .*did you mean"),
        ({"benchmarks": ["math500"]}, "no such split"),
        ({"sample": 4}, "evaluation: unknown key 'sample' .*did you mean 'samples'"),
        ({"sampling": {"chain2": {"samples": 0}}}, "evaluation: sampling: chain2: samples must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_one_line_before_anything_is_sampled(
    model_folder: Path, data_root: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        generate(model_folder, EVALUATION | change, data_root, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


ODD = [
    ("{{problem}} {% raw %} \\boxed{1}\u2028next line\n", "[1, 2]"),
    ("  spaced & <escaped>  ", "True"),
    ("What is 1 + 1?", "2"),
]


def test_rows_reach_the_model_and_the_file_as_they_are(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither lm-eval's templates nor its reading of list-like targets may touch problem or gold answer."""
    content = "".join(json.dumps({"problem": problem, "answer": answer}) + "\n" for problem, answer in ODD)
    (tmp_path / "odd.jsonl").write_text(content)
    pinned = {"file": "odd.jsonl", "sha256": hashlib.sha256(content.encode()).hexdigest(), "rows": len(ODD)}
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    prepare("math500", {"kind": "jsonl", "splits": {"test": pinned}}, tmp_path / "data/math500")
    settings = EvaluationConfig(samples=1, max_tokens=2, pass_k=[1])
    requests = build_requests(build_tasks({"math500": settings}, tmp_path / "data")["math500"], settings)
    spec = yaml.safe_load((ROOT / "config/datasets/math500.yaml").read_text())
    assert [request.args[0] for request in requests] == [render(spec["prompt"], problem) for problem, _ in ODD]
    evaluation = EVALUATION | {"problems": None, "samples": 1, "benchmarks": ["math500"]}
    generate(model_folder, evaluation, tmp_path / "data", tmp_path, device="cpu")
    records = read(tmp_path / "generations/math500.jsonl.zst")[1:]
    assert [(record["problem"], record["gold"]) for record in records] == ODD
