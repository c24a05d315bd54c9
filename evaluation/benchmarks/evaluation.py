"""How a study's benchmarks are sampled: `evaluation` for all of them, own values for some, presets for both.

A base model and all runs from it are sampled alike; a study that includes others may sample its models differently.

A preset is config/evaluation/<name>.yaml; `use: NAME` takes its values, and values beside `use` win.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from entrobench.config import EvaluationConfig, parse, stored
from entrobench.documents import with_preset
from entrobench.errors import InputError, nearest

PER_BENCHMARK = ("samples", "temperature", "top_p", "top_k", "max_tokens", "pass_k", "problems")


@dataclass(frozen=True)
class Evaluation:
    """How a base model and its runs are sampled: values for all benchmarks, and single benchmarks' own values."""

    shared: EvaluationConfig
    benchmarks: dict[str, dict[str, Any]]

    @cached_property
    def by_benchmark(self) -> dict[str, EvaluationConfig]:
        """The values of each benchmark, shared and own."""
        return configs_by_benchmark(self.shared, self.benchmarks, "benchmarks")

    @property
    def pass_k(self) -> dict[str, list[int]]:
        """The k of each benchmark's pass@k."""
        return {name: values.pass_k for name, values in self.by_benchmark.items()}

    @property
    def file_content(self) -> dict[str, Any]:
        """Content of evaluation.json: the fields of EvaluationConfig, the benchmarks, and their own values."""
        own = {name: values for name, values in self.benchmarks.items() if values}
        content = {**stored(self.shared), "benchmarks": list(self.benchmarks)}
        return {**content, "sampling": own} if own else content


def evaluations(
    content: Mapping[str, Any], own_models: Iterable[str], included: Sequence[Mapping[str, Evaluation]], where: str
) -> dict[str, Evaluation]:
    """The evaluation of every base model of a study, from its file and those of the studies that it includes.

    What the file says holds for all models. Otherwise a model keeps the evaluation of its included study, and a model
    of the file itself gets that of the included studies. Raises InputError where these disagree about one model.
    """
    shared = resolve_evaluation(content.get("evaluation"), f"{where}: evaluation")
    benchmarks = resolve_benchmarks(content.get("benchmarks", []), f"{where}: benchmarks")
    everywhere = [evaluation for study in included for evaluation in study.values()]
    found = {}
    for model in dict.fromkeys([*own_models, *(model for study in included for model in study)]):
        own = [study[model] for study in included if model in study] or everywhere
        if own and "evaluation" not in content:
            if any(other.shared != own[0].shared for other in own):
                raise InputError(
                    f"{where}: the included studies evaluate {model} differently: give the key 'evaluation'"
                )
            shared = own[0].shared
        if "benchmarks" not in content:
            benchmarks = _joined_benchmarks(own, everywhere, where)
        found[model] = Evaluation(shared, benchmarks)
        configs_by_benchmark(shared, benchmarks, f"{where}: benchmarks")
    if any(evaluation.pass_k != next(iter(found.values())).pass_k for evaluation in found.values()):
        raise InputError(f"{where}: the included studies have different pass_k: give the key 'evaluation'")
    return found


def _joined_benchmarks(
    own: Sequence[Evaluation], everywhere: Sequence[Evaluation], where: str
) -> dict[str, dict[str, Any]]:
    """All benchmarks of the included studies; one that several sample is sampled as in `own`, if it is there."""
    joined: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for evaluation in everywhere for name in evaluation.benchmarks):
        said = [e.benchmarks[name] for e in own if name in e.benchmarks]
        said = said or [e.benchmarks[name] for e in everywhere if name in e.benchmarks]
        if any(values != said[0] for values in said):
            raise InputError(f"{where}: the included studies sample {name} differently: give the key 'benchmarks'")
        joined[name] = said[0]
    return joined


def resolve_evaluation(values: Mapping[str, Any] | None, where: str) -> EvaluationConfig:
    """A study's `evaluation`, with its preset."""
    return parse(EvaluationConfig, _with_preset(values or {}, where), where)


def resolve_benchmarks(
    benchmarks: Sequence[str] | Mapping[str, Mapping[str, Any] | None], where: str
) -> dict[str, dict[str, Any]]:
    """A study's `benchmarks`, a list of names or {name: values}, as {name: what differs from `evaluation`}."""
    entries = dict(benchmarks) if isinstance(benchmarks, Mapping) else dict.fromkeys(benchmarks)
    own = {
        name: with_preset(values or {}, "evaluation", PER_BENCHMARK, f"{where}: {name}")
        for name, values in entries.items()
    }
    for name, values in own.items():
        for key in values:
            if key not in PER_BENCHMARK:
                allowed = ", ".join(PER_BENCHMARK)
                hint = nearest(key, PER_BENCHMARK)
                raise InputError(f"{where}: {name}: unknown key {key!r} (allowed here: use, {allowed}){hint}")
    return own


def configs_by_benchmark(
    evaluation: EvaluationConfig, benchmarks: Mapping[str, Mapping[str, Any]], where: str
) -> dict[str, EvaluationConfig]:
    """The values of every benchmark. Raises InputError for a value out of range, or too few samples for a pass@k."""
    shared = dataclasses.asdict(evaluation)
    return {name: parse(EvaluationConfig, {**shared, **own}, f"{where}: {name}") for name, own in benchmarks.items()}


def _with_preset(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    return with_preset(values, "evaluation", PER_BENCHMARK, where)
