"""Finds the final answer of a reply: the last closed box, else a stated answer, else the last formula or number.

Runs in the caller; linear in the length of the reply, of which only the last 64 KB are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from .scanning import shorten_spaces, word_set
from .thinking import spoken
from .units import without_measures

LONGEST_REPLY = 65_536  # characters from the end, ours
_BOX = re.compile(
    r"(?:\\(?:boxed|fbox|framebox(?:\[[^\[\]]*\]){0,2})(?![a-zA-Z])|(?<![\\a-zA-Z])boxed(?=\{))"
    r"\s*(\{|[^\s{\\]|\s[^\s{\\])"
)
_JSON_ANSWER = re.compile(
    r"""^(?:```(?:json)?\s*)?\{[\s\S]*["'](?:final_?)?answer["']\s*:\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|-?\d+(?:\.\d+)?)\s*[,}][\s\S]*$""",
    re.IGNORECASE,
)
_OPEN_BEFORE = re.compile(r"\\(?:boxed|fbox)\s*\{\s*\Z")
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
# Between two boxes of one answer: a comma, "and", "or", layout, a name with "=", at most three words beside "and".
_LAYOUT = re.compile(r"\\(?:text|quad|qquad|mathrm|left|right|[,;: ()\[\]])|[${}~*()\s.]|\\\\")
_CONNECTED = re.compile(r"(?:,|;|and|or|&|\w{1,2}_?\w?\s*=|,\s*and)*", re.IGNORECASE)
_CONNECTED_BY_AND = re.compile(r"(?:[a-z]+ ){0,4}(?:and|or)(?: [a-z]+){0,2}", re.IGNORECASE)
_ARGUING = word_set("so no not thus hence therefore but final answer wait actually is be because alternatively")

_MARKER = re.compile(
    r"####\s*|(?:\bfinal\s+answer|\banswers?|\b(?:option|choice)(?=\s+is\b)|\brespuesta|\bréponse|\bantwort|ответ|答案)\W{0,6}?"
    r"(?:\s*(?:\([^()]*\))?\s*(?:(?:is|are|be|would be|est|es|ist)\b|[=:是为：])+|(?=\s*(?:\$|\\\(|\\\[)))\s*:?\s*",
    re.IGNORECASE,
)
_DELIMITER = re.compile(r"\$\$|\\[\[\]()]|(?<!\\)\$")
_CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_SCALED = r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b)?"
_AMOUNT = rf"-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:[.,]\d+)?(?:\s*/\s*\d+)?{_SCALED}"
_NUMBER = re.compile(
    rf"(?<![\w.,/^_'\"\\)(\-])(?:\\?\$\s?)?({_AMOUNT}(?:\s?\\?%)?)(?![\w'\"/^(\u0370-\u03ff²³]|[.,]\d)", re.ASCII
)
_BOUNDED = re.compile(
    r"(?:\b(?:than|except|least|most|between|not|or|from|isn't|never|neither|nor|nicht|pas|no es|non è|не)\b"
    r"|(?:\bnot|\bcannot|n't|\bnever)(?:\s+[a-z]+){1,3}|\bbetween\b[^.;:=]{1,40}\band|(?<![=-])[<>≤≥≠]|\b(?:below|above|under|over|exceeds?)"
    r"|\b(?:could|might|may)\s+be|\b(?:maybe|perhaps|possibly)|\b(?:step|case|part|problem|question|equation|figure|section|exercise|example|method)"
    r"|\b(?:multiples?|factors?|divisors?|powers?|half|third|square|root|opposite|reciprocal)\s+of"
    r"|\b(?:divisible|divided|multiplied)\s+by|\b(?:ends?|starts?|begins?)\s+(?:in|with)|\b(?:twice|plus|minus|times|modulo|base|from\s+\S+\s+to)"
    r"|不是|并非|並非|不等于|不等於|不为|不為|不可能|不会是"
    r"|至少|至多|不超过|不少于|大于|小于|超过|少于|多于|除了?|ではなく|아니라)[^A-Za-z\d]*$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\s*(?:(?:is|was)\s+(?!(?:the|our|my|your|a|correct|right|left|remaining|needed|required|obtained)\b)"
    r"|isn't\b|are\s+(?:not|wrong|too)\b|wasn't\b|or\s+(?:more|less|fewer)\b"
    r"|[\u4e00-\u9fff]?\s*(?:的(?!排法|方法|方案|情况|可能|不同)|以[上下外内]|除外|次方|分之)"
    r"|ではない|ではありません|じゃない|不对|不正确|不是|是错|是不对|错误|이 아니|가 아니)",
    re.IGNORECASE,
)
_CURRENCY = re.compile(rf"(?<![\w.])\$\s?({_AMOUNT})|({_AMOUNT})\s?(?:\$|€|£|¥)(?![\w\d])", re.ASCII)
_AFTER_EQUALS = re.compile(rf"=\s*({_AMOUNT}\s?%?)(?![\w'\"/^(.]*\d)", re.ASCII)
_QUALIFIER = re.compile(r"\s*[,;]?\s*\b(?:where|for (?:all|any|every|some)|such that)\b")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？]\s*|\n+|\s+(?=(?:Therefore|Thus|Hence|So|Donc)\b)")
_LATIN_WORD = re.compile(r"(?<![\\a-zA-Z\d])[^\W\d_¹²³⁰-₉]{2,}")
_OTHER_SCRIPT = re.compile("[\u0590-\u08ff\u0900-\u0dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_NOT_PROSE = re.compile(r"[`_{}]|\\(?![$%])|\"|'\w+'|\w\(|\bnot\b|\bor\b|\bif\b", re.IGNORECASE)
_OPENING_WORDS = re.compile(r"\s*[A-Za-z]+\s+[a-z]{2,}\s")  # a sentence starts: "It costs .."
_CONNECTIVE = re.compile(r"^(?:therefore|thus|hence|so|then|finally)\b[,:]?\s*", re.IGNORECASE)
_REASON = re.compile(
    r",?\s+(?:because|since|when|where|which|whenever|as (?:the|it|we)|attained|achieved)\b.*$", re.DOTALL
)
_CONTRAST = re.compile(
    r",\s+(?:and\s+)?(?:not|rather than|instead of)\s+[-$\d\\(A-Z].*$|^不是[^，,。]{1,20}?[，,]?\s*而是", re.DOTALL
)
_CODED_NUMBER = re.compile(r"`(-?\d[\d.,/]*)`")
_LEADING_CHOICE = re.compile(
    r"\(?([A-H])\)?\s*(?:[-–—:]\s+(?!(?:not|no|wrong|incorrect|false|is)\b)[a-z]{2,}|,?\s*\b(?:because|since)\b)"
)
_LISTED_BEFORE = re.compile(
    r"((?:-?\d[\d.]*,\s+)*-?\d[\d.]*),?\s*(?:and|or|&)\s*$|((?:-?\d[\d.]*,\s+)+-?\d[\d.]*),\s+$"
)
_SINCE = re.compile(r"(?<=\$),?\s+(?:since|because)\b.*$", re.DOTALL)
_JOINING = re.compile(r"\s*,?\s*(?:and|or|,)\s*")
_TELLING = re.compile(
    r"\b(?:answers?|solutions?|therefore|thus|respuesta|réponse|antwort|ответ)\b|答案|####", re.IGNORECASE
)
# "all integers n > 3": a domain and its condition, an answer; "20% of 50 is 10": a statement.
_DOMAIN = re.compile(
    r"^\s*(?:for\s+)?all\s+(?:[a-z-]+\s+){0,2}?(?:integers?|numbers?|reals?|values)\b(?:\s+of\b)?", re.IGNORECASE
)
_STATING = re.compile(r"[\d%)]\s+(?:[a-z]+\s+){0,3}(?:is|are|equals)\s+-?\d", re.IGNORECASE)
_LABEL = re.compile(r"\s*[^\W\d_]{3,}\s*\d*\s*:\s*-?\d")
_GROUPED_WORDS = re.compile(r"\\[a-zA-Z]+\s*\{[^{}]*\}")
_SHORT_WORDS = word_set("and or sin cos tan log ln exp sqrt pi oo mod gcd lcm max min percent pct")


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
    text = _window(said)
    boxed = last_boxed(text)
    if boxed is not None:
        return Extraction(boxed, "last box", _choice_after_box(text))
    if strict_box or _BOX.search(text):
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
    return found if found.answer else _without_box(_BOX.sub(_opened_box, text))


