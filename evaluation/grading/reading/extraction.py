"""Finds the final answer of a reply: the last closed box, else a stated answer, else the last formula or number.

Runs in the caller; linear in the length of the reply, of which only the last 64 KB are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from .boxes import BOX, end_of_boxes, last_boxed, window
from .scanning import shorten_spaces
from .statements import (
    BOUNDED,
    DOMAIN,
    GROUPED_WORDS,
    LATIN_WORD,
    NOT_PROSE,
    SENTENCE_END,
    is_meant,
    is_prose,
    is_supposed,
    is_taken_back,
    last_number,
    number_of,
    plain_words,
    states,
)
from .thinking import spoken

_JSON_ANSWER = re.compile(
    r"""^(?:```(?:json)?\s*)?\{[\s\S]*["'](?:final_?)?answer["']\s*:\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|-?\d+(?:\.\d+)?)\s*[,}][\s\S]*$""",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:I hope (?:it|this) is correct\.?|<\|[a-z_]+\|>.*|</?answer>|</s>)\s*", re.DOTALL | re.IGNORECASE
)
_ROLE = re.compile(
    r"^\s*(?:<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<\|im_start\|>\s*assistant|<\|assistant\|>"
    r"|<start_of_turn>\s*model)\s*"
)
_TAGGED = re.compile(
    r"<(?P<name>final_?answer|answer|output|result|final|response|solution)>\s*(?P<said>(?:(?!<(?P=name)>).)*?)\s*</(?P=name)>",
    re.DOTALL | re.IGNORECASE,
)

_MARKER = re.compile(
    r"####\s*|(?:\bfinal\s+answer|\banswers?|\b(?:option|choice)(?=\s+is\b)|\brespuesta|\bréponse|\bantwort|ответ|答案)\W{0,6}?"
    r"(?:\s*(?:\([^()]*\))?\s*(?:(?:is|are|be|would be|est|es|ist)\b|[=:是为：])+|(?=\s*(?:\$|\\\(|\\\[)))\s*:?\s*",
    re.IGNORECASE,
)
_DELIMITER = re.compile(r"\$\$|\\[\[\]()]|(?<!\\)\$")
_CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_QUALIFIER = re.compile(r"\s*[,;]?\s*\b(?:where|for (?:all|any|every|some)|such that)\b")
_CONNECTIVE = re.compile(r"^(?:therefore|thus|hence|so|then|finally)\b[,:]?\s*", re.IGNORECASE)
_REASON = re.compile(
    r",?\s+\(?(?:because|since|when|where|which|whenever|as (?:the|it|we)|attained|achieved)\b.*$", re.DOTALL
)
_CONTRAST = re.compile(
    r",\s+(?:and\s+)?(?:not|rather than|instead of)\s+[-$\d\\(A-Z].*$|^不是[^，,。]{1,20}?[，,]?\s*而是", re.DOTALL
)
_CODED_NUMBER = re.compile(r"`(-?\d[\d.,/]*)`")
_LEADING_CHOICE = re.compile(
    r"\(?([A-H])\)?\s*(?:[-–—:]\s+(?!(?:not|no|wrong|incorrect|false|is)\b)[a-z]{2,}|,?\s*\b(?:because|since)\b)"
)
_SINCE = re.compile(r"(?<=\$),?\s+(?:since|because)\b.*$", re.DOTALL)
_LATER_FORMULA = re.compile(
    r"\bfinal answer\b[^$\n]{0,40}?\bis:?\s*\$([^$\n]+)\$\.?(?=\s*(?:\Z|\n|I hope))", re.IGNORECASE
)
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
_LABELLED = re.compile(r"(?:[^\W\d_]{2,}\s*:\s*[^,;:]+(?:[,;]\s*|\s+and\s+|$)){2,}")  # Tom: 3, Ann: 4
_LETTER = re.compile(r"[a-z]?")  # "all primes $p$" names no value
_JOINING = re.compile(r"\s*,?\s*(?:and|or|,)\s*")


_CHOICE_LINE = re.compile(
    r"(?:^|\n)[*\s]*(?:final\s+|correct\s+)?(?:answer|option|choice)\s*(?:is|:)*\s*[*\s]*\(?([A-H])\)?[*.\s]*(?=\n|$)",
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
    found = _stated(_CODED_NUMBER.sub(r"\1", _CONNECTIVE.sub("", text)))
    label = _LEADING_CHOICE.match(text)
    return replace(found, choice=label[1]) if label is not None else found


def _json_value(written: str) -> str:
    """A JSON number or string; one in single quotes, or with LaTeX's backslashes bare, as it stands."""
    try:
        return str(json.loads(written, strict=False))
    except ValueError:
        return written[1:-1]


def _stated(text: str) -> Extraction:
    if _is_qualified_answer(text) or _LABELLED.fullmatch(text):
        return Extraction(text, "whole text")
    announced = _announced_formula(text)
    if announced:
        return Extraction(announced, "last formula")
    if not is_prose(text):
        return Extraction(_SINCE.sub("", text) or text, "whole text")
    markers = list(_MARKER.finditer(text))
    if markers:
        following = " ".join(SENTENCE_END.split(text[markers[-1].end() :])[:2])
        if is_supposed(text[: markers[-1].start()]) or is_taken_back(following):
            return Extraction("", "taken back")
        stated = _first_sentence(text[markers[-1].end() :])
        if stated:
            return _from_statement(stated, "stated answer")
    return _from_statement(text, "")


def _announced_formula(text: str) -> str:
    """ "which gives $x = 5$": the only formula, at the end, after words that neither count nor bound it."""
    words, _, rest = text.partition("$")
    formula, _, end = rest.partition("$")
    if (
        end.strip(" .")
        or "$" not in rest
        or "?" in formula
        or not LATIN_WORD.search(words)
        or DOMAIN.match(words)
        or re.search(r"[\d\\]", words)
    ):
        return ""
    return "" if NOT_PROSE.search(words) or BOUNDED.search(words) else formula.strip()


def _is_qualified_answer(text: str) -> bool:
    """ "f(x) = ax, where a is an integer": an answer under a condition, although words follow."""
    qualifier = _QUALIFIER.search(text)
    before = re.sub(r"\\text\s*\{\s*$", "", text[: qualifier.start()]) if qualifier else ""
    return bool(re.search(r"[\d=]", before)) and not is_prose(before)


def _first_sentence(text: str) -> str:
    text = _BOLD.sub(r"\1", text.strip()).strip("*_").strip()
    line = re.split(r"\n\s*\n|\n(?=[A-Z])", text, maxsplit=1)[0] if not text.startswith(("\\[", "$$")) else text
    sentence = re.split(r"(?<=[^\s.])\.(?:\s+(?=[A-Z])|\s*$)", line, maxsplit=1)[0].lstrip("}").strip().rstrip("*")
    sentence = _CONTRAST.sub("", sentence) or sentence
    return (_REASON.sub("", sentence) or sentence).strip()


def _from_statement(text: str, rule: str) -> Extraction:
    """Narrow prose down: the number a later sentence ends on, else the last formula, bold text or number."""
    if not is_prose(text):
        return Extraction(text, rule)
    stated = _after_is(text)
    if stated:
        return Extraction(stated, rule or "last statement")
    formula, start, end = _last_formula(text)
    if formula and not (states(SENTENCE_END.split(text[:start])[-1], text[end:]) and not is_taken_back(text[end:])):
        return Extraction(text, rule or "whole text")
    if formula:
        later = SENTENCE_END.split(text[end:], maxsplit=1)
        number = last_number(later[1]) if len(later) == 2 else ""
        return Extraction(number, rule or "last number") if number else Extraction(formula, rule or "last formula")
    bold = [*_BOLD.finditer(text)][-1:]
    if bold and states(SENTENCE_END.split(text[: bold[0].start()])[-1], text[bold[0].end() :]):
        return Extraction(number_of(bold[0][1]) or bold[0][1], rule or "last bold text")
    number = last_number(text)
    return Extraction(number, rule or "last number") if number else Extraction(text, rule or "whole text")


def _after_is(text: str) -> str:
    """What the last sentence says after its last "is": "The area is 36 cm"; "" where that is no plain answer."""
    sentences = [piece for piece in SENTENCE_END.split(text) if piece.strip()]
    pieces = (
        re.split(
            r"\s(?:is|are|equals)\s+(?:at\s+|equal to\s+)?(?=[\d\\$(\[-]|[a-z] = )", _REASON.sub("", sentences[-1])
        )
        if sentences
        else []
    )
    stated = pieces[-1].strip() if len(pieces) > 1 else ""
    if not is_meant(" ".join(pieces[:-1])):
        return ""
    return "" if is_prose(stated) or NOT_PROSE.search(GROUPED_WORDS.sub("", stated.replace("\\", ""))) else stated


def _last_formula(text: str) -> tuple[str, int, int]:
    """The last formula that holds no sentence, listed with those joined to it by "and"; where it starts and ends."""
    last, start, end = "", 0, 0
    for content, place, after in _formulas(text):
        if not _LETTER.fullmatch(content) and not is_prose(content) and len(plain_words(content)) < 2:
            joined = last and _JOINING.fullmatch(text[end:place])
            last, start, end = (f"{last}, {content}", start, after) if joined else (content, place, after)
    return last, start, end


def _formulas(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (content, start, end) of each delimited formula in one pass; an unclosed opening gives way to the next."""
    opened: re.Match[str] | None = None
    for delimiter in _DELIMITER.finditer(text):
        if opened is not None and delimiter[0] == _CLOSING[opened[0]]:
            yield text[opened.end() : delimiter.start()].strip(), opened.start(), delimiter.end()
            opened = None
        elif delimiter[0] in _CLOSING:
            opened = delimiter
