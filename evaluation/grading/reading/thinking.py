"""What a reply says aloud: the text outside of its thinking parts, whatever tags mark them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAMES = (
    r"(?:seed:|antml:)?(?:think|thinking|thoughts?|thought_process|reasoning|reflection|scratchpad|inner_monologue"
    r"|analysis|chain_of_thought|cot|planning|internal|draft|scratch|notes?|workings?|brainstorm(?:ing)?|deliberation|rationale)"
)
_OPENING = (
    rf"(?:<|&lt;)\s*{_NAMES}(?:\s[^<>&]*)?(?:>|&gt;)|\[think(?:ing)?\]|◁think▷|<\|(?:begin_of_thought|think|begin_think|start_thinking)\|>|<\|im_start\|>\s*think\b"
    r"|<\|channel\|>\s*(?:analysis|commentary|thought)[^<]*<\|message\|>|<unused94>"
)
_CLOSING = (
    rf"(?:<|&lt;)\s*/\s*{_NAMES}\s*(?:>|&gt;)|\[/think(?:ing)?\]|◁/think▷|<\|(?:end_of_thought|/think|end_think|end_thinking)\|>|<\|im_start\|>\s*answer\b"
    r"|<\|channel\|>\s*final[^<]*<\|message\|>|<unused95>"
)
_TAG_START = re.compile(r"[<&\[◁]")  # of all tags: looking for one character is ten times faster
_TAG = re.compile(rf"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})", re.IGNORECASE)
_LEFT_OPEN = re.compile(rf"(?:{_OPENING})\s*\Z", re.IGNORECASE)
# Tags, or parts of them, that tokenizers declare special, so that decoding drops them.
MARKS = re.compile(
    r"\[/?THINK\]|◁/?think▷|</?think>|<\|[a-z_]*(?:think(?:ing)?|thought|channel|message)\|>|<unused9[45]>"
)


def left_open(text: str) -> str:
    """The opening tag that a text ends with, white space apart; "" where there is none.

    >>> left_open("Assistant: <think>\\n"), left_open("<think></think>")
    ('<think>', '')
    """
    found = _LEFT_OPEN.search(text)
    return found[0].strip() if found else ""


def spoken(text: str, prompt_opens_thinking: bool = False) -> str | None:
    """The text outside of thinking parts, None where the reply ends (or was cut) inside one and said nothing.

    A closing tag without an opening one ends a part that the prompt opened. With `prompt_opens_thinking` the reply
    starts inside a part, so that a reply without a closing tag says nothing.
    """
    parts = spoken_parts(text, prompt_opens_thinking)
    said = [text[start:end] for start, end in parts]
    whole = "\n".join(said) if len(said) > 1 else "".join(said)
    thinking = not parts or parts[-1][1] < len(text)
    return None if thinking and not whole.strip() else whole


def _tags(text: str) -> Iterator[re.Match[str]]:
    """All tags, in order."""
    end = 0
    for start in _TAG_START.finditer(text):
        if start.start() >= end and (tag := _TAG.match(text, start.start())) is not None:
            end = tag.end()
            yield tag


def spoken_parts(text: str, prompt_opens_thinking: bool = False) -> list[tuple[int, int]]:
    """(start, end) of what `spoken` joins, in order; the last one ends with the text unless it ends while thinking."""
    parts: list[tuple[int, int]] = []
    thinking, place = prompt_opens_thinking, 0
    for tag in _tags(text):
        if tag["closing"] is not None:
            if not thinking:
                parts.clear()
            thinking = False
        elif not thinking:
            parts.append((place, tag.start()))
            thinking = True
        place = tag.end()
    return parts if thinking else [*parts, (place, len(text))]