def _opened_box(box: re.Match[str]) -> str:
    return box[1].replace("{", " ")


def _window(text: str) -> str:
    """The last 64 KB, moved back to the last box where that stands before them."""
    start = max(0, len(text) - LONGEST_REPLY)
    box = max(text.rfind("\\boxed"), text.rfind("boxed{"), text.rfind("\\fbox"), text.rfind("\\framebox"))
    return text[start:] if box < 0 or box >= start else text[box : box + LONGEST_REPLY]


def boxes(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, content) of every closed outermost box, in order."""
    found: list[tuple[int, int, str]] = []
    place = 0
    ends: dict[int, int] | None = None
    while (match := _BOX.search(text, place)) is not None:
        place = match.end()
        if match[1] != "{":
            found.append((match.start(), place, match[1].strip()))
            continue
        ends = ends if ends is not None else _closing_braces(text)
        if place - 1 in ends:
            end = ends[place - 1]
            found.append((match.start(), end + 1, text[place:end]))
            place = end + 1
    return found


def _closing_braces(text: str) -> dict[int, int]:
    """Map each { to its }; one pass, so that a reply of nothing but braces stays linear."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            ends[opened.pop()] = match.start()
    return ends


def last_boxed(text: str) -> str | None:
    """Return the content of the last closed box, joined by commas with the boxes of the same answer beside it."""
    found = boxes(text)
    if not found or _is_retracted(text, found[-1][0], found[-1][1]):
        return None
    start, _, content = found[-1]
    contents = [content]
    for before_start, before_end, before in reversed(found[:-1]):
        if not _belong_together(text[before_end:start]):
            break
        contents.insert(0, before)
        start = before_start
    return ", ".join(dict.fromkeys(contents))


