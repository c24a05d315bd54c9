"""Final statements: words before the value, the value, words after it, all known; anything else states nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from entrobench.evaluation.grading.reading.scanning import word_set
from entrobench.evaluation.grading.reading.units import is_known, split_unit

from . import wording
from .sentences import FORMULA
from .values import values_of

LONGEST_SENTENCE = 600  # characters, ours: what is longer states nothing
MOST_VALUES = 8  # of a sentence, from its end, ours
_EDGE = r"[\s\"'“”‘’«»()【】•·:,.]*"  # a sign of mathematics is none
_CONNECTIVES = re.compile(rf"{_EDGE}(?:{wording.CONNECTIVE})*\s*", re.IGNORECASE)
_HEADED = re.compile(rf"{_EDGE}{wording.ANSWER}\s*:\s*", re.IGNORECASE)
_CLAUSE = re.compile(r",\s+|:\s+|\s+(?=(?:there\s+(?:is|are|were|will be)|but)\b)", re.IGNORECASE)
_WORDS = re.compile(
    r"\s*-?((?:[^\W\d_][^\W\d_'’.-]*(?:[-/][^\W\d_]+)*(?:[²³]|\^\{?[23]\}?)?\.?(?:\s+|(?=[,.;:!)]|\Z))){1,6})"
)
_MORE = re.compile(r"\s+(?:more|additional|extra|other|such)\b")
_END = re.compile(r"[\s!)*\"”]*\.?[\s!)*\"”]*")
_POWER = str.maketrans({"²": "^2", "³": "^3"})
# Before the name of a thing: these count, scale or compare.
_NO_ADJECTIVE = word_set(
    "dozen hundred thousand million billion trillion half score percent plus minus times squared cubed over under "
    "fewer "
    "more less than and or but if not mod modulo to is are was were short away off above below beyond per of in on "
    "at with "
    "for from by the a an when unless except until before after as that which who"
)


@dataclass(frozen=True)
class Statement:
    """What a sentence states: the value with its unit, whether it is called the answer, a letter named beside it."""

    value: str
    is_answer: bool
    choice: str = ""


_STRENGTH = ("answer", "gets", "", "name", "choice", "thing", "equation")


@dataclass(frozen=True)
class _Lead:
    needs: str  # as in wording.LEADS
    clause: str


def statement_of(sentence: str) -> Statement | None:
    """What one sentence states as it stands, None where it states no value that we are sure of."""
    if len(sentence) > LONGEST_SENTENCE or re.search(r"[?？]\W*\Z", sentence):
        return None
    for start, end in values_of(sentence)[: -MOST_VALUES - 1 : -1]:
        lead = _lead(sentence[:start])
        if lead is None or (lead.needs == "equation" and not _names(sentence[start:end])):
            continue
        tail = _tail(sentence[end:], lead, sentence[start:end])
        if tail is not None:
            unit, choice = tail
            return Statement(f"{sentence[start:end]} {unit}".strip(), lead.needs == "answer", choice)
    return _answer_in_words(sentence)


def _names(value: str) -> bool:
    """x = 5: a value that says itself of what it is; what a formula holds is looked at later."""
    return "=" in value or re.fullmatch(FORMULA, value) is not None


def _lead(before: str) -> _Lead | None:
    """The words before a value, where all of them are known."""
    starts = {0: False} | {found.end(): False for found in _CLAUSE.finditer(before)}
    starts |= {found.end(): True for found in wording.CONSEQUENCE.finditer(before)}
    for start in sorted(starts, reverse=True)[:6]:
        connectives = _CONNECTIVES.match(before, start)
        clause = before[connectives.end() if connectives else start :]
        found = {needs for needs, lead in wording.LEADS if lead.fullmatch(clause)}
        if found and _prepares(before[:start], starts[start]):
            found |= {"answer"} if _HEADED.fullmatch(before, 0, start) else set()
            return _Lead(min(found, key=_STRENGTH.index), clause)
    return None


def _prepares(before: str, is_concluded: bool) -> bool:
    """Whether the clauses before the last one only lead up to it."""
    if any(opening.fullmatch(before) for opening in (_CONNECTIVES, _HEADED, wording.PREPARES)):
        return True
    return is_concluded and not wording.CONDITIONAL.match(before)


def _tail(after: str, lead: _Lead, value: str) -> tuple[str, str] | None:
    """(unit, letter) behind a value, None where a word there is not known."""
    unit, place = ("", 0) if _LETTER.fullmatch(value) else _counted(after, lead.needs)
    if lead.needs == "name" and place:
        return None
    if lead.needs == "choice" and not (_LETTER.fullmatch(value) and wording.PREDICATE.match(after)):
        return None
    if lead.needs == "thing" and not place and not re.search(r"[$€£¥%]", value):
        return None
    choice = ""
    pieces = [wording.CONTRAST, wording.ASIDE, wording.AFTERTHOUGHT, wording.PREDICATE, _PHRASE, wording.MATCHING]
    pieces += [wording.SATISFYING] if place else []
    pieces += [wording.WHERE_EXTREME] if wording.EXTREME.search(lead.clause) else []
    while True:
        if _END.fullmatch(after, place) or wording.REASON.fullmatch(after, place):
            return unit, choice
        matches = (piece.match(after, place) for piece in pieces)
        found = next((match for match in matches if match is not None and match.end() > place), None)
        if found is None:
            return None
        choice = found.groupdict().get("letter") or choice
        place = found.end()


_LETTER = re.compile(r"\(?[A-H]\)?")
_PHRASE = re.compile(rf"\s*,?\s*{wording.PHRASE}(?![\w'’-])", re.IGNORECASE)


def _counted(after: str, lead: str) -> tuple[str, int]:
    """The unit after a value ("" where only things are counted) and where its words end, 0 where there are none."""
    more = _MORE.match(after) if lead in ("gets", "thing") else None
    match = _WORDS.match(after, more.end() if more else 0)
    if match is None:
        return "", more.end() if more else 0
    ends = [word.end() for word in re.finditer(r"\S+", match[1])]
    for end in reversed(ends):
        words = match[1][:end].rstrip(".,;")
        value, unit = split_unit(f"1 {words.translate(_POWER)}")
        if words.split()[-1].casefold() in _NO_ADJECTIVE:
            continue
        if value == "1" or (lead != "answer" and _is_thing(words)):
            return (words if value == "1" and is_known(unit) else ""), match.start(1) + len(words)
    return "", more.end() if more else 0


def _is_thing(words: str) -> bool:
    """ "arithmetic sequences", "such integers": words that describe and a plural."""
    *described, name = words.casefold().split()
    if split_unit(f"1 {name}")[0] != "1" or _NO_ADJECTIVE.intersection(described):
        return False
    return len(described) <= 2 and all(re.fullmatch(r"[a-z]{3,}(?:-[a-z]+)?", word) for word in described)


_CALLED = re.compile(
    rf"{wording.ANSWER}\s*(?:\([^()]*\)\s*)?(?:{wording.COPULA}\s*|[=:】]\s*)(?:{wording.COPULA}\s*|[=:]\s*)*",
    re.IGNORECASE,
)
_REASON_AFTER = re.compile(r"\.?,?\s+\(?(?:because|since|as (?:the|it|we))\b.*$", re.DOTALL)


def _answer_in_words(sentence: str) -> Statement | None:
    """ "The answer is yes": whatever is called the answer, to be compared as it stands."""
    marked = re.match(r"(?:.*[,;]\s+|.*\s(?=so\b))?", sentence, re.DOTALL)
    for start in sorted({0, marked.end() if marked else 0}, reverse=True):
        connectives = _CONNECTIVES.match(sentence, start)
        lead = _CALLED.match(sentence, connectives.end() if connectives else start)
        if lead is not None and _prepares(sentence[:start], is_concluded=True):
            said = sentence[lead.end() :].strip().removesuffix(".")
            return Statement(_REASON_AFTER.sub("", said) or said, is_answer=True) if said else None
    return None
