"""Prose: what makes a text a sentence, and the number that a sentence states."""

from __future__ import annotations

import re

from .scanning import word_set
from .units import without_measures

_SCALED = r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b)?"
_AMOUNT = rf"-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:[.,]\d+)?(?:\s*/\s*\d+)?{_SCALED}"
_NUMBER = re.compile(
    rf"(?<![\w.,/^_'\"\\)(\-])(?:\\?\$\s?)?({_AMOUNT}(?:\s?\\?%)?)(?![\w'\"/^(\u0370-\u03ff²³]|[.,]\d)", re.ASCII
)
BOUNDED = re.compile(
    r"(?:\b(?:than|except|excluding|least|most|between|not|or|from|isn't|never|neither|nor|nicht|pas|no es|non è|не)\b"
    r"|(?:\bnot|\bcannot|n't|\bnever)(?:\s+[a-z]+){1,3}|\bbetween\b[^.;:=]{1,40}\band|(?<![=-])[<>≤≥≠]|\b(?:below|above|under|over|exceeds?)"
    r"|\b(?:could|might|may)\s+be|\b(?:maybe|perhaps|possibly)|\b(?:step|case|part|problem|question|equation|figure|section|exercise|example|method)"
    r"|\b(?:multiples?|factors?|divisors?|powers?|half|third|square|root|opposite|reciprocal)\s+of"
    r"|\b(?:divi\w+|multipl\w+)\b[^.;:=]{0,30}\bby"
    r"|(?<!\badd )(?<!\badds )(?<!\badded )\bup\s+to|\b(?:close|near|nearer|next|prior|compared)\s+to"
    r"|\bnone\b[^.;:=]{0,40}"
    r"|\b(?:ends?|ended|start(?:s|ed)?|begins?|began)\s+(?:in|with)|\b(?:twice|plus|minus|times|modulo|base|from\s+\S+\s+to)"
    r"|不是|并非|並非|不等于|不等於|不为|不為|不可能|不会是"
    r"|至少|至多|不超过|不少于|大于|小于|超过|少于|多于|除了?|ではなく|아니라)[^A-Za-z\d]*$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\s*(?:(?:is|was)\s+(?!(?:the|our|my|your|a|correct|right|left|remaining|needed|required|obtained)\b)"
    r"|isn't\b|are\s+(?:not|wrong|too)\b|wasn't\b|or\s+(?:more|less|fewer)\b"
    r"|[\u4e00-\u9fff]?\s*(?:的(?!排法|方法|方案|情况|可能|不同)|以[上下外内]|除外|次方|分之|倍?多)"
    r"|ではない|ではありません|じゃない|不对|不正确|不是|是错|是不对|错误|이 아니|가 아니)",
    re.IGNORECASE,
)
_CURRENCY = re.compile(rf"(?<![\w.])\$\s?({_AMOUNT})|({_AMOUNT})\s?(?:\$|€|£|¥)(?![\w\d])", re.ASCII)
_AFTER_EQUALS = re.compile(rf"=\s*({_AMOUNT}\s?%?)(?![\w'\"/^(.]*\d)", re.ASCII)
# A sentence that supposes, asks or commands states nothing, and a later one can take a statement back.
_SUPPOSING = re.compile(
    r"^\W*(?:(?:so|now|first|then|but)\b,?\s+)?(?:assum(?:e|ing)|suppos(?:e|ing)|let|imagine|pretend|if|unless|whether|given"
    r"|we\s+(?:are|were)\s+(?:told|given|asked)|(?:the\s+)?(?:problem|question|exercise)\s+(?:says|states|asks|gives))\b",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"^\W*(?:now\s+|please\s+|next,?\s+)?(?:find|compute|calculate|determine|evaluate|solve|simplify)\b", re.IGNORECASE
)
_COMMANDING = re.compile(
    r"^\W*(?:now\s+|then\s+|next,?\s+|finally,?\s+|first,?\s+)?(?:multiply|ignore|disregard|forget|avoid|never|do\s+not|don't|divide|add|subtract|take|use|try|choose|pick"
    r"|round|see|substitute|plug|put|set|consider|recall|note)\b(?!.*\b(?:gets?|obtain|gives?|is|are|makes|leaves|have|=))",
    re.IGNORECASE | re.DOTALL,
)
_WRONG = (
    r"(?:wrong|incorrect|impossible|invalid|false|absurd|nonsense|(?:not|n't)\s+(?:right|correct|possible|valid|allowed|true|it"
    r"|an?\s+(?:answer|solution))|a\s+(?:mistake|contradiction))\b"
)
_WITHDRAWN = (
    rf"(?:(?:is|was|seems|looks|must be|would be)\s+|'s\s+)?(?:clearly\s+|just\s+)?{_WRONG}|fails\b"
    r"|(?:does|did)(?:\s+not|n't)\s+(?:work|fit|hold|satisfy)|can(?:no|')t\s+be(?:\s+(?:right|correct|true|it))?\s*[.!,;]"
)
_TAKEN_BACK = re.compile(
    rf"\b(?:(?:that|this|it|which)\s+|(?:that|this|it)(?='s)|(?:answer|result|value)\s+(?:is|was)\s+)(?:{_WITHDRAWN})"
    r"|^\W*(?:a\s+)?contradiction\b|\b(?:could|can)(?:\s?not|n't|'t)\s+(?:find|solve|determine|tell)",
    re.IGNORECASE | re.MULTILINE,
)
_CONFIRMED = re.compile(r"\b(?:correct|right|confirm\w*|check\w* out|match\w*|works)\b", re.IGNORECASE)
_ALTERED = re.compile(
    r"\$?\s*,?\s*(?:(?:except|excluding|unless|other\s+than|but\s+(?:not|for)|minus|plus|squared|cubed|factorial)\b|at\s+(?:most|least)\b)",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？]\s*|\n+|\s+(?=(?:Therefore|Thus|Hence|So|Donc)\b)")
LATIN_WORD = re.compile(r"(?<![\\a-zA-Z\d])[^\W\d_¹²³⁰-₉]{2,}")
_OTHER_SCRIPT = re.compile("[\u0590-\u08ff\u0900-\u0dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
NOT_PROSE = re.compile(r"[`_{}]|\\(?![$%])|\"|'\w+'|\w\(|\bnot\b|\bor\b|\bif\b", re.IGNORECASE)
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
        if _ASKING.match(sentence) or is_taken_back(sentence):
            return ""
        spaced = _spaced(sentence)
        for pattern in (_AFTER_EQUALS, _CURRENCY, _NUMBER):
            found = list(pattern.finditer(spaced))
            if found:
                before, after = spaced[: found[-1].start()], spaced[found[-1].end() :]
                if not states(before, after) or (pattern is not _AFTER_EQUALS and _COMMANDING.match(sentence)):
                    return ""
                listed = _LISTED_BEFORE.search(before)
                number = next(group for group in found[-1].groups() if group).strip()
                return f"{listed[1] or listed[2]}, {number}" if listed is not None and pattern is _NUMBER else number
    return ""


def states(before: str, after: str) -> bool:
    """Say whether the value between these two parts of a sentence is stated as it stands."""
    bounded = BOUNDED.search(before) or _SUPPOSING.match(before)
    return not (bounded or _DENIED.match(after) or _ALTERED.match(after))


def is_taken_back(later: str) -> bool:
    """Say whether what follows a statement takes it back: "That is wrong", "Contradiction"."""
    return _TAKEN_BACK.search(later) is not None and not _CONFIRMED.search(_TAKEN_BACK.sub("", later))


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
