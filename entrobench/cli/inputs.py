"""The commands that make what training and evaluation read: prepared data and base models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entrobench.errors import InputError
from entrobench.results import RESULTS


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


def base_model(name: Annotated[str, typer.Argument(help="name in config/models")]) -> None:
    """Make or fetch a base model into results/models/NAME.

    Example: entrobench base-model chain-qwen
    """
    from entrobench.models import base_model
    from entrobench.provenance import cost_so_far
    from entrobench.studies import named_inputs

    recipe = named_inputs.load_model(name, "entrobench base-model")
    data = {dataset: RESULTS.data(dataset).folder for dataset in recipe.datasets}
    base_model.make(name, recipe.spec, RESULTS.model(name).folder, data)
    print(cost_so_far())


def pin(name: Annotated[str, typer.Argument(metavar="NAME", help="a study, a base model or a dataset")]) -> None:
    """Fetch what NAME takes from the hub and write revision, SHA-256 and size of every file into its recipes.

    Needs the network, once; recipes that are pinned are only fetched. Example: entrobench pin paper
    """
    from entrobench.data import fetch
    from entrobench.studies import pin

    for item in pin.wanted(name):
        fetch.fetch(item.source if item.source.pinned else pin.pin(item))


def new_dataset(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".jsonl or .parquet in the folder ENTROBENCH_DATA")],
    name: Annotated[str, typer.Option(help="of the dataset (default: the file's)")] = "",
    problem: Annotated[str, typer.Option(help="column with the problem's text")] = "problem",
    answer: Annotated[str, typer.Option(help="column with the right answer")] = "answer",
    split: Annotated[str, typer.Option(help="train, validation or test")] = "test",
) -> None:
    """Make a file of problems a dataset: its rows checked, its recipe written and, for test rows, a benchmark.

    Example: ENTROBENCH_DATA=data entrobench new-dataset data/mine.jsonl --problem question --answer solution
    """
    from entrobench.scaffold.new_dataset import new_dataset

    print(new_dataset(file, name or file.stem.replace("-", "_"), problem, answer, split).text)
