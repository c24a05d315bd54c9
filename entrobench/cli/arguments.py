"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False)]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
StudyName = Annotated[
    str, typer.Argument(metavar="STUDY", help="name in config/studies, or path of a YAML file; NAME@0-9: other seeds")
]
Tuning = Annotated[bool, typer.Option("--tuning", help="of the study's trials of tuned values")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
