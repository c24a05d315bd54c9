"""The commands of the theory: synthetic processes, and the laws on models and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entrobench.results import RESULTS

FOLDER = RESULTS.study("theory").folder  # where laws are collected for the page of the study `theory`


def theory(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="name or path, of kind theory")] = "theory",
) -> None:
    """Compute a study of synthetic decision processes: its tables, figures and report.html. Some minutes, no GPU.

    Example: entrobench theory theory
    """
    from entrobench.evaluation.report.theory_report import run_theory
    from entrobench.theory.study import load

    loaded = load(study)
    page = run_theory(loaded)
    print(loaded.files.findings.read_text() + f"wrote {page}, {loaded.files.table('md')}, .csv, .tex")


def clamp_law(
    model: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="folder of a model")],
    prompts: Annotated[Path, typer.Argument(help="parquet with a column problem, or a text file, one prompt per line")],
    clamp: Annotated[list[float] | None, typer.Option(help="p, several times")] = None,
    answers: Annotated[int, typer.Option(help="per prompt")] = 4,
    count: Annotated[int, typer.Option("--prompts", help="how many prompts, from the first")] = 64,
    max_tokens: Annotated[int, typer.Option(help="of an answer")] = 128,
    temperature: Annotated[float, typer.Option(help="of sampling, and of the logits looked at")] = 1.0,
    seed: int = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    bfloat16: Annotated[bool, typer.Option("--bfloat16", help="also a copy in bfloat16, on the same answers")] = False,
    output: Annotated[Path, typer.Option(help="results folder whose report shows it")] = FOLDER,
) -> None:
    """Measure on a model's own answers what a clamp takes: removed mass, entropies, and the two gradients.

    Over all tokens, by their entropy and by their position: tables in OUTPUT/laws, and a figure.

    Example: entrobench clamp-law results/models/chain-qwen results/data/chain2/test.parquet
    """
    from entrobench.config import parse
    from entrobench.evaluation.figures.clamp_figure import write_clamp_figure
    from entrobench.evaluation.tables.law_tables import write_law
    from entrobench.theory import on_models

    values = {
        "answers": answers,
        "prompts": count,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        "device": device,
        "bfloat16": bfloat16,
    }
    settings = parse(on_models.ClampLaw, values | ({"clamps": clamp} if clamp else {}), "entrobench clamp-law")
    tokens = on_models.measure(model, on_models.read_prompts(prompts, settings.prompts), settings)
    name = f"clamp-{model.name}"
    print(f"wrote {write_law(on_models.overall(tokens), output, name)}")
    for column in ("entropy", "position"):
        print(f"wrote {write_law(on_models.by_part(tokens, column), output, f'{name}-by-{column}')}")
    for path in write_clamp_figure(output, name):
        print(f"wrote {path}")


def reward_law(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="results folder of a finished study")],
    output: Annotated[Path, typer.Option(help="results folder whose report shows it")] = FOLDER,
) -> None:
    """Fit R = −a·e^H + b to every run of a study, with intervals, and say where it fails.

    Example: entrobench reward-law results/quickstart
    """
    from entrobench.evaluation.tables.law_tables import write_law
    from entrobench.theory.reward_law import fit_runs

    rows = fit_runs(folder)
    print(f"wrote {write_law(rows, output, f'reward-{folder.name}')}")


def track_theory(study: str, database: Path, rebuild: bool) -> None:
    """Project a finished study of kind theory into MLflow."""
    from entrobench.errors import InputError
    from entrobench.theory.study import load
    from entrobench.tracking.experiments import project
    from entrobench.tracking.theory_runs import theory_runs

    loaded = load(study)
    if not loaded.files.provenance.is_file():
        raise InputError(f"entrobench track: {loaded.folder} is not computed yet; run `entrobench theory {study}`")
    described = theory_runs(loaded, loaded.folder)
    project(loaded.name, loaded.description, described, loaded.folder, database, rebuild)
