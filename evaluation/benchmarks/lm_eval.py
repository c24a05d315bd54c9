"""The two sides of lm-eval: our rows as the data of its tasks, our rollout engine as its model `entrobench`.

`python -m entrobench.evaluation.benchmarks.lm_eval run --model entrobench --model_args pretrained=FOLDER --tasks NAME`
is lm-eval's own command line with both added; a task's rows are prepared by `entrobench prepare-data DATASET`.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from entrobench.data.datasets import load_rows
from entrobench.data.rows import problem_id
from entrobench.engines.rollout import Completion, Sampling
from entrobench.errors import InputError, unknown
from entrobench.evaluation.grading.grader import grade, with_tolerance
from entrobench.evaluation.grading.reading.thinking import spoken_parts
from entrobench.results import RESULTS

from .task_files import TASKS

LM_EVALS_OWN = ("max_batch_size",)  # what its command line passes to every model
BATCH = 256  # ours: answers decoded side by side
BATCHES = {"native": BATCH, "vllm": 16 * BATCH}  # ours; vLLM itself decides how many are side by side
NEUTRAL: dict[str, tuple[Any, ...]] = {  # settings of other engines, and the values at which they change nothing
    "do_sample": (True, False),  # `normalize_gen_kwargs` has made a temperature of it
    "num_beams": (1, None),
    "repetition_penalty": (1, None),
    "presence_penalty": (0, None),
    "frequency_penalty": (0, None),
    "min_p": (0, None),
    "n": (1, None),
}
LONGEST = 256  # tokens of an answer where neither task nor command line says; lm-eval's own default


def task_rows(
    dataset: str, split: str, data_root: str = str(RESULTS.data_root), problems: int | None = None, **_: Any
) -> dict[str, Any]:
    """Return {"test": rows} of a benchmark in memory: what the task files name as `custom_dataset`.

    lm-eval passes a task's metadata as keywords; `data_root` (the folder of prepared datasets) and `problems` (a limit)
    come from `TaskManager(metadata=...)`.
    """
    from datasets import Dataset

    rows = load_rows(Path(data_root) / dataset, split)[:problems]
    return {"test": Dataset.from_list([vars(row) for row in rows])}


def judge(row: Mapping[str, Any], answers: Sequence[str | Sequence[str]]) -> dict[str, float]:
    """The share of right answers to one row, by our grader: what the task files name as `process_results`."""
    drawn = [answers[0]] if isinstance(answers[0], str) else answers[0]
    tolerance = row.get("tolerance")
    return {"avg": sum(with_tolerance(grade(a, row["answer"]), tolerance).correct for a in drawn) / len(drawn)}


@dataclass(frozen=True)
class Response:
    """One answer: its text before the first stop string, the tokens that make it, and why it ends."""

    text: str
    tokens: int
    finish: str  # "stop" (end token or stop string) or "length"


@dataclass(frozen=True)
class _Question:
    """Requests with equal values here are draws of the same question."""

    task: str | None
    key: str  # names the question for its random numbers
    text: str
    sampling: Sampling
    stops: tuple[str, ...]


@register_model("entrobench")
class EngineLM(LM):  # type: ignore[misc]
    """A rollout engine as an lm-eval model; only generation is offered."""

    def __init__(
        self,
        pretrained: str = "",
        device: str = "auto",
        seed: int = 0,
        batch_size: int | str = BATCH,
        engine: str = "native",
        stream: str = "",
        **others: Any,
    ) -> None:
        """Load model and tokenizer from the folder `pretrained`. Raises InputError if either is missing.

        `stream` names random numbers of its own: runs of other cells and seeds draw apart.
        """
        super().__init__()
        where = "lm-eval model entrobench"
        if not pretrained:
            raise InputError(f"{where}: --model_args pretrained=FOLDER is missing: the model's folder")
        if given := [key for key, value in others.items() if key not in LM_EVALS_OWN and value is not None]:
            allowed = ("pretrained", "device", "seed", "batch_size", "engine")
            raise unknown("argument", given[0], allowed, f"{where}: --model_args")
        if not str(batch_size).isdecimal() or int(batch_size) < 1:
            raise InputError(f"{where}: --batch_size must be a whole number of answers, got {batch_size!r}")
        from entrobench.engines.choice import evaluation_engine
        from entrobench.models.language_model import load_tokenizer, resolve_device

        self.tokenizer = load_tokenizer(Path(pretrained))
        self.rows = int(batch_size)
        self.engine = evaluation_engine(engine, Path(pretrained), self.tokenizer, resolve_device(device), self.rows)
        self.stream = f"evaluation/{int(seed)}" + (f"/{stream}" if stream else "")  # apart from those of training

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the text of one answer per request; equal requests of a task are its draws, in order."""
        return [response.text for response in self.respond(requests)]

    def respond(
        self, requests: Sequence[Instance], advance: Callable[[int], None] = lambda answers: None, label: str = ""
    ) -> list[Response]:
        """Answer every request; `advance` is told how many answers each batch added.

        Random numbers are keyed by (seed, stream, label, question, draw): neither order nor batches change them.
        """
        stream = f"{self.stream}/{label}" if label else self.stream
        draws: dict[_Question, list[int]] = {}
        for position, request in enumerate(requests):
            draws.setdefault(_question(request), []).append(position)
        responses: dict[int, Response] = {}
        for batch in self._batches(draws):
            responses |= self._answer(batch, draws, stream)
            advance(sum(len(draws[question]) for question, _ in batch))
        return [responses[position] for position in range(len(requests))]

    def _batches(self, draws: dict[_Question, list[int]]) -> list[list[tuple[_Question, list[int]]]]:
        """Cut (question, prompt tokens) into batches with equal sampling and number of draws, short prompts first."""
        from entrobench.models.language_model import encode_prompt

        alike: dict[tuple[Sampling, int], list[tuple[_Question, list[int]]]] = {}
        for question, positions in draws.items():
            prompt = encode_prompt(self.tokenizer, question.text)
            alike.setdefault((question.sampling, len(positions)), []).append((question, prompt))
        batches = []
        for (_, n), prompts in alike.items():
            prompts.sort(key=lambda item: len(item[1]))
            size = max(1, self.rows // n)
            batches += [prompts[start : start + size] for start in range(0, len(prompts), size)]
        return batches

    def _answer(
        self, batch: list[tuple[_Question, list[int]]], draws: dict[_Question, list[int]], stream: str
    ) -> dict[int, Response]:
        questions = [question for question, _ in batch]
        n = len(draws[questions[0]])
        keys = [question.key for question in questions]
        done = self.engine.generate([prompt for _, prompt in batch], n, questions[0].sampling, keys, stream)
        answered = {}
        for index, completion in enumerate(done):
            question, prompt = batch[index // n]
            answered[draws[question][index % n]] = respond_until(self.tokenizer, prompt, completion, question.stops)
        return answered

    @property
    def tokenizer_name(self) -> str:
        raise InputError("lm-eval model entrobench: it applies the chat template itself; drop --apply_chat_template")

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Raises InputError: the engine samples text, it does not score given text."""
        raise InputError("lm-eval model entrobench: only tasks with `output_type: generate_until` can be run")

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Raises InputError: the engine samples text, it does not score given text."""
        raise InputError("lm-eval model entrobench: only tasks with `output_type: generate_until` can be run")


def _question(request: Instance) -> _Question:
    text, settings = request.args
    sampling, stops = read_settings(settings, f"lm-eval task {request.task_name}")
    key = str(request.doc.get("id") or problem_id(text))
    return _Question(request.task_name, key, text, sampling, stops)


def read_settings(settings: Mapping[str, Any], where: str) -> tuple[Sampling, tuple[str, ...]]:
    """A task's generation_kwargs as our sampling and its stop strings, read as lm-eval's own models read them.

    Raises InputError for a setting that would change the answers and that no engine of ours has.
    """
    from lm_eval.models.utils import normalize_gen_kwargs

    read: dict[str, Any] = dict(normalize_gen_kwargs(dict(settings), default_max_gen_toks=LONGEST))
    known = {key: read.pop(key) for key in ("until", "max_gen_toks", "temperature", "top_p", "top_k") if key in read}
    for key, value in read.items():
        if key not in NEUTRAL or value not in NEUTRAL[key]:
            allowed = "temperature, do_sample, top_p, top_k, max_gen_toks and its other names, until"
            raise InputError(f"{where}: generation_kwargs: {key} {value!r} is not supported here (allowed: {allowed})")
    sampling = Sampling(
        temperature=float(known.get("temperature", 0.0)),  # lm-eval's default is greedy
        top_p=float(known.get("top_p", 1.0)),
        top_k=max(int(known.get("top_k", 0)), 0),  # vLLM and some tasks say -1 for off
        max_tokens=int(known["max_gen_toks"]),
    )
    return sampling, tuple(stop for stop in known["until"] if stop)


def respond_until(tokenizer: Any, prompt: Sequence[int], completion: Completion, stops: Sequence[str]) -> Response:
    """The response that ends where the first stop string is complete, as if sampling had ended there.

    Stop strings count in what the reply says aloud, not in its thinking part, which may hold any of them.
    """
    from entrobench.models.replies import begun, decode

    start = begun(tokenizer, prompt)
    text = start + decode(tokenizer, completion.tokens)
    if (found := _first_stop(text, stops)) is None:
        return Response(text, len(completion.tokens), completion.finish)
    cut, end = found

    def reached(tokens: int) -> bool:
        return len(start) + len(decode(tokenizer, completion.tokens[:tokens])) >= end

    sampled = bisect_left(range(len(completion.tokens)), True, key=reached)
    return Response(text[:cut], sampled, "stop")


def _first_stop(text: str, stops: Sequence[str]) -> tuple[int, int] | None:
    """Where the first stop string begins and ends."""
    places = [
        (place, place + len(stop))
        for start, end in spoken_parts(text)
        for stop in stops
        if (place := text.find(stop, start, end)) >= 0
    ]
    return min(places, default=None)


def main() -> None:
    """Run lm-eval's command line with our model and tasks; ours go before its own of the same name."""
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    setup_logging()
    command = HarnessCLI()
    arguments = command.parse_args()
    ours = {"include_path": None, "device": "auto", "batch_size": BATCH}  # instead of lm-eval's cuda:0 and 1
    for name, value in ours.items():
        setattr(arguments, name, getattr(arguments, name, None) or value)
    arguments.include_path = [str(TASKS), *([arguments.include_path] if arguments.include_path else [])]
    try:
        command.execute(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    sys.modules["entrobench.evaluation.benchmarks.lm_eval"] = sys.modules[
        "__main__"
    ]  # the tasks name it: one module, not two
    main()
