"""What a reply says aloud: the text outside of its thinking parts, whatever tags mark them."""

from __future__ import annotations

import re

_NAMES = (
    r"(?:seed:|antml:)?(?:think|thinking|thoughts?|thought_process|reasoning|reflection|scratchpad|inner_monologue"
    r"|analysis|chain_of_thought|cot|planning|internal|draft)"
)
_OPENING = (
    rf"<{_NAMES}>|\[think(?:ing)?\]|◁think▷|<\|(?:begin_of_thought|think|begin_think|start_thinking)\|>|<\|im_start\|>\s*think\b"
    r"|<\|channel\|>\s*(?:analysis|commentary|thought)[^<]*<\|message\|>|<unused94>"
)
_CLOSING = (
    rf"</{_NAMES}>|\[/think(?:ing)?\]|◁/think▷|<\|(?:end_of_thought|/think|end_think|end_thinking)\|>|<\|im_start\|>\s*answer\b"
    r"|<\|channel\|>\s*final[^<]*<\|message\|>|<unused95>"
)
_TAG = re.compile(rf"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})", re.IGNORECASE)


def spoken(text: str, prompt_opens_thinking: bool = False) -> str | None:
    """The text outside of thinking parts, None where the reply ends (or was cut) inside one and said nothing.

    A closing tag without an opening one ends a part that the prompt opened. With `prompt_opens_thinking` the reply
    starts inside a part, so that a reply without a closing tag says nothing.
    """
    said: list[str] = []
    thinking, place = prompt_opens_thinking, 0
    for tag in _TAG.finditer(text):
        if tag["closing"] is not None:
            if not thinking:
                said.clear()
            thinking = False
        elif not thinking:
            said.append(text[place : tag.start()])
            thinking = True
        place = tag.end()
    if not thinking:
        said.append(text[place:])
    whole = "\n".join(said) if len(said) > 1 else "".join(said)
    return None if thinking and not whole.strip() else whole
