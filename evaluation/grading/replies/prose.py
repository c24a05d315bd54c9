"""Tells a bare answer from prose: whether words make a text a sentence that has to be read."""

from __future__ import annotations

import re

from entrobench.evaluation.grading.reading.scanning import word_set
from entrobench.evaluation.grading.reading.units import without_measures

LATIN_WORD = re.compile(r"(?<![\\a-zA-Z\d])[^\W\d_¹²³⁰-₉]{2,}")
_OTHER_SCRIPT = re.compile("[\u0590-\u08ff\u0900-\u0dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_OPENING_WORDS = re.compile(r"\s*[A-Za-z]+\s+[a-z]{2,}\s")  # a sentence starts: "It costs .."
_TELLING = re.compile(
    r"\b(?:answers?|solutions?|therefore|thus|respuesta|réponse|antwort|ответ)\b|答案|####", re.IGNORECASE
)
# "all integers n > 3": a domain and its condition, an answer; "20% of 50 is 10": a statement.
DOMAIN = re.compile(
    r"^\s*(?:for\s+)?all\s+(?:[a-z-]+\s+){0,2}?(?:integers?|numbers?|reals?|values)\b(?:\s+of\b)?", re.IGNORECASE
)
_STATING = re.compile(r"[\d%)]\s+(?:[a-z]+\s+){0,3}(?:is|are|equals)\s+-?\d", re.IGNORECASE)
_LABEL = re.compile(r"\s*[^\W\d_]{3,}\s*\d*\s*:\s*-?\d")
_GROUPED_WORDS = re.compile(r"\\[a-zA-Z]+\s*\{[^{}]*\}")
_SHORT_WORDS = word_set("and or sin cos tan log ln exp sqrt pi oo mod gcd lcm max min percent pct")


def plain_words(text: str) -> list[str]:
    """The words in the open, without those of mathematics."""
    return [word for word in LATIN_WORD.findall(_GROUPED_WORDS.sub(" ", text)) if word.lower() not in _SHORT_WORDS]


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
