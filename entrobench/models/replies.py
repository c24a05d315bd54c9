"""The text of a reply: the tokens that were sampled, after what the prompt itself had begun of the reply.

Where the prompt ends inside the thinking part, because its template or the data's prompt opens it, the reply starts
with that opening tag. So whoever reads the reply, a reward, a grader or a person, sees where thinking ends, or that it
does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from entrobench.evaluation.grading.reading.thinking import MARKS, left_open

LONGEST_TAG = 64  # tokens, ours; where every character is a token, the longest tag that we know has 17


def reply_text(tokenizer: Any, prompt: Sequence[int], tokens: Sequence[int]) -> str:
    """The whole reply to a prompt."""
    return begun(tokenizer, prompt) + decode(tokenizer, tokens)


def begun(tokenizer: Any, prompt: Sequence[int]) -> str:
    """What the prompt begins of the reply: the tag that opens the thinking part, "" where the prompt ends with none."""
    return left_open(str(tokenizer.decode(list(prompt)[-LONGEST_TAG:], skip_special_tokens=False)))


def decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Text of sampled tokens without special ones, those apart that mark thinking parts."""
    marks, others = _special(tokenizer)
    kept = tokens if marks.isdisjoint(tokens) else [token for token in tokens if token not in others]
    # without "cleaning", which some tokenizers ask for and some versions of transformers do, and which moves spaces
    return str(tokenizer.decode(kept, skip_special_tokens=kept is tokens, clean_up_tokenization_spaces=False))


@cache
def _special(tokenizer: Any) -> tuple[frozenset[int], frozenset[int]]:
    """The numbers of the special tokens that mark thinking parts, and those of all others."""
    special = {n: token.content for n, token in tokenizer.added_tokens_decoder.items() if token.special}
    marks = frozenset(number for number, text in special.items() if MARKS.fullmatch(text))
    return marks, frozenset(special) - marks
