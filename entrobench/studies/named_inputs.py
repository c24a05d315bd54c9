"""What a study names besides methods: base models, datasets, benchmarks and rewards.

A recipe is a YAML file, config/models/<name>.yaml or config/datasets/<name>.yaml. Its hash decides whether what was
made from it is still valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from entrobench.config import TrainerConfig, canonical_hash
from entrobench.data import foreign_tasks
from entrobench.documents import CONFIG, named_files, read_yaml
from entrobench.errors import InputError, unknown
from entrobench.evaluation.benchmarks.task_files import load_benchmark
from entrobench.run_config import RunConfig


@dataclass(frozen=True)
class Recipe:
    """A model's or dataset's file. `datasets` are the prepared data from which a base model is trained."""

    name: str
    spec: Mapping[str, Any]
    recipe_hash: str
    datasets: tuple[str, ...] = ()
    prompt: str = ""  # of a dataset: the template around each problem


class Recipes:
    """The recipes that one study file names, each read once."""

    def __init__(self, where: str) -> None:
        self.model = cache(partial(load_model, where=where))
        self.dataset = cache(partial(load_dataset, where=where))


def load_dataset(name: str, where: str) -> Recipe:
    """Read and check a dataset's recipe; `where` is the file that names it."""
    from entrobench.data import datasets

    spec, place = _task_spec(name, where) or _read("datasets", "dataset", name, where)
    checked = datasets.check_spec(name, spec, place)
    return Recipe(name, spec, datasets.recipe_hash(checked), prompt=checked.prompt)


def load_model(name: str, where: str) -> Recipe:
    """Read and check a base model's recipe; its hash covers the recipes of the data it is trained on."""
    from entrobench.models import model_recipes

    spec, place = _read("models", "model", name, where)
    model_recipes.check_spec(name, spec, place)
    datasets = {dataset: load_dataset(dataset, place).recipe_hash for dataset in spec.get("datasets", [])}
    content = {"model": model_recipes.recipe_hash(spec), "datasets": datasets}
    return Recipe(name, spec, canonical_hash(content), tuple(datasets))


def refuse_changed(config: RunConfig, where: str) -> None:
    """Raise InputError where a run's base model, data or own reward are not what they were when its config was locked.

    A recipe that is no longer there changes nothing: what was made of it is.
    """
    for kind, locked, load in (("model", config.model, load_model), ("dataset", config.dataset, load_dataset)):
        if locked.name in named_files(f"{kind}s") and load(locked.name, where).recipe_hash != locked.recipe_hash:
            raise _changed(f"the recipe of {kind} {locked.name}, or what it names,", where)
    if config.reward_code and reward_code(config.trainer.reward, Path(), where)[1] != config.reward_code:
        raise _changed(f"the reward {config.trainer.reward}", where)


def _changed(what: str, where: str) -> InputError:
    return InputError(f"{where}: {what} has changed since this was locked: lock the run again (`make study` does)")


def _task_spec(name: str, where: str) -> tuple[dict[str, Any], str] | None:
    """The recipe of a dataset that is a task of lm-eval; None for other datasets."""
    prefix = foreign_tasks.PREFIX
    if not name.startswith(prefix):
        return None
    benchmark = load_benchmark(name, where)
    pinned = {"version": benchmark.version, "content_sha256": foreign_tasks.content_sha256(benchmark.path)}
    return {"kind": "lm_eval", "task": name.removeprefix(prefix), **pinned}, str(benchmark.path)


def _read(folder: str, kind: str, name: str, where: str) -> tuple[dict[str, Any], str]:
    files = named_files(folder)
    if name not in files:
        raise unknown(kind, name, files, where)
    spec = read_yaml(files[name])
    if "kind" not in spec:
        raise InputError(f"{files[name]}: the key 'kind' is missing")
    return spec, str(files[name])


def check_benchmark(name: str, where: str) -> None:
    """Raise InputError for a benchmark that does not exist or cannot be sampled."""
    load_benchmark(name, where)


def benchmark_split(name: str) -> tuple[str, str]:
    """The dataset and the split whose problems a benchmark asks."""
    benchmark = load_benchmark(name)
    return benchmark.dataset, benchmark.split


def benchmark_version(name: str) -> str:
    """The version that a benchmark's task file states, and a hash of what it says: an edit is another benchmark."""
    benchmark = load_benchmark(name)
    return f"{benchmark.version} ({foreign_tasks.content_sha256(benchmark.path)[:12]})"


def with_reward(
    trainer: TrainerConfig, given: bool, dataset: Recipe, study: Path, where: str
) -> tuple[TrainerConfig, dict[str, str]]:
    """The trainer with its reward's name as config.json has it, and what pins the reward's code.

    Where the study at this path does not say a reward (`given`), its dataset's counts. Both look beside their file.
    """
    folder, name = study.parent, trainer.reward
    if not given and "reward" in dataset.spec:
        folder, name, where = CONFIG / "datasets", dataset.spec["reward"], f"config/datasets/{dataset.name}.yaml"
    name, code = reward_code(name, folder, where)
    return replace(trainer, reward=name), code


def reward_code(name: str, folder: Path, where: str) -> tuple[str, dict[str, str]]:
    """A reward's name and what pins its code, {} where it is built in. Raises InputError for one that does not exist.

    `folder` holds the file that names it.
    """
    from entrobench.evaluation.grading.own_rewards import announced, own_reward
    from entrobench.evaluation.grading.rewards import REWARDS

    announced(tuple(REWARDS))
    if name in REWARDS:
        return name, {}
    found = own_reward(name, folder, where, REWARDS)
    return found.name, found.code


def grader_version() -> str:
    """The grader's version."""
    from entrobench.evaluation.grading.grader import GRADER_VERSION

    return GRADER_VERSION
