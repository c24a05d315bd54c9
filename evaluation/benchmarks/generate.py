"""Generation: the answers of one model to all benchmarks of a study, as compressed JSON lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrobench.config import EvaluationConfig, parse
from entrobench.engines.choice import check_engine
from entrobench.errors import InputError
from entrobench.files import make_folder, replacing
from entrobench.results import AnswersFolder
from entrobench.run_config import MATHEMATICS

from .evaluation import configs_by_benchmark
from .task_files import Benchmark, load_benchmark

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import Task

    from .lm_eval import Response


def generate(
    model_folder: Path,
    evaluation: Mapping[str, Any],
    data_root: Path,
    output_folder: Path,
    device: str = "auto",
    stream: str = "",
    snapshots: Path | None = None,
) -> None:
    """Write <output_folder>/generations/<benchmark>.jsonl.zst for every benchmark of `evaluation`.

    Where `evaluation` averages over the last n evaluations, the newest n - 1 of the folder `snapshots` answer as well;
    their rows say how many snapshots they lie before the last step.

    `evaluation` holds the fields of EvaluationConfig, the list `benchmarks` and, where benchmarks have values of their
    own, `sampling`. `data_root` is the folder of prepared datasets, `stream` names the random numbers. Weights are
    loaded once; each file appears by rename when its benchmark is done. Before anything is sampled, InputError is
    raised for an unknown benchmark, data that was not prepared, a model folder without tokenizer, or too few snapshots.
    """
    values = _values_by_benchmark(evaluation)
    benchmarks = [load_benchmark(name) for name in values]
    tasks = build_tasks(values, data_root)

    from entrobench.models.base_model import refuse_changed
    from entrobench.models.language_model import weights_sha256

    from .lm_eval import BATCHES, EngineLM

    shared = next(iter(values.values()))
    check_engine(shared.engine, "evaluation")
    refuse_changed(model_folder)
    folders = [model_folder, *_newest(snapshots, shared.average_last - 1)]
    header = {
        "evaluation": dict(evaluation),
        "model_weights_sha256": weights_sha256(model_folder),
        "mathematics": MATHEMATICS,
        "seed": shared.seed,
        "stream": stream,
        **({"snapshots": [folder.name for folder in folders[1:]]} if snapshots else {}),
    }
    asked = {name: build_requests(tasks[name], own) for name, own in values.items()}
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in values}
    with _progress() as progress:
        for place, folder in enumerate(folders):
            own = f"{stream}/before{place}" if place else stream
            model = EngineLM(str(folder), device, shared.seed, BATCHES[shared.engine], shared.engine, own)
            for benchmark in benchmarks:
                requests = asked[benchmark.name]
                bar = progress.add_task(f"{benchmark.name} {folder.name}", total=len(requests))
                responses = model.respond(requests, partial(progress.advance, bar), benchmark.label)
                records[benchmark.name] += _records(requests, responses, place)
                if place == len(folders) - 1:
                    about = {"benchmark": benchmark.name, "benchmark_version": benchmark.version, **header}
                    lines = [{"header": about}, *records.pop(benchmark.name)]
                    _write(lines, AnswersFolder(output_folder).generations(benchmark.name))


def _newest(snapshots: Path | None, count: int) -> list[Path]:
    """The newest `count` snapshots of a run, the newest first; none of a base model, which has no folder of them."""
    if snapshots is None:
        return []
    found = sorted((folder for folder in snapshots.iterdir() if folder.is_dir()), reverse=True)
    if len(found) < count:
        raise InputError(f"{snapshots}: holds {len(found)} snapshots, average_last needs {count} before the last step")
    return found[:count]


def _values_by_benchmark(evaluation: Mapping[str, Any]) -> dict[str, EvaluationConfig]:
    """The evaluation values of each benchmark."""
    names = evaluation.get("benchmarks")
    if not names:
        raise InputError("evaluation: benchmarks must name at least one benchmark")
    own = evaluation.get("sampling", {})
    fields = {key: value for key, value in evaluation.items() if key not in ("benchmarks", "sampling")}
    shared = parse(EvaluationConfig, fields, "evaluation")
    return configs_by_benchmark(shared, {name: own.get(name, {}) for name in names}, "evaluation: sampling")


def build_tasks(values: Mapping[str, EvaluationConfig], data_root: Path) -> dict[str, Task]:
    """Return {benchmark: lm-eval task} with rows in memory and the study's sampling. Raises InputError without data."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns once per task about settings that are ours
    tasks = {}
    for name, own in values.items():
        task = tasks[name] = build_task(load_benchmark(name), data_root, own.problems)
        sampling = {
            "temperature": own.temperature,
            "top_p": own.top_p,
            "top_k": own.top_k,
            "max_gen_toks": own.max_tokens,
        }
        task.set_config("generation_kwargs", sampling, update=True)
    return tasks


def build_task(benchmark: Benchmark, data_root: Path, problems: int | None) -> Task:
    """The lm-eval task of a benchmark over at most `problems` of its prepared rows."""
    from lm_eval.tasks import TaskManager

    from .lm_eval import task_rows

    metadata = {"data_root": str(data_root), "problems": problems}
    manager = TaskManager(include_defaults=False, metadata=metadata)  # indexing lm-eval's own tasks takes seconds
    spec: Any = str(benchmark.path)
    if benchmark.foreign:  # its prompts are prepared
        spec = {
            "task": benchmark.task,
            "custom_dataset": task_rows,
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "problem",
            "doc_to_target": "answer",
            "generation_kwargs": {"until": list(benchmark.until)},
            "metadata": {"dataset": benchmark.dataset, "split": benchmark.split},
        }
    return manager.load([spec])["tasks"][benchmark.task]


def build_requests(task: Task, values: EvaluationConfig) -> list[Instance]:
    """Return every problem of a task `samples` times, its prompt rendered; draws of a problem stand side by side."""
    requests: list[Instance] = []
    for number, row in task.doc_iterator():
        prompt = task.fewshot_context(row, num_fewshot=0)
        request = task.construct_requests(row, prompt, metadata=(task.task_name, number, values.samples))
        requests += [request] * values.samples
    return requests


def _records(requests: list[Instance], responses: list[Response], snapshot: int) -> Iterable[dict[str, Any]]:
    draws: dict[str, int] = {}
    for request, response in zip(requests, responses, strict=True):
        row = request.doc
        draw = draws[row["id"]] = draws.get(row["id"], -1) + 1
        yield {
            "problem_id": row["id"],
            "draw": draw,
            "problem": row["problem"],
            "gold": row["answer"],
            **({"tolerance": row["tolerance"]} if row.get("tolerance") else {}),
            "response": response.text,
            "tokens": response.tokens,
            "finish": response.finish,
            **({"snapshot": snapshot} if snapshot else {}),
        }


def _write(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    import zstandard

    make_folder(path.parent)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    with replacing(path) as draft:
        draft.write_bytes(zstandard.compress(text.encode()))


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("generate {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
