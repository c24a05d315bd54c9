"""Prose: what makes a text a sentence, and the number that a sentence states."""

from __future__ import annotations

import re

from .scanning import word_set
from .statements import commands, is_taken_back, leads_on, states
from .units import without_measures

_SCALED = r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b)?"
_AMOUNT = rf"-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:[.,]\d+)?(?:\s*/\s*\d+)?{_SCALED}"
_NUMBER = re.compile(
    rf"(?<![\w.,/^_'\"\\)(\-])(?:\\?\$\s?)?({_AMOUNT}(?:\s?\\?%)?)(?![\w'\"/^(\u0370-\u03ff²³]|[.,]\d)", re.ASCII
)
_CURRENCY = re.compile(rf"(?<![\w.])\$\s?({_AMOUNT})|({_AMOUNT})\s?(?:\$|€|£|¥)(?![\w\d])", re.ASCII)
_AFTER_EQUALS = re.compile(rf"=\s*({_AMOUNT}\s?%?)(?![\w'\"/^(.]*\d)", re.ASCII)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？]\s*|\n+|\s+(?=(?:Therefore|Thus|Hence|So|Donc)\b)")
LATIN_WORD = re.compile(r"(?<![\\a-zA-Z\d])[^\W\d_¹²³⁰-₉]{2,}")
_OTHER_SCRIPT = re.compile("[\u0590-\u08ff\u0900-\u0dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
NOT_PROSE = re.compile(r"[`_{}]|\\(?![$%])|\"|'\w+'|\w\(|\bnot\b|\bor\b|\bif\b|\bsuch that\b|≡", re.IGNORECASE)
_OPENING_WORDS = re.compile(r"\s*[A-Za-z]+\s+[a-z]{2,}\s")  # a sentence starts: "It costs .."
_LISTED_BEFORE = re.compile(
    r"((?:-?\d[\d.]*,\s+)*-?\d[\d.]*),?\s*(?:and|or|&)\s*$|((?:-?\d[\d.]*,\s+)+-?\d[\d.]*),\s+$"
)
_TELLING = re.compile(
    r"\b(?:answers?|solutions?|therefore|thus|respuesta|réponse|antwort|ответ)\b|答案|####", re.IGNORECASE
)
# "all integers n > 3": a domain and its condition, an answer; "20% of 50 is 10": a statement.
DOMAIN = re.compile(
    r"^\s*(?:for\s+)?all\s+(?:[a-z-]+\s+){0,2}?(?:integers?|numbers?|reals?|values)\b(?:\s+of\b)?", re.IGNORECASE
)
_STATING = re.compile(r"[\d%)]\s+(?:[a-z]+\s+){0,3}(?:is|are|equals)\s+-?\d", re.IGNORECASE)
_LABEL = re.compile(r"\s*[^\W\d_]{3,}\s*\d*\s*:\s*-?\d")
GROUPED_WORDS = re.compile(r"\\[a-zA-Z]+\s*\{[^{}]*\}")
_SHORT_WORDS = word_set("and or sin cos tan log ln exp sqrt pi oo mod gcd lcm max min percent pct")


def number_of(text: str) -> str:
    """The only number of a sentence; "" where the text is none or holds several."""
    numbers = _NUMBER.findall(_spaced(text))
    return numbers[-1] if len(numbers) == 1 and is_prose(text) else ""


def last_number(text: str) -> str:
    """The number that the last sentence with one ends on: after "=", with a currency sign, else its last."""
    for sentence in reversed([piece for piece in SENTENCE_END.split(text) if piece]):
        if NOT_PROSE.search(sentence) or sentence.rstrip().endswith(("?", "？")):
            return ""
        if is_taken_back(sentence):
            return ""
        spaced = _spaced(sentence)
        for pattern in (_AFTER_EQUALS, _CURRENCY, _NUMBER):
            found = list(pattern.finditer(spaced))
            if found:
                before, after = spaced[: found[-1].start()], spaced[found[-1].end() :]
                if not states(before, after) or (pattern is not _AFTER_EQUALS and commands(sentence)):
                    return ""
                listed = _LISTED_BEFORE.search(before)
                number = next(group for group in found[-1].groups() if group).strip()
                return f"{listed[1] or listed[2]}, {number}" if listed is not None and pattern is _NUMBER else number
        if leads_on(sentence):
            return ""
    return ""


def _spaced(text: str) -> str:
    """Put spaces round runs of other scripts, so that numbers stand alone."""
    return re.sub("([\u0590-\u08ff\u0900-\u0dff\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef]+)", r" \1 ", text)


def plain_words(text: str) -> list[str]:
    """The words in the open, without those of mathematics."""
    return [word for word in LATIN_WORD.findall(GROUPED_WORDS.sub(" ", text)) if word.lower() not in _SHORT_WORDS]


def is_prose(text: str) -> bool:
    """Say whether words outside of formulas and \\text groups make this a sentence, not an answer."""
    if len(_OTHER_SCRIPT.findall(text)) >= 2:
        return without_measures(text) != ""
    if DOMAIN.match(text) is not None:
        return is_prose(DOMAIN.sub("", text))
    words = plain_words(text)
    has_value = re.search(r"\d|\$|\\", text) is not None
    if _LABEL.match(text) is not None or (has_value and (_OPENING_WORDS.match(text) or _STATING.search(text))):
        return True
    return len(words) >= (3 if has_value else 4) or _TELLING.search(text) is not None