def _is_retracted(text: str, start: int, end: int) -> bool:
    """Whether a box that never closes follows the last closed one, or opens right before it."""
    later = [box for box in _BOX.finditer(text, end) if box[1] == "{"]
    return bool(later) or _OPEN_BEFORE.search(text, 0, start) is not None


def _belong_together(between: str) -> bool:
    if len(between) > 80 or re.search(r"[?!:.]|\n\s*\n", between):
        return False
    words = " ".join(_LAYOUT.sub(" ", between).split())
    if _ARGUING.intersection(words.lower().split()):
        return False
    joined = words.replace(" ", "")
    return _CONNECTED.fullmatch(joined) is not None or _CONNECTED_BY_AND.fullmatch(words) is not None


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
    if _is_qualified_answer(text):
        return Extraction(text, "whole text")
    announced = _announced_formula(text)
    if announced:
        return Extraction(announced, "last formula")
    if not _is_prose(text):
        return Extraction(_SINCE.sub("", text) or text, "whole text")
    markers = list(_MARKER.finditer(text))
    if markers:
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
        or not _LATIN_WORD.search(words)
        or _DOMAIN.match(words)
        or re.search(r"[\d\\]", words)
    ):
        return ""
    return "" if _NOT_PROSE.search(words) or _BOUNDED.search(words) else formula.strip()


def _is_qualified_answer(text: str) -> bool:
    """ "f(x) = ax, where a is an integer": an answer under a condition, although words follow."""
    qualifier = _QUALIFIER.search(text)
    before = re.sub(r"\\text\s*\{\s*$", "", text[: qualifier.start()]) if qualifier else ""
    return bool(re.search(r"[\d=]", before)) and not _is_prose(before)


def _first_sentence(text: str) -> str:
    text = _BOLD.sub(r"\1", text.strip()).strip("*_").strip()
    line = re.split(r"\n\s*\n|\n(?=[A-Z])", text, maxsplit=1)[0] if not text.startswith(("\\[", "$$")) else text
    sentence = re.split(r"(?<=[^\s.])\.(?:\s+(?=[A-Z])|\s*$)", line, maxsplit=1)[0].lstrip("}").strip().rstrip("*")
    sentence = _CONTRAST.sub("", sentence) or sentence
    return (_REASON.sub("", sentence) or sentence).strip()


