"""`entrobench train`, whose options are the fields of `Hardware`: names, types, defaults and help are said there."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from entrobench.config import Hardware, parse
from entrobench.distributed import launch
from entrobench.results import RESULTS

from .arguments import Folder


def hardware_options() -> Iterator[inspect.Parameter]:
    """A parameter of a command for each field of `Hardware`."""
    hints = typing.get_type_hints(Hardware)
    for field in dataclasses.fields(Hardware):
        hint: Any = hints[field.name]
        name = launch.option(field.name)
        names = f"{name}/{launch.option('no_' + field.name)}" if hint is bool else name
        default = None if field.default is dataclasses.MISSING else field.default  # a list: its option may be left out
        kind = Annotated[hint, typer.Option(names, help=field.metadata["help"])]
        yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def with_hardware_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes `folder` and `**settings` have an option for each field of `Hardware`."""
    parameters = [inspect.Parameter("folder", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Folder)]
    parameters += hardware_options()
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


@with_hardware_options
def train(folder: Folder, **settings: Any) -> None:
    """Train the run whose config.json lies in FOLDER; resume it if it was interrupted.

    Examples: entrobench train results/quickstart/runs/chain-qwen/chain2/aent/seed0; on several machines:
    accelerate launch --num_machines 2 … -m entrobench.cli.main train FOLDER
    """
    from entrobench.run_config import read_config
    from entrobench.studies.named_inputs import refuse_changed
    from entrobench.studies.reuse import reuse_finished_run

    given = {name: value for name, value in settings.items() if value is not None}
    config, hardware = read_config(folder), parse(Hardware, given, "entrobench train")
    refuse_changed(config, f"{folder}/config.json")
    launch.check_processes(launch.processes(hardware), config.trainer, str(folder))
    kept = hardware.snapshot_every, hardware.snapshot_last
    if not launch.launched() and (source := reuse_finished_run(config, folder, *kept)):
        print(f"{folder}: the same run is finished in {source}; taken from there")
        return
    if hardware.processes > 1 and not launch.launched():
        raise typer.Exit(launch.run(folder, hardware))
    from entrobench.evaluation.grading.rewards import reward_function
    from entrobench.provenance import cost_so_far
    from entrobench.studies.decontamination import training_folder
    from entrobench.training import refusals, trainer

    model, data = RESULTS.model(config.model.name).folder, training_folder(RESULTS.data_root, config.dataset)
    refusals.check_machine(config, folder, model, hardware)
    trainer.train(config, folder, model, data, hardware, reward_function(config.trainer.reward))
    print(cost_so_far())
