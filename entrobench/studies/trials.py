"""The trials of a study that tunes values: a study of its own, results/<study>/tuning, made by the same rules.

Every tuned method runs once per value of its grid and tuning seed; validation splits decide (report/tuning.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from entrobench.catalogue import declarations
from entrobench.config import TrainerConfig
from entrobench.documents import with_preset
from entrobench.errors import InputError

from . import named_inputs

SHARED = ("description", "models", "datasets", "trainer", "hardware", "evaluation")  # with the study itself


def trainer_values(values: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """What a `trainer:` block says, with the preset of config/trainer that its `use` names."""
    return with_preset(values or {}, "trainer", (field.name for field in fields(TrainerConfig)), where)


def trial_name(method: str, value: float) -> str:
    """The name under which a method is tried at a value."""
    return f"{method}-{value:g}"


def trial_content(content: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """The content of a study file that holds the trials: the tuned methods at every value. None where nothing is tuned.

    Training rows that the validation splits also ask are left out, whatever the study says. Raises InputError for
    tuning on the study's own seeds, or on a split that is not a validation split.
    """
    settings = [{**part, "methods": _trials(part.get("methods", {}), where)} for part in content.get("settings", [])]
    methods = _trials(content.get("methods", {}), where)
    own, tried = content.get("tuning"), bool(methods or any(part["methods"] for part in settings))
    if not tried or own is None:
        if tried:
            raise InputError(f"{where}: the key 'tuning' is missing: seeds and benchmarks of the trials")
        if own is not None:
            raise InputError(f"{where}: tuning has no effect: no method has a value {{tune: [...]}}")
        return None
    _check(own, content, f"{where}: tuning")
    made = {key: content[key] for key in SHARED if key in content} | {"decontaminate": "remove", **own}
    shared = trainer_values(content.get("trainer"), f"{where}: trainer")
    made["trainer"] = shared | trainer_values(own.get("trainer"), f"{where}: tuning: trainer")
    kept = ("name", "model", "dataset", "trainer", "methods")
    parts = [{key: part[key] for key in kept if key in part} for part in settings if part["methods"]]
    return made | ({"settings": parts} if parts else {"methods": methods})


def _trials(methods: Sequence[str] | Mapping[str, Mapping[str, Any] | None], where: str) -> dict[str, dict[str, Any]]:
    """{name of the trial: values} of one setting."""
    made: dict[str, dict[str, Any]] = {}
    for name, values in methods.items() if isinstance(methods, Mapping) else ():
        given, declared = declarations.split(values or {}, f"{where}: methods: {name}")
        for point in declarations.candidates(declared):
            made |= {trial_name(name, value): {"use": name, **given, **point} for value in point.values()}
    return made


def _check(own: Mapping[str, Any], content: Mapping[str, Any], where: str) -> None:
    """Refuse tuning that would see the study's own runs or tests."""
    if shared := sorted({*own["seeds"]} & {*content["seeds"]}):
        raise InputError(f"{where}: seeds: {shared[0]} is a seed of the study; tuning takes seeds of its own")
    for name in own["benchmarks"]:
        named_inputs.check_benchmark(name, f"{where}: benchmarks")
        dataset, split = named_inputs.benchmark_split(name)
        if split != "validation":
            raise InputError(
                f"{where}: benchmarks: {name} asks the {split} split of {dataset}, not a validation split "
                "(validation_share in a dataset's recipe holds one out of its training rows by hash of the problem)"
            )
