"""The commands that look at a base model and a task before a study is run on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entrobench.errors import InputError
from entrobench.results import RESULTS

BaseModel = Annotated[
    Path, typer.Argument(metavar="MODEL", help="a made base model's name, or the folder of any model")
]


def calibrate(
    model: BaseModel,
    dataset: Annotated[str, typer.Argument(help="a prepared dataset; its validation split is asked, else test")],
    problems: Annotated[int, typer.Option(help="how many")] = 48,
    draws: Annotated[int, typer.Option(help="answers to each")] = 16,
    temperature: Annotated[float, typer.Option(help="of sampling")] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="of an answer")] = 32,
    reward: Annotated[str, typer.Option(help="what is right: a name of trainer.reward")] = "entrobench",
    output: Annotated[Path | None, typer.Option(help="folder that gets the table as .md and .json")] = None,
) -> None:
    """Say whether a base model and a dataset can show anything, and which settings to try. A minute or two on a CPU.

    Prints pass@1, pass@k, the share of mixed groups, entropy and lengths of the model's own answers.

    Example: entrobench calibrate chain-qwen chain2
    """
    from entrobench.config import parse
    from entrobench.evaluation.report import calibration
    from entrobench.evaluation.tables.table_formats import show
    from entrobench.models.base_model import found_model
    from entrobench.studies.named_inputs import load_dataset, reward_code

    where = "entrobench calibrate"
    recipe = load_dataset(dataset, where)
    values = {"problems": problems, "draws": draws, "temperature": temperature}
    settings = parse(calibration.CalibrationSettings, {**values, "max_tokens": max_tokens, "reward": reward}, where)
    reward_code(reward, Path(), where)
    folder, data = found_model(model, where), RESULTS.data(dataset)
    if not data.manifest.is_file():
        raise InputError(f"{where}: {data.folder} is not there: run `entrobench prepare-data {dataset}` first")
    found = calibration.calibrate(folder, data.folder, recipe.prompt, settings)
    show([calibration.as_table(found, folder.name, dataset)])
    print("\n".join(calibration.advice(found)))
    if output is not None:
        for path in calibration.write(found, settings, folder.name, dataset, output):
            print(f"wrote {path}")


def accept_task(
    model: Annotated[Path, typer.Argument(help="folder of an untrained base model", exists=True, file_okay=False)],
    dataset: Annotated[str, typer.Argument(help="a prepared chain dataset; its validation split is asked")],
    problems: Annotated[int, typer.Option(min=1, help="how many problems")] = 200,
    write: Annotated[str, typer.Option(metavar="STUDY", help="add it to results/reference/STUDY/acceptance.csv")] = "",
) -> None:
    """Say whether exploration matters in a task to a base model: verified pass@1, pass@64 and mixed groups.

    Judges the untrained model alone, so that no method's result can choose the task. Exits with 1 if it is refused.

    Example: entrobench accept-task results/models/misled-qwen chain2 --write quickstart
    """
    from entrobench.evaluation.report.acceptance import measure, record

    found = measure(model, dataset, RESULTS.data_root, problems)
    print("\n".join(found.lines))
    if write:
        print(f"wrote {record(found, model, dataset, RESULTS.reference(write).folder)}")
    raise typer.Exit(0 if found.accepted else 1)
