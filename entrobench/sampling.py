"""How a study's benchmarks are sampled: `evaluation` for all of them, own values for some, presets for both.

A preset is config/evaluation/<name>.yaml; `use: NAME` among the values takes it over, and the values beside it win.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from entrobench.config import EvaluationConfig, parse
from entrobench.documents import check_schema, named_files, read_yaml
from entrobench.errors import InputError, nearest, unknown

PER_BENCHMARK = ("samples", "temperature", "top_p", "top_k", "max_tokens", "problems")


def resolve_evaluation(values: Mapping[str, Any] | None, where: str) -> EvaluationConfig:
    """A study's `evaluation`, with its preset."""
    return parse(EvaluationConfig, _with_preset(values or {}, where), where)


def resolve_benchmarks(
    benchmarks: Sequence[str] | Mapping[str, Mapping[str, Any] | None], where: str
) -> dict[str, dict[str, Any]]:
    """A study's `benchmarks`, a list of names or {name: values}, as {name: what differs from `evaluation`}."""
    entries = dict(benchmarks) if isinstance(benchmarks, Mapping) else dict.fromkeys(benchmarks)
    own = {name: _with_preset(values or {}, f"{where}: {name}") for name, values in entries.items()}
    for name, values in own.items():
        for key in values:
            if key not in PER_BENCHMARK:
                allowed = ", ".join(PER_BENCHMARK)
                hint = nearest(key, PER_BENCHMARK)
                raise InputError(f"{where}: {name}: unknown key {key!r} (allowed here: use, {allowed}){hint}")
    return own


def sampling_of(
    evaluation: EvaluationConfig, benchmarks: Mapping[str, Mapping[str, Any]], where: str
) -> dict[str, EvaluationConfig]:
    """The settings of every benchmark. Raises InputError for a value out of range, or fewer samples than a pass@k."""
    shared = dataclasses.asdict(evaluation)
    return {name: parse(EvaluationConfig, {**shared, **own}, f"{where}: {name}") for name, own in benchmarks.items()}


def _with_preset(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    own = {key: value for key, value in values.items() if key != "use"}
    if "use" not in values:
        return own
    files = named_files("evaluation")
    if values["use"] not in files:
        raise unknown("preset", str(values["use"]), files, f"{where}: use")
    path = files[values["use"]]
    content = read_yaml(path)
    check_schema(content, "evaluation", str(path))
    for key in content["values"]:
        if key not in PER_BENCHMARK:
            raise InputError(f"{path}: values: unknown key {key!r} (allowed: {', '.join(PER_BENCHMARK)})")
    return {**content["values"], **own}
