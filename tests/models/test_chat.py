"""Chat templates: arguments and date of the recipe travel with the tokenizer; the clock is never an input."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tiny import save_tiny

from entrobench.config import parse
from entrobench.errors import InputError
from entrobench.models.base_model import make
from entrobench.models.chat import Chat
from entrobench.models.language_model import encode_prompt, load_tokenizer
from entrobench.models.model_recipes import MODELS_VARIABLE, check_spec

DATED = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{{ date_string }}"
)
THINKING = "{{ messages[0].content }}{% if enable_thinking %} ; <think>{% endif %}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    return save_tiny(tmp_path / "own")


def made(folder: Path, text: str, **chat: Any) -> Any:
    """The tokenizer of the base model made of `folder` with this template and the recipe's key `chat`."""
    (folder / "chat_template.jinja").write_text(text)
    target = folder.parent / "made"
    make("own", {"kind": "folder", "path": "own", "chat": chat}, target, {})
    return load_tokenizer(target)


def rendered(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of a prompt, whatever the vocabulary."""
    texts: list[str] = []
    kind = type(tokenizer)
    monkeypatch.setattr(kind, "__call__", lambda self, text, **_: texts.append(text) or {"input_ids": [1]})
    encode_prompt(tokenizer, "2 + 2")
    return texts[0] if isinstance(texts[0], str) else texts[0][0]


def test_a_template_that_reads_the_clock_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"asks for today's date \(strftime_now\); add `chat: \{date: ") as caught:
        made(folder, DATED)
    assert "\n" not in str(caught.value)


def test_the_recipes_date_is_what_the_template_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = made(folder, DATED, date="2024-07-26")
    assert rendered(tokenizer, monkeypatch) == "26 Jul 2024"
    assert datetime.now().strftime("%d %b %Y") != "26 Jul 2024"


def test_the_date_survives_saving(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder, DATED, date="2024-07-26").save_pretrained(tmp_path / "final")
    (tmp_path / "final" / "config.json").write_bytes((folder / "config.json").read_bytes())
    assert rendered(load_tokenizer(tmp_path / "final"), monkeypatch) == "26 Jul 2024"


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (0, "0"), (True, "True"), (None, "None"), ([1, "a"], "[1, 'a']")]
)
def test_numbers_are_no_truth_values(folder: Path, monkeypatch: pytest.MonkeyPatch, value: Any, text: str) -> None:
    assert rendered(made(folder, "{{ depth }}", arguments={"depth": value}), monkeypatch) == text


@pytest.mark.parametrize(("value", "end"), [(True, " ; <think>"), (False, "")])
def test_arguments_reach_the_template(folder: Path, monkeypatch: pytest.MonkeyPatch, value: bool, end: str) -> None:
    tokenizer = made(folder, THINKING, arguments={"enable_thinking": value})
    assert rendered(tokenizer, monkeypatch) == f"2 + 2{end}"


def test_the_users_own_template_is_not_changed(folder: Path) -> None:
    made(folder, THINKING, arguments={"enable_thinking": True})
    assert (folder / "chat_template.jinja").read_text() == THINKING


def test_an_error_of_the_template_is_one_line(folder: Path) -> None:
    tokenizer = made(folder, "{{ raise_exception('only one system message') }}")
    with pytest.raises(InputError, match="the chat template fails: only one system message"):
        encode_prompt(tokenizer, "2 + 2")


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ({"arguments": {"not a name": 1}}, "chat: arguments: 'not a name' cannot name"),
        ({"date": "26 July"}, "chat: Invalid isoformat string"),
        ({"dates": "2024-07-26"}, "chat: unknown key 'dates' .*did you mean 'date'"),
    ],
)
def test_wrong_keys_are_refused_when_the_recipe_is_read(folder: Path, chat: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_spec("own", {"kind": "folder", "path": "own", "chat": chat}, "config/models/own.yaml")


def test_an_unknown_template_name_is_told_with_the_nearest(folder: Path) -> None:
    with pytest.raises(InputError, match=r"unknown template 'defalt' .*did you mean 'default'"):
        made(folder, THINKING, template="defalt")


def test_a_recipe_without_chat_is_parsed_to_the_neutral_settings() -> None:
    assert parse(Chat, {}, "here") == Chat(None, {}, None)