def _from_statement(text: str, rule: str) -> Extraction:
    """Narrow prose down: the number a later sentence ends on, else the last formula, bold text or number."""
    if not _is_prose(text):
        return Extraction(text, rule)
    stated = _after_is(text)
    if stated:
        return Extraction(stated, rule or "last statement")
    formula, end = _last_formula(text)
    if formula:
        later = _SENTENCE_END.split(text[end:], maxsplit=1)
        number = _last_number(later[1]) if len(later) == 2 else ""
        return Extraction(number, rule or "last number") if number else Extraction(formula, rule or "last formula")
    bold = _BOLD.findall(text)
    if bold:
        return Extraction(_number_of(bold[-1]) or bold[-1], rule or "last bold text")
    number = _last_number(text)
    return Extraction(number, rule or "last number") if number else Extraction(text, rule or "whole text")


def _after_is(text: str) -> str:
    """What the last sentence says after its last "is": "The area is 36 cm"; "" where that is no plain answer."""
    sentences = [piece for piece in _SENTENCE_END.split(text) if piece.strip()]
    pieces = (
        re.split(
            r"\s(?:is|are|equals)\s+(?:at\s+|equal to\s+)?(?=[\d\\$(\[-]|[a-z] = )", _REASON.sub("", sentences[-1])
        )
        if sentences
        else []
    )
    stated = pieces[-1].strip() if len(pieces) > 1 else ""
    return "" if _is_prose(stated) or _NOT_PROSE.search(_GROUPED_WORDS.sub("", stated.replace("\\", ""))) else stated


def _last_formula(text: str) -> tuple[str, int]:
    """The last formula that holds no sentence, listed with those joined to it by "and"; and where it ends."""
    last, end = "", 0
    for content, start, after in _formulas(text):
        if content and not _is_prose(content) and len(_plain_words(content)) < 2:
            joined = last and _JOINING.fullmatch(text[end:start])
            last, end = f"{last}, {content}" if joined else content, after
    return last, end


def _formulas(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (content, start, end) of each delimited formula in one pass; an unclosed opening gives way to the next."""
    opened: re.Match[str] | None = None
    for delimiter in _DELIMITER.finditer(text):
        if opened is not None and delimiter[0] == _CLOSING[opened[0]]:
            yield text[opened.end() : delimiter.start()].strip(), opened.start(), delimiter.end()
            opened = None
        elif delimiter[0] in _CLOSING:
            opened = delimiter


def _number_of(text: str) -> str:
    numbers = _NUMBER.findall(_spaced(text))
    return numbers[-1] if len(numbers) == 1 and _is_prose(text) else ""


def _last_number(text: str) -> str:
    """The number that the last sentence with one ends on: after "=", with a currency sign, else its last."""
    for sentence in reversed([piece for piece in _SENTENCE_END.split(text) if piece]):
        if _NOT_PROSE.search(sentence) or sentence.rstrip().endswith(("?", "？")):
            return ""
        spaced = _spaced(sentence)
        for pattern in (_AFTER_EQUALS, _CURRENCY, _NUMBER):
            found = list(pattern.finditer(spaced))
            if found:
                before, after = spaced[: found[-1].start()], spaced[found[-1].end() :]
                if _BOUNDED.search(before) or _DENIED.match(after):
                    return ""
                listed = _LISTED_BEFORE.search(before)
                number = next(group for group in found[-1].groups() if group).strip()
                return f"{listed[1] or listed[2]}, {number}" if listed is not None and pattern is _NUMBER else number
    return ""


def _spaced(text: str) -> str:
    """Put spaces round runs of other scripts, so that numbers stand alone."""
    return re.sub("([\u0590-\u08ff\u0900-\u0dff\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef]+)", r" \1 ", text)


def _plain_words(text: str) -> list[str]:
    return [word for word in _LATIN_WORD.findall(_GROUPED_WORDS.sub(" ", text)) if word.lower() not in _SHORT_WORDS]


def _is_prose(text: str) -> bool:
    """Say whether words outside of formulas and \\text groups make this a sentence, not an answer."""
    if len(_OTHER_SCRIPT.findall(text)) >= 2:
        return without_measures(text) != ""
    if _DOMAIN.match(text) is not None:
        return _is_prose(_DOMAIN.sub("", text))
    words = _plain_words(text)
    has_value = re.search(r"\d|\$|\\", text) is not None
    if _LABEL.match(text) is not None or (has_value and (_OPENING_WORDS.match(text) or _STATING.search(text))):
        return True
    return len(words) >= (3 if has_value else 4) or _TELLING.search(text) is not None
