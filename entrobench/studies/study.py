"""A study: from config/studies/<name>.yaml to the list of its runs, each with one resolved, validated, hashed config.

Everything that can be known to be wrong before a job starts is refused here, in one line.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from entrobench.catalogue import variants
from entrobench.config import Hardware, TrainerConfig, parse
from entrobench.distributed.launch import check_processes
from entrobench.documents import CONFIG, check_schema, named_files, read_yaml
from entrobench.engines.native_families import refuse_other_family
from entrobench.errors import InputError, nearest, unknown
from entrobench.evaluation.benchmarks.evaluation import Evaluation, evaluations, resolve_benchmarks, resolve_evaluation
from entrobench.models.model_recipes import stated_config, window_of_recipe
from entrobench.results import NO_STUDY, RESULTS
from entrobench.run_config import RunConfig, RunDataset, RunModel
from entrobench.training.snapshots import snapshot_steps

from . import decontamination, derived, named_inputs
from .headline import headline_of
from .named_inputs import Recipe, Recipes
from .published import check_published
from .runs import Run, Study, benchmark_splits
from .trials import trainer_values, trial_content

OWN_RUNS = ("settings", "models", "datasets", "methods")
SHORTHAND = OWN_RUNS[1:]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # as in study.schema.yaml
GRADERS = ("entrobench", "paper", "chain")  # `entrobench` gives the scores, the others are shown beside it


def load_study(name_or_path: str) -> Study:
    """Load a study by its name in config/studies or by the path of its file.

    `STUDY@SEEDS` has other seeds than the file, such as quickstart@0-9 or quickstart@0,3. Raises InputError, one line
    that names file and key, for everything wrong with it.
    """
    name, _, wanted = (str(name_or_path), "", "") if Path(name_or_path).is_file() else name_or_path.partition("@")
    return _load(_find(name, "STUDY"), (), _seeds(wanted, f"{name}@{wanted}") if wanted else None)


def _seeds(text: str, where: str) -> list[int]:
    """0-4 or 0,3 or both; each once."""
    parts = [re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in text.split(",")]
    seeds = [seed for part in parts if part for seed in range(int(part[1]), int(part[2] or part[1]) + 1)]
    if not all(parts) or not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds must be different whole numbers, such as 0-4 or 0,3, got {text!r}")
    return seeds


def load_part(name_or_path: str, tuning: bool) -> Study:
    """Load a study, or, where `tuning` is set, the study of its trials."""
    study = load_study(name_or_path)
    if tuning and study.tuning is None:
        raise InputError(f"{study.path}: no method has a value {{tune: [...]}}, so there are no trials")
    return study.tuning if tuning and study.tuning else study


def _find(name_or_path: str, where: str) -> Path:
    known = named_files("studies")
    if name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path:
        path = Path(name_or_path)
        if not path.is_file():
            raise InputError(f"{where}: no study file {name_or_path}{nearest(path.stem, known)}")
        return path
    if not known:
        raise InputError(f"{CONFIG / 'studies'}: no study here; run the command in the project's root folder")
    if name_or_path not in known:
        raise unknown("study", name_or_path, known, where)
    return known[name_or_path]


def _load(path: Path, including: tuple[Path, ...], seeds: list[int] | None) -> Study:
    if path in including:
        raise InputError(f"{including[-1]}: include: the study {path.stem!r} includes itself")
    if path.stem in NO_STUDY or not NAME.fullmatch(path.stem):
        allowed = f"letters, digits, '_', '-' and '.' only, and none of {', '.join(NO_STUDY)}"
        raise InputError(f"{path}: {path.stem!r} cannot name a study: {allowed}")
    content = read_yaml(path)
    if content.get("kind", "training") != "training":
        raise InputError(
            f"{path}: is of kind {content['kind']} and trains no models: run `entrobench {content['kind']} {path.stem}`"
        )
    check_schema(content, "study", str(path))
    content = {**content, "seeds": seeds} if seeds and "seeds" in content else content
    names = content.get("include", [])
    included = [_load(_find(name, f"{path}: include"), (*including, path), seeds) for name in names]
    return _study(content, included, path)


def _study(content: Mapping[str, Any], included: list[Study], path: Path) -> Study:
    _check_parts(content, path)
    benchmarks = _benchmarks(content, included, path)
    found = Recipes(str(path))
    own = list(_own_runs(content, benchmarks, found, path))
    tuning = _tuning(content, own, included, path)
    own = derived.bind(own, tuning, str(path))
    runs = _join(own, included, path)
    base_models = {name: found.model(name) for name in dict.fromkeys(run.model for run in runs)}
    by_model = evaluations(content, [run.model for run in own], [study.evaluations for study in included], str(path))
    for name, evaluation in by_model.items():
        _check_family(found.model(name), evaluation.shared.engine, f"{path}: evaluation")
        _check_answers(found.model(name), evaluation, path)
    graders, methods = _graders(content, included, path), {run.method: run.config.method for run in runs}
    headline = headline_of(content, methods, by_model, graders, str(path))
    if any(run.published for run in runs) and not headline.primary.startswith("avg@"):
        raise InputError(f"{path}: published scores are means over answers: primary must be avg@n")
    return Study(
        name=path.stem,
        path=path,
        description=" ".join(content.get("description", "").split()),
        runs=runs,
        base_models=base_models,
        datasets=_datasets(runs, base_models, benchmarks, found) | (tuning.datasets if tuning else {}),
        evaluations={name: by_model[name] for name in base_models},
        graders=graders,
        headline=headline,
        warnings=_warnings(own, path) + [line for study in included for line in study.warnings],
        tuning=tuning,
    )


def _tuning(content: Mapping[str, Any], own: list[Run], included: list[Study], path: Path) -> Study | None:
    """The study of the trials behind the tuned values of a study's own runs; its folder is <study>/tuning."""
    derived.tuned(own, str(path))
    for study in included:
        if study.tuning:
            raise InputError(f"{path}: include: {study.name} tunes values: run it as a study of its own")
    made = trial_content(content, str(path))
    if made is None:
        return None
    trials, place = _study(made, [], path), RESULTS.study(path.stem).trials
    runs = [dataclasses.replace(run, folder=place.run(run.key).folder) for run in trials.runs]
    return dataclasses.replace(trials, name=place.name, runs=runs)


