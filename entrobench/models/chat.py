"""Chat templates: what a model's recipe says of its template, and the prompt that comes of it.

What the recipe says is written into the template itself, so that it travels with the tokenizer from the base model to
every run and snapshot. A template that asks for the date gets the recipe's: the clock is no input of a run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from entrobench.config import setting
from entrobench.errors import InputError, unknown
from entrobench.json_lines import read_json

CLOCK = re.compile(r"strftime_now\s*\(")  # how templates ask for the date (Llama 3.1 and its like)
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja")
CALL = re.compile(r"""strftime_now\s*\(\s*(["'])(.*?)\1\s*\)""")


@dataclass(frozen=True)
class Chat:
    """The key `chat` of a base model's recipe."""

    template: str | None = setting(None, source="null: the default; the name of one of the tokenizer's templates")
    arguments: dict[str, Any] = setting({}, source="the template's own: enable_thinking, …")
    date: str | None = setting(None, source="YYYY-MM-DD, which a template that asks for the date is told")
    plain: bool = setting(False, source="true: prompts are the begin token and plain text, without chat template")

    def __post_init__(self) -> None:
        if self.plain and (self.template or self.arguments or self.date):
            raise ValueError("plain: prompts without chat template take no template, arguments or date")
        for name in self.arguments:
            if not str(name).isidentifier():
                raise ValueError(f"arguments: {name!r} cannot name a template's argument")
        if self.date is not None:
            date.fromisoformat(self.date)


def write_template(tokenizer: Any, chat: Chat, folder: Path, where: str) -> None:
    """Write the template, with what the recipe says of it, as <folder>/chat_template.jinja.

    Raises InputError where the tokenizer has no template, or none of that name.
    """
    known = tokenizer.chat_template
    if not known:
        raise InputError(f"{where}: chat: the model's tokenizer has no chat template")
    named = known if isinstance(known, dict) else {"default": known}
    name = chat.template or "default"
    if name not in named:
        raise unknown("template", name, named, f"{where}: chat")
    text = named[name]
    if chat.date is not None:
        day = date.fromisoformat(chat.date)
        text = CALL.sub(lambda call: json.dumps(day.strftime(call[2])), text)
    arguments = [f"{{%- set {key} = {_jinja(value)} %}}" for key, value in chat.arguments.items()]
    path = folder / "chat_template.jinja"
    path.unlink(missing_ok=True)  # a link to the user's own file
    path.write_text("".join(arguments) + text, encoding="utf-8")


def drop_template(folder: Path) -> None:
    """Take every chat template out of a model folder that may link to a user's own files."""
    for place in TEMPLATE_FILES:
        for path in folder.glob(place):
            path.unlink()
    config = folder / "tokenizer_config.json"
    values = read_json(config) if config.exists() else {}
    if values.pop("chat_template", None):
        config.unlink()
        config.write_text(json.dumps(values, indent=2) + "\n")


def _jinja(value: Any) -> str:
    """A YAML value as Jinja has it."""
    return "none" if value is None else json.dumps(value)  # its true, false, numbers, texts and lists are JSON's


def refuse_clock(template: Any, folder: Path) -> None:
    """Raise InputError where a template reads the clock: the same run would have other prompts on another day."""
    texts = template.values() if isinstance(template, dict) else [template or ""]
    if any(CLOCK.search(text) for text in texts):
        cure = "add `chat: {date: 2024-07-26}` (the day it is to name) to the model's recipe in config/models"
        raise InputError(f"{folder}: the chat template asks for today's date (strftime_now); {cure}")


def chat_prompt(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a prompt in the model's chat template. Raises InputError, one line, where the template fails."""
    from jinja2 import TemplateError

    message = [{"role": "user", "content": text}]
    try:
        encoded = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=True, return_dict=True)
    except (TemplateError, TypeError) as error:
        raise InputError(f"{tokenizer.name_or_path}: the chat template fails: {error}") from error
    return list(encoded["input_ids"])
