"""The commands that make one thing of a study each: settings, data, a base model, a trained run, its answers.

These are what the pipeline's rules call; `entrobench.cli.main` adds them to the command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entrobench.errors import InputError
from entrobench.results import RESULTS

jobs = typer.Typer()

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False)]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="name in config/studies, or path of a YAML file")]
Tuning = Annotated[bool, typer.Option("--tuning", help="of the study's trials of tuned values")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]


@jobs.command()
def train(
    folder: Folder,
    device: Device = "auto",
    micro_batch: Annotated[int, typer.Option(help="sequences per forward; never changes a result")] = 128,
    head_chunk: Annotated[int, typer.Option(help="tokens per chunk of the output layer")] = 4096,
    rollout_rows: Annotated[int, typer.Option(help="answers decoded side by side")] = 256,
    checkpoint_every: Annotated[int, typer.Option(help="steps")] = 20,
    clamp_diagnostics: Annotated[list[float] | None, typer.Option(help="log what clamping at p would change")] = None,
    micro_batch_tokens: Annotated[int, typer.Option(help="tokens with padding per forward; 0: no limit")] = 0,
    activation_checkpointing: Annotated[bool, typer.Option(help="recompute each layer in the backward pass")] = False,
    processes: Annotated[int, typer.Option(help="processes on this machine, one device each")] = 1,
    weights: Annotated[str, typer.Option(help="whole, or sharded: layers cut among the processes")] = "whole",
    engine_memory: Annotated[float, typer.Option(help="share of a GPU that vLLM takes")] = 0.3,
    engine_devices: Annotated[int, typer.Option(help="GPUs among which vLLM cuts each layer")] = 1,
    engine_resident: Annotated[bool, typer.Option(help="vLLM keeps its memory during updates")] = False,
    engine_address: Annotated[str, typer.Option(help="of the vLLM server")] = "http://127.0.0.1:8000",
    snapshot_every: Annotated[int, typer.Option(help="steps between weights kept for evaluation; 0: none")] = 0,
) -> None:
    """Train the run whose config.json lies in FOLDER; resume it if it was interrupted.

    Examples: entrobench train results/quickstart/runs/chain-qwen/chain2/aent/seed0; on several machines:
    accelerate launch --num_machines 2 … -m entrobench.cli.main train FOLDER
    """
    from entrobench.config import Hardware, TrainerConfig, parse
    from entrobench.distributed import launch
    from entrobench.studies.lock import read_config
    from entrobench.studies.reuse import reuse_finished_run

    settings = {
        "device": device,
        "micro_batch": micro_batch,
        "head_chunk": head_chunk,
        "rollout_rows": rollout_rows,
        "checkpoint_every": checkpoint_every,
        "clamp_diagnostics": clamp_diagnostics or [],
        "micro_batch_tokens": micro_batch_tokens,
        "activation_checkpointing": activation_checkpointing,
        "processes": processes,
        "weights": weights,
        "engine_memory": engine_memory,
        "engine_devices": engine_devices,
        "engine_resident": engine_resident,
        "engine_address": engine_address,
        "snapshot_every": snapshot_every,
    }
    config, hardware = read_config(folder), parse(Hardware, settings, "entrobench train")
    launch.check_processes(hardware.processes, parse(TrainerConfig, config["trainer"], str(folder)), str(folder))
    if not launch.launched() and (source := reuse_finished_run(config, folder, hardware.snapshot_every)):
        print(f"{folder}: the same run is finished in {source}; taken from there")
        return
    if hardware.processes > 1 and not launch.launched():
        raise typer.Exit(launch.run(folder, hardware))
    from entrobench.evaluation.grading.rewards import reward_function
    from entrobench.studies.decontamination import training_folder
    from entrobench.training import trainer

    model = RESULTS.model(config["model"]["name"]).folder
    data = training_folder(RESULTS.data_root, config["dataset"])
    trainer.train(config, folder, model, data, hardware, reward_function(config["trainer"]["reward"]))


@jobs.command()
def generate(
    model_folder: Folder,
    evaluation: File,
    output: Annotated[Path, typer.Argument(help="folder that gets generations/<benchmark>.jsonl.zst")],
    device: Device = "auto",
) -> None:
    """Sample the answers of the model in MODEL_FOLDER to all benchmarks that EVALUATION (evaluation.json) names.

    Example: entrobench generate results/models/chain-qwen results/quickstart/evaluation.json
    results/quickstart/base/chain-qwen
    """
    import json

    from entrobench.evaluation.benchmarks.generate import generate

    generate(model_folder, json.loads(evaluation.read_text()), RESULTS.data_root, output, device)


@jobs.command()
def lock(
    study: StudyName,
    run: Annotated[str, typer.Argument(help="model/dataset/method/seed<k>")],
    replace: Annotated[bool, typer.Option("--replace", help="delete checkpoints of another config")] = False,
    tuning: Tuning = False,
) -> None:
    """Write the resolved config.json of one run.

    Example: entrobench lock quickstart chain-qwen/chain2/aent/seed0
    """
    from entrobench.studies.lock import lock_run
    from entrobench.studies.study import load_part

    lock_run(load_part(study, tuning).run(run), replace)


@jobs.command("lock-evaluation")
def lock_evaluation(
    study: StudyName,
    only: Annotated[str | None, typer.Option(metavar="FILE", help="one of several, by its name")] = None,
    tuning: Tuning = False,
) -> None:
    """Write a study's evaluation.json; or evaluation-<base model>.json of each, where they are sampled differently.

    Example: entrobench lock-evaluation quickstart
    """
    from entrobench.studies.lock import lock_evaluation
    from entrobench.studies.study import load_part

    lock_evaluation(load_part(study, tuning), only)


@jobs.command("base-model")
def base_model(name: Annotated[str, typer.Argument(help="name in config/models")]) -> None:
    """Make or fetch a base model into results/models/NAME.

    Example: entrobench base-model chain-qwen
    """
    from entrobench.models import base_model
    from entrobench.studies import named_inputs

    recipe = named_inputs.load_model(name, "entrobench base-model")
    data = {dataset: RESULTS.data(dataset).folder for dataset in recipe.datasets}
    base_model.make(name, recipe.spec, RESULTS.model(name).folder, data)


@jobs.command("prepare-data")
def prepare_data(
    name: Annotated[str, typer.Argument(help="name in config/datasets, or a benchmark that is a task of lm-eval")],
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="DATASET/SPLIT", help="only write the training rows that match no row there"),
    ] = None,
) -> None:
    """Write results/data/NAME: parquet splits and a manifest; or its training rows without those of benchmarks.

    Examples: entrobench prepare-data chain2; entrobench prepare-data gsm8k --without gsm8k/test --without math500/test
    """
    from entrobench.data import datasets
    from entrobench.studies import decontamination, named_inputs

    where = "entrobench prepare-data"
    recipe = named_inputs.load_dataset(name, where)
    if not without:
        datasets.prepare(name, recipe.spec, RESULTS.data(name).folder)
        return
    places = [(named_inputs.load_dataset(place.split("/")[0], where), place.partition("/")[2]) for place in without]
    compared = decontamination.compared_with(recipe, places)
    if not compared:
        raise InputError(f"{where}: no row of {name} can match one of {', '.join(without)}")
    found = decontamination.decontaminate(name, compared, RESULTS.data_root)["decontamination"]
    print(f"{found['matching']} of {found['rows']} training rows match: {decontamination.RULE}")
