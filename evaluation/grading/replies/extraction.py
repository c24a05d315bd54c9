"""Finds the final answer of a reply: the last closed box, else what its last sentence states in known words.

Runs in the caller; linear in the length of the reply, of which only the last 64 KB are read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from entrobench.evaluation.grading.reading.scanning import shorten_spaces
from entrobench.evaluation.grading.reading.thinking import spoken

from .boxes import BOX, end_of_boxes, last_boxed, window
from .follow_ups import explains, leaves_as_it_is
from .other_languages import stated_elsewhere
from .prose import DOMAIN, is_prose
from .sentences import Sentences, sentences_of
from .statements import Statement, statement_of
from .values import values_of

_JSON_ANSWER = re.compile(
    r"""^(?:```(?:json)?\s*)?\{[\s\S]*["'](?:final_?)?answer["']\s*:\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|-?\d+(?:\.\d+)?)\s*[,}][\s\S]*$""",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:I hope (?:it|this) is correct\.?|<\|[a-z_]+\|>.*|</?answer>|</s>)\s*", re.DOTALL | re.IGNORECASE
)
_ROLE = re.compile(
    r"^\s*(?:<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<\|im_start\|>\s*assistant|<\|assistant\|>"
    r"|<start_of_turn>\s*model|analysis(?=[A-Z])[\s\S]*assistantfinal)\s*"
)
_TAGGED = re.compile(
    r"<(?P<name>final_?answer|answer|output|result|final|response"
    r"|solution)>\s*(?P<said>(?:(?!<(?P=name)>).)*?)\s*</(?P=name)>",
    re.DOTALL | re.IGNORECASE,
)

_QUALIFIER = re.compile(r"\s*[,;]?\s*\b(?:where|for (?:all|any|every|some)|such that)\b")
_LEADING_CHOICE = re.compile(
    r"\(?([A-H])\)?\s*(?:[-–—:]\s+(?!(?:not|no|wrong|incorrect|false|is)\b)[a-z]{2,}|,?\s*\b(?:because|since)\b)"
)
_CONNECTIVE = re.compile(r"^(?:therefore|thus|hence|so|then|finally)\b[,:]?\s*", re.IGNORECASE)
_SINCE = re.compile(r"(?<=\$),?\s+(?:since|because)\b.*$", re.DOTALL)
_GSM = re.compile(r"####\s*([^\n]*\S)[^\S\n]*(?:\Z|\n)")
_CHOICE = re.compile(r"\(?[A-H]\)?")
_LATER_FORMULA = re.compile(
    r"\bfinal answer\b[^$\n]{0,40}?\bis:?\s*\$([^$\n]+)\$\.?(?=\s*(?:\Z|\n|I hope))", re.IGNORECASE
)
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
_LABELLED = re.compile(r"(?:[^\W\d_]{2,}\s*:\s*[^,;:]+(?:[,;]\s*|\s+and\s+|$)){2,}")  # Tom: 3, Ann: 4


_CHOICE_LINE = re.compile(
    r"(?:^|\n)[*\s]*(?:final\s+|correct\s+)?(?:answer|option|choice)\s*(?:is|:)*\s*[*\s]*\(?([A-H])\)?[*.\s]*(?=\n"
    r"|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Extraction:
    """The answer found ("" when none) and the name of the rule that found it."""

    answer: str
    rule: str
    choice: str = ""  # the letter stated after a box


def extract(text: str, strict_box: bool = False, prompt_opens_thinking: bool = False) -> Extraction:
    """Find the final answer of a reply or of a bare answer; with `strict_box` only a closed box counts.

    A reply whose last box never closes was cut off: it has no answer, for that box retracts the earlier ones.
    With `prompt_opens_thinking` the prompt's template ended inside the thinking part, which the reply has to close.
    """
    said = spoken(text, prompt_opens_thinking)
    if said is None:
        return Extraction("", "reply ends while thinking")
    text = _STRUCK.sub(" ", window(said))
    boxed = last_boxed(text)
    later = None if boxed is None or strict_box else _LATER_FORMULA.search(text, end_of_boxes(text))
    if later is not None:
        return Extraction(later[1], "final answer after the last box")
    if boxed is not None:
        return Extraction(boxed, "last box", _choice_after_box(text))
    if strict_box or BOX.search(text):
        return Extraction("", "no closed box")
    return _without_box(text)


def _choice_after_box(text: str) -> str:
    """The letter that a line of its own states after the last box: "**Answer: D**"."""
    stated = _CHOICE_LINE.findall(text[text.rfind("boxed") :])
    return str(stated[-1]) if stated else ""


@lru_cache(maxsize=4_096)
def extract_gold(text: str) -> Extraction:
    """Find the answer of a gold text, which may come with its box cut off."""
    found = extract(text)
    return found if found.answer else _without_box(BOX.sub(_opened_box, text))


def _opened_box(box: re.Match[str]) -> str:
    return box[1].replace("{", " ")


def _without_box(text: str) -> Extraction:
    text = _ROLE.sub("", shorten_spaces(text))
    tagged = list(_TAGGED.finditer(text))
    if tagged and tagged[-1]["said"]:
        return _without_box(tagged[-1]["said"])
    text = _TAIL.sub("", text).strip()
    keyed = _JSON_ANSWER.search(text)
    if keyed is not None:
        return Extraction(_json_value(keyed[1]), "answer in JSON")
    found = _stated(text)
    label = _LEADING_CHOICE.match(text)
    return replace(found, choice=label[1]) if label is not None else found


def _json_value(written: str) -> str:
    """A JSON number or string; one in single quotes, or with LaTeX's backslashes bare, as it stands."""
    try:
        return str(json.loads(written, strict=False))
    except ValueError:
        return written[1:-1]


def _stated(text: str) -> Extraction:
    hashed = _GSM.findall(text)
    if hashed:
        return _stated_after_mark(hashed[-1])
    if _is_qualified_answer(text) or _LABELLED.fullmatch(text):
        return Extraction(text, "whole text")
    sentences = sentences_of(text)
    if not is_prose(text):
        return _short(text, sentences)
    for sentence in reversed(sentences.texts):
        if explains(sentence):
            continue
        stated = statement_of(sentence)
        said_alone = stated is None or stated.value == sentence.strip(" .")
        if said_alone and _is_last_line(sentence, sentences):
            return Extraction(sentences.restored(sentence), "last line")
        if stated is not None:
            if stated.value == sentence.strip(" .") and len(sentences.texts) > 1:
                break
            return _restored(stated, sentences)
        elsewhere = stated_elsewhere(sentence)
        if elsewhere:
            return Extraction(sentences.restored(elsewhere), "last statement")
        if leaves_as_it_is(sentence):
            continue
        break
    return Extraction(text, "whole text")


def _is_last_line(sentence: str, sentences: Sentences) -> bool:
    """A bare value on the last line, after prose or an equation; one of several such lines is no answer."""
    before = sentences.texts[sentences.texts.index(sentence) - 1]
    if before == sentence or is_prose(sentences.restored(sentence)) or leaves_as_it_is(sentence):
        return False
    if len(sentence.split()) > 1 and not values_of(sentence):
        return False
    return is_prose(sentences.restored(before)) or "=" in sentences.restored(before)


def _short(text: str, sentences: Sentences) -> Extraction:
    """A text of few words is the answer, but for what stands round a formula or a choice letter."""
    if len(sentences.texts) != 1 or DOMAIN.match(text):
        return Extraction(text, "whole text")
    letter = stated_elsewhere(text)
    if _CHOICE.fullmatch(letter):
        return Extraction(letter, "last statement")
    stated = statement_of(sentences.texts[0])
    alone = stated is not None and stated.value == sentences.texts[0].strip(" .")
    if stated is not None and not alone and (sentences.formulas or _CHOICE.fullmatch(stated.value)):
        return _restored(stated, sentences)
    bare = _CONNECTIVE.sub("", text)
    return Extraction(_SINCE.sub("", bare) or text, "whole text")


def _stated_after_mark(line: str) -> Extraction:
    """What a line "#### .." says, which GSM8K's solutions end with."""
    stated = statement_of(sentences_of(line).texts[0]) if is_prose(line) else None
    return Extraction(stated.value if stated is not None and "\ue000" not in stated.value else line, "stated answer")


def _restored(stated: Statement, sentences: Sentences) -> Extraction:
    rule = "stated answer" if stated.is_answer else "last statement"
    return Extraction(sentences.restored(stated.value), rule, stated.choice)


def _is_qualified_answer(text: str) -> bool:
    """ "f(x) = ax, where a is an integer": an answer under a condition, although words follow."""
    qualifier = _QUALIFIER.search(text)
    before = re.sub(r"\\text\s*\{\s*$", "", text[: qualifier.start()]) if qualifier else ""
    return bool(re.search(r"[\d=]", before)) and not is_prose(before)