def _check_parts(content: Mapping[str, Any], path: Path) -> None:
    """Refuse a study that names no runs, or names them in two ways."""
    if "settings" in content and (extra := [key for key in SHORTHAND if key in content]):
        raise InputError(f"{path}: give settings, or the shorthand {', '.join(SHORTHAND)}; not settings and {extra[0]}")
    own = any(key in content for key in OWN_RUNS)
    if not own and "include" not in content:
        raise InputError(f"{path}: names no runs: give settings, or {', '.join(SHORTHAND)}, or include")
    if own and "seeds" not in content:
        raise InputError(f"{path}: the key 'seeds' is missing: a list of whole numbers, one run each")
    for key in ("seeds", "trainer", "hardware", "decontaminate", "evaluate_every", "published", "tuning"):
        if not own and key in content:
            raise InputError(f"{path}: {key} has no effect: included studies bring their own")
    for key in SHORTHAND:
        if own and "settings" not in content and key not in content:
            raise InputError(f"{path}: the key {key!r} is missing")


def _settings(content: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (place in the file, setting); a cross product becomes one setting per model and dataset."""
    names: set[str] = set()
    for setting in content.get("settings", []):
        if setting["name"] in names:
            raise InputError(f"{path}: settings: the name {setting['name']!r} is given twice")
        names.add(setting["name"])
        yield f"{path}: {setting['name']}", setting
    for model in content.get("models", []):
        for dataset in content["datasets"]:
            name = f"{model}-{dataset}"
            yield str(path), {"name": name, "model": model, "dataset": dataset, "methods": content["methods"]}


def _own_runs(content: Mapping[str, Any], benchmarks: Iterable[str], found: Recipes, path: Path) -> Iterator[Run]:
    shared = trainer_values(content.get("trainer"), f"{path}: trainer")
    parse(TrainerConfig, shared, f"{path}: trainer")
    for key, said in {"snapshot_every": "evaluate_every", "snapshot_last": "evaluation: average_last"}.items():
        if key in content.get("hardware", {}):
            raise InputError(f"{path}: hardware: {key} is said by the study's key {said}")
    average_last = resolve_evaluation(content.get("evaluation"), f"{path}: evaluation").average_last
    hardware = parse(Hardware, content.get("hardware"), f"{path}: hardware")
    handling = content.get("decontaminate", "remove")
    if handling not in decontamination.CHOICES:
        raise unknown("value", handling, decontamination.CHOICES, f"{path}: decontaminate")
    sources = benchmark_splits(benchmarks, found.dataset) if handling == "remove" else []
    for where, setting in _settings(content, path):
        own = trainer_values(setting.get("trainer"), f"{where}: trainer")
        trainer = parse(TrainerConfig, {**shared, **own}, f"{where}: trainer")
        check_processes(hardware.processes, trainer, f"{path}: hardware")
        evaluate_every, published = _evaluation_schedule({**content, **setting}, where)
        kept = dataclasses.replace(hardware, snapshot_every=evaluate_every, snapshot_last=average_last - 1)
        _check_snapshots(kept, trainer, where)
        model, dataset = found.model(setting["model"]), found.dataset(setting["dataset"])
        trainer, code = named_inputs.with_reward(trainer, "reward" in {**shared, **own}, dataset, path, where)
        _check_window(model, trainer, where)
        _check_family(model, trainer.engine, f"{where}: trainer")
        compared = decontamination.compared_with(dataset, sources)
        for method in variants.resolve(setting["methods"], f"{where}: methods"):
            for seed in content["seeds"]:
                data = RunDataset(dataset.name, dataset.recipe_hash, dataset.prompt, compared)
                config = RunConfig(RunModel(model.name, model.recipe_hash), data, method, seed, trainer, code)
                names = setting["name"], model.name, dataset.name, method.name
                yield _place(Run(*names, seed, config, kept, Path(), published), path)


def _check_window(model: Recipe, trainer: TrainerConfig, where: str) -> None:
    """Refuse sequences beyond the model's positions; an embedded model's prompts are shorter than the limit."""
    window = window_of_recipe(model.name, model.spec)
    if window is None or model.spec["kind"] == "embedded":
        return
    longest = trainer.max_prompt_tokens + trainer.max_response_tokens
    if longest > window:
        said = f"max_prompt_tokens {trainer.max_prompt_tokens} + max_response_tokens {trainer.max_response_tokens}"
        raise InputError(f"{where}: trainer: {said} is above the {window} tokens that {model.name} was made for")


def _check_answers(model: Recipe, evaluation: Evaluation, path: Path) -> None:
    """Refuse answers that leave a prompt no room among the model's positions; sampling refuses too little room."""
    window = window_of_recipe(model.name, model.spec)
    for benchmark, values in evaluation.by_benchmark.items():
        if window is not None and values.max_tokens >= window:
            said = f"max_tokens {values.max_tokens} of {benchmark} leaves no room for a prompt"
            raise InputError(f"{path}: evaluation: {said} in the {window} tokens that {model.name} was made for")


def _check_family(model: Recipe, engine: str, where: str) -> None:
    """Refuse a model that the study's engine cannot run."""
    if engine == "native":
        refuse_other_family(stated_config(model.name, model.spec), f"{where}: {model.name}")


def _check_snapshots(kept: Hardware, trainer: TrainerConfig, where: str) -> None:
    """Refuse an average over more snapshots than a run has when it ends, which may be at its plateau."""
    there = len(snapshot_steps(trainer.fewest_steps, kept.snapshot_every))
    if kept.snapshot_last > there:
        raise InputError(
            f"{where}: evaluation: average_last {kept.snapshot_last + 1} needs {kept.snapshot_last} snapshots before "
            f"the last step, evaluate_every {kept.snapshot_every} keeps {there} in {trainer.fewest_steps} steps"
        )


def _place(run: Run, path: Path) -> Run:
    """Give a run its folder in this file's study."""
    return dataclasses.replace(run, folder=RESULTS.study(path.stem).run(run.key).folder)


def _join(own: list[Run], included: list[Study], path: Path) -> list[Run]:
    """Join own and included runs. Equal runs count once; two different runs of one name are refused."""
    joined: dict[str, Run] = {}
    shared = [run for study in included for run in study.runs]
    for run in own + shared:
        first = joined.setdefault(run.key, run)
        if first is not run and (run in own or first.config.hash != run.config.hash):
            raise InputError(
                f"{path}: two settings, {first.setting!r} and {run.setting!r}, hold the run {run.key}; rename a method"
            )
        snapshots = {(r.hardware.snapshot_every, r.hardware.snapshot_last) for r in (first, run)}
        if len(snapshots) > 1:
            raise InputError(f"{path}: include: evaluate_every differs for the run {run.key}, which two studies share")
    return [_place(run, path) for run in joined.values()]


def _evaluation_schedule(content: Mapping[str, Any], where: str) -> tuple[int, str]:
    """Steps between two evaluations (0: only after the last step), and the published numbers to compare with."""
    evaluate_every, published = content.get("evaluate_every", 0), content.get("published", "")
    if published:
        check_published(published, f"{where}: published")
        if not evaluate_every:
            raise InputError(f"{where}: published: the scores were chosen along the way: give the key 'evaluate_every'")
    return evaluate_every, published


def _benchmarks(content: Mapping[str, Any], included: list[Study], path: Path) -> list[str]:
    """The benchmarks; where the study names none, those of the included studies."""
    where = f"{path}: benchmarks"
    if "benchmarks" not in content:
        joined = list(dict.fromkeys(name for study in included for name in study.benchmarks))
        if not joined:
            raise InputError(f"{path}: the key 'benchmarks' is missing")
        return joined
    benchmarks = list(resolve_benchmarks(content["benchmarks"], where))
    for name in benchmarks:
        named_inputs.check_benchmark(name, where)
    return benchmarks


def _graders(content: Mapping[str, Any], included: list[Study], path: Path) -> list[str]:
    names = content.get("graders") or ["entrobench", *(name for study in included for name in study.graders)]
    for name in names:
        if name not in GRADERS:
            raise unknown("grader", name, GRADERS, f"{path}: graders")
    if GRADERS[0] not in names:
        raise InputError(f"{path}: graders: {GRADERS[0]} is missing: it gives the scores that are compared")
    return [name for name in GRADERS if name in names]


def _datasets(
    runs: list[Run], base_models: Mapping[str, Recipe], benchmarks: Iterable[str], found: Recipes
) -> dict[str, Recipe]:
    """All data that any step reads: training, base models and benchmarks."""
    names = [run.dataset for run in runs]
    names += [dataset for model in base_models.values() for dataset in model.datasets]
    names += [named_inputs.benchmark_split(benchmark)[0] for benchmark in benchmarks]
    return {name: found.dataset(name) for name in dict.fromkeys(names)}


def _warnings(runs: list[Run], path: Path) -> list[str]:
    """Name the methods that do nothing because their setting makes one update per step."""
    idle = {
        run.method
        for run in runs
        if run.config.trainer.updates * run.config.trainer.epochs == 1
        and variants.inert_on_policy(run.config.method.use)
    }
    one_update = "makes one update per step, where policy and sampling policy agree"
    return [f"{path}: {method} does nothing here: trainer.updates 1 {one_update}" for method in sorted(idle)]
