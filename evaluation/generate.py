"""Generation: the answers of one model to all benchmarks of a study, as compressed JSON lines."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.config import EvaluationConfig, parse
from entrobench.errors import InputError

from .benchmarks import TASKS, load_benchmark

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import Task

    from .lm_eval import Response


def generate(
    model_folder: Path, evaluation: Mapping[str, Any], data_root: Path, output_folder: Path, device: str = "auto"
) -> None:
    """Write <output_folder>/generations/<benchmark>.jsonl.zst for every benchmark of `evaluation`.

    `evaluation` holds the fields of EvaluationConfig and the list `benchmarks`; `data_root` the prepared datasets. The
    model is loaded once; each file appears by rename when its benchmark is done. Raises InputError for an unknown
    benchmark, data that was not prepared, or a model folder without tokenizer, before anything is sampled.
    """
    names, settings = _settings(evaluation)
    benchmarks = [load_benchmark(name) for name in names]
    tasks = build_tasks(names, settings, data_root)

    from entrobench.model import weights_sha256

    from .lm_eval import NativeLM

    model = NativeLM(str(model_folder), device, settings.seed)
    weights = weights_sha256(model_folder)
    with _progress() as progress:
        for benchmark in benchmarks:
            requests = build_requests(tasks[benchmark.name], settings)
            bar = progress.add_task(benchmark.name, total=len(requests))
            responses = model.respond(requests, partial(progress.advance, bar))
            header = {
                "benchmark": benchmark.name,
                "benchmark_version": benchmark.version,
                "evaluation": dict(evaluation),
                "model_weights_sha256": weights,
                "seed": settings.seed,
            }
            lines = [{"header": header}, *_records(requests, responses)]
            _write(lines, output_folder / "generations" / f"{benchmark.name}.jsonl.zst")


def _settings(evaluation: Mapping[str, Any]) -> tuple[list[str], EvaluationConfig]:
    names = evaluation.get("benchmarks")
    if not names:
        raise InputError("evaluation: benchmarks must name at least one benchmark")
    fields = {key: value for key, value in evaluation.items() if key != "benchmarks"}
    return list(names), parse(EvaluationConfig, fields, "evaluation")


def build_tasks(names: list[str], settings: EvaluationConfig, data_root: Path) -> dict[str, Task]:
    """Return {benchmark: lm-eval task} with rows in memory and the study's sampling. Raises InputError without data."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns once per task about settings that are ours
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=str(TASKS),
        include_defaults=False,  # indexing lm-eval's own tasks takes seconds
        metadata={"data_root": str(data_root), "problems": settings.problems},
    )
    tasks: dict[str, Task] = manager.load(names)["tasks"]
    sampling = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "max_gen_toks": settings.max_tokens,
    }
    for task in tasks.values():
        task.set_config("generation_kwargs", sampling, update=True)
    return tasks


def build_requests(task: Task, settings: EvaluationConfig) -> list[Instance]:
    """Return every problem of a task `samples` times, its prompt rendered; draws of a problem side by side."""
    requests: list[Instance] = []
    for number, row in task.doc_iterator():
        prompt = task.fewshot_context(row, num_fewshot=0)
        request = task.construct_requests(row, prompt, metadata=(task.task_name, number, settings.samples))
        requests += [request] * settings.samples
    return requests


def _records(requests: list[Instance], responses: list[Response]) -> Iterable[dict[str, Any]]:
    draws: dict[str, int] = {}
    for request, response in zip(requests, responses, strict=True):
        row = request.doc
        draw = draws[row["id"]] = draws.get(row["id"], -1) + 1
        yield {
            "problem_id": row["id"],
            "draw": draw,
            "problem": row["problem"],
            "gold": row["answer"],
            "response": response.text,
            "tokens": response.tokens,
            "finish": response.finish,
        }


def _write(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    import zstandard

    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(zstandard.compress(text.encode()))
    temporary.replace(path)


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("generate {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
